//! Values have their lengths, prove their origin, and nothing else does.

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::{HEADER_BYTES, Lengths, Origin, Values, Writer, check};
use crate::chance::Chance;

fn values(text: &str) -> Values {
    Values::new(text.parse().unwrap(), Chance::new(1, 0, 0))
}

#[test]
fn golden_bytes() {
    let origin = Origin { writer: Writer { run: 0x0102, process: 5 }, key: 3, sequence: 4 };
    let value = values("fixed:32").signed(32, origin);
    let text: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(&text[..48], "414c473102010000030000000000000004000000000005".to_owned() + "00");
    assert_eq!(value.len(), HEADER_BYTES);
}

#[test]
fn lengths_are_read_and_drawn() {
    for (text, least, most) in [("fixed:1k", 1_024, 1_024), ("uniform:100..4k", 100, 4_096)] {
        let lengths: Lengths = text.parse().unwrap();
        assert_eq!((lengths.least, lengths.most), (least, most));
        assert_eq!(lengths.to_string().parse::<Lengths>().unwrap(), lengths);
        let (values, mut chance) = (values(text), Chance::new(1, 0, 0));
        for _ in 0..1_000 {
            let length = values.length(&mut chance);
            assert!((least..=most).contains(&length));
            assert_eq!(values.random(length, chance.draw()).len(), length as usize);
        }
    }
    for (text, word) in [
        ("1k", "fixed:1k"),
        ("normal:5", "fixed:1k"),
        ("fixed:x", "4KiB"),
        ("uniform:5", "uniform:100..4k"),
        ("uniform:9..5", "turn it around"),
        ("fixed:2M", "no cluster"),
    ] {
        let error = text.parse::<Lengths>().unwrap_err();
        assert!(error.contains(word), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn a_signed_value_is_recognised_and_a_changed_one_is_not(
        length in 32u32..300,
        (run, process) in any::<(u32, u16)>(),
        key in any::<u64>(),
        sequence in 0u64..1 << 48,
        (at, bit) in (any::<usize>(), 0u8..8),
    ) {
        let origin = Origin { writer: Writer { run, process }, key, sequence };
        let value = values("uniform:32..300").signed(length, origin);
        prop_assert_eq!(value.len(), length as usize);
        prop_assert_eq!(check(&value, key), Some(origin));
        prop_assert_eq!(check(&value, key ^ 1), None);
        prop_assert_eq!(check(&value[..value.len() - 1], key), None);
        let mut changed = value.to_vec();
        let at = at % changed.len();
        changed[at] ^= 1 << bit;
        prop_assert_eq!(check(&changed, key), None);
    }

    #[test]
    fn foreign_bytes_are_not_recognised(bytes: Vec<u8>, key in any::<u64>()) {
        prop_assert!(check(&bytes, key).is_none());
    }
}
