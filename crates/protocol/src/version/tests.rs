//! Contexts: laws, bytes and every small damage to them.

use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::{Context, ContextError, Dot, Timestamp};
use crate::ids::Incarnation;
use crate::limits::VERSION_ENTRIES_MAX;
use crate::time::WallTime;

const TOKEN: u64 = 0x1122_3344_5566_7788;

fn context(entries: &[(u64, u64)], timestamp: u64) -> Context {
    let mut context = Context::new(TOKEN);
    entries
        .iter()
        .for_each(|&(incarnation, counter)| context.observe(Incarnation(incarnation), counter));
    context.observe_timestamp(Timestamp(timestamp));
    context
}

/// `body` with a matching checksum.
fn seal(body: &[u8]) -> Vec<u8> {
    let sum = xxh3_64(body).to_le_bytes();
    [body, &sum[..4]].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// format: context v1
#[test]
fn golden_bytes() {
    let bytes = context(&[(0xa, 7), (0xb00, 1)], 0x0102).encode();
    let expected = [
        "01",               // version
        "8877665544332211", // token
        "0201000000000000", // timestamp
        "0200",             // entries
        "0a00000000000000",
        "0700000000000000",
        "000b000000000000",
        "0100000000000000",
        "fed2354b", // checksum
    ];
    assert_eq!(hex(&bytes), expected.concat());
}

#[test]
fn covers_what_was_observed_and_nothing_more() {
    let context = context(&[(1, 5), (1, 3), (2, 1)], 9);
    let dot = |incarnation, counter| Dot { incarnation: Incarnation(incarnation), counter };
    for (incarnation, counter, is_covered) in
        [(1, 1, true), (1, 5, true), (1, 6, false), (2, 1, true), (2, 2, false), (3, 1, false)]
    {
        assert_eq!(
            context.covers(dot(incarnation, counter)),
            is_covered,
            "{incarnation}:{counter}"
        );
    }
    assert_eq!(context.counter(Incarnation(3)), None);
    assert_eq!(context.timestamp(), Timestamp(9));
    assert_eq!(dot(10, 3).to_string(), "000000000000000a:3");
}

#[test]
fn timestamps_grow_along_causality() {
    let clock = WallTime::from_micros;
    assert_eq!(Timestamp::next(clock(10), Timestamp(3)), Timestamp(10));
    assert_eq!(Timestamp::next(clock(10), Timestamp(10)), Timestamp(11));
    assert_eq!(Timestamp::next(clock(1), Timestamp(99)), Timestamp(100));
    assert_eq!(Timestamp::next(clock(1), Timestamp(u64::MAX)), Timestamp(u64::MAX));
}

#[test]
fn every_truncation_extension_and_bit_flip_is_refused() {
    let bytes = context(&[(3, 1), (4, u64::MAX), (9, 2)], 77).encode();
    assert!(Context::decode(&bytes, TOKEN).is_ok());
    for length in 0..bytes.len() {
        assert!(Context::decode(&bytes[..length], TOKEN).is_err(), "cut at {length}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = Context::decode(&flipped, TOKEN).unwrap_err();
        assert!(matches!(error, ContextError::Damaged { .. }), "bit {bit}");
    }
    assert!(Context::decode(&[&bytes[..], &[0]].concat(), TOKEN).is_err());
}

#[test]
fn another_key_is_refused() {
    let bytes = context(&[(3, 1)], 77).encode();
    assert_eq!(Context::decode(&bytes, TOKEN + 1), Err(ContextError::OtherKey));
}

#[test]
fn well_sealed_nonsense_is_refused() {
    let head = |version: u8, count: u16| {
        let mut body = vec![version];
        body.extend([0; 16]);
        body.extend(count.to_le_bytes());
        body
    };
    let entry = |incarnation: u64| [incarnation.to_le_bytes(), 1u64.to_le_bytes()].concat();
    let bad = [
        (head(2, 0), "its version is unknown"),
        (head(1, 1), "its length does not match"),
        ([head(1, 0), entry(1)].concat(), "its length does not match"),
        ([head(1, 2), entry(1), entry(1)].concat(), "its incarnations are out of order"),
        ([head(1, 2), entry(2), entry(1)].concat(), "its incarnations are out of order"),
    ];
    for (body, what) in bad {
        assert_eq!(Context::decode(&seal(&body), 0), Err(ContextError::Damaged { what }));
    }
    let mut many = head(1, u16::try_from(VERSION_ENTRIES_MAX + 1).unwrap());
    (0..=VERSION_ENTRIES_MAX as u64).for_each(|incarnation| many.extend(entry(incarnation)));
    assert!(Context::decode(&seal(&many), 0).is_err(), "the number of entries is bounded");
    assert!(Context::decode(&seal(&[head(1, 1), entry(1)].concat()), 0).is_ok());
}

#[test]
#[should_panic(expected = "a context belongs to one key")]
fn contexts_of_two_keys_do_not_join() {
    Context::new(1).join(&Context::new(2));
}

fn any_context() -> impl Strategy<Value = Context> {
    (prop::collection::vec((0u64..6, 1u64..9), 0..6), any::<u64>())
        .prop_map(|(entries, timestamp)| context(&entries, timestamp))
}

proptest! {
    #[test]
    fn round_trip_and_join_laws(a in any_context(), b in any_context(), c in any_context()) {
        prop_assert_eq!(Context::decode(&a.encode(), TOKEN), Ok(a.clone()));
        let join = |x: &Context, y: &Context| {
            let mut joined = x.clone();
            joined.join(y);
            joined
        };
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
        prop_assert_eq!(join(&a, &a), a);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), token in any::<u64>()) {
        prop_assert!(Context::decode(&bytes, token).is_err());
        drop(Context::decode(&seal(&bytes), token));
    }
}
