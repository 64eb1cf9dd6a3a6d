//! The codec's promises: exact length, bounded size, stable bytes.

use std::time::Duration;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::{CodecError, decode, encode};
use crate::ids::Name;
use crate::limits::META_BYTES_MAX;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Sample {
    Unit,
    Fields { number: u32, text: String, maybe: Option<u128>, list: Vec<Name> },
}

fn sample() -> Sample {
    let list = vec![Name::new("eu").unwrap(), Name::new("us").unwrap()];
    Sample::Fields { number: 7, text: "a".to_owned(), maybe: Some(1), list }
}

#[test]
fn bytes_are_fixed_width_and_little_endian() {
    let expected = [
        &[1, 0, 0, 0][..],
        &[7, 0, 0, 0],
        &[1, 0, 0, 0, 0, 0, 0, 0, b'a'],
        &[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[2, 0, 0, 0, 0, 0, 0, 0],
        &[2, 0, 0, 0, 0, 0, 0, 0, b'e', b'u'],
        &[2, 0, 0, 0, 0, 0, 0, 0, b'u', b's'],
    ];
    assert_eq!(encode(&sample()).unwrap(), expected.concat());
}

#[test]
fn every_truncation_and_extension_is_refused() {
    let bytes = encode(&sample()).unwrap();
    assert_eq!(decode::<Sample>(&bytes), Ok(sample()));
    for length in 0..bytes.len() {
        let error = decode::<Sample>(&bytes[..length]).unwrap_err();
        assert!(matches!(error, CodecError::Malformed { .. }), "cut at {length}");
    }
    let longer = [&bytes[..], &[0, 0]].concat();
    assert_eq!(decode::<Sample>(&longer), Err(CodecError::Trailing { extra: 2 }));
}

#[test]
fn nothing_grows_beyond_the_meta_limit() {
    let fits = "x".repeat(META_BYTES_MAX - 8);
    assert_eq!(encode(&fits).unwrap().len(), META_BYTES_MAX);
    assert_eq!(decode::<String>(&encode(&fits).unwrap()), Ok(fits));
    let large = "x".repeat(META_BYTES_MAX - 7);
    let error =
        CodecError::TooLarge { part: "meta", got: META_BYTES_MAX + 1, limit: META_BYTES_MAX };
    assert_eq!(encode(&large), Err(error));
    // A short message that announces a long one allocates nothing for it.
    for length in [META_BYTES_MAX as u64 + 1, 1 << 40, u64::MAX] {
        assert!(decode::<String>(&length.to_le_bytes()).is_err());
        assert!(decode::<Vec<Sample>>(&length.to_le_bytes()).is_err());
        assert!(decode::<Vec<u64>>(&length.to_le_bytes()).is_err());
    }
}

#[test]
fn invalid_contents_are_refused() {
    let name = |text: &str| encode(&text.to_owned()).unwrap();
    assert!(decode::<Name>(&name("eu-1")).is_ok());
    for text in ["", "a/b", "-a", "ü"] {
        assert!(decode::<Name>(&name(text)).is_err(), "{text}");
    }
    assert!(decode::<Sample>(&[9, 0, 0, 0]).is_err(), "an unknown variant");
    assert!(decode::<Option<u8>>(&[2, 0]).is_err(), "an unknown option tag");
    assert!(decode::<bool>(&[2]).is_err(), "a third truth");
    assert!(decode::<String>(&[1, 0, 0, 0, 0, 0, 0, 0, 0xff]).is_err(), "not text");
    let nanos = [&u64::MAX.to_le_bytes()[..], &u32::MAX.to_le_bytes()].concat();
    assert!(decode::<Duration>(&nanos).is_err(), "an overflowing duration");
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        drop(decode::<Sample>(&bytes));
        drop(decode::<Vec<Sample>>(&bytes));
        drop(decode::<(Duration, Name)>(&bytes));
    }
}
