use proptest::prelude::*;

use super::*;

/// Stored data depends on these: a change here is a change of the disk format.
#[test]
fn golden_tokens() {
    let rows: [(u64, &[u8], u64); 5] = [
        (0, b"", 0x2d06_8005_38d3_94c2),
        (1, b"", 0x4dc5_b0cc_826f_6703),
        (1, b"user:42", 0xe8bb_52a8_a184_7081),
        (2, b"user:42", 0x945a_b153_b856_edb0),
        (1, &[0xff; 300], 0x357c_796d_d4d8_3e0b),
    ];
    for (keyspace, key, token) in rows {
        assert_eq!(Token::of(KeyspaceId(keyspace), key).to_string(), Token(token).to_string());
    }
}

#[test]
fn the_count_is_checked() {
    for count in [1, 2, 256, 1_024, PARTITIONS_MAX] {
        assert_eq!(Partitions::new(count).unwrap().count(), count);
    }
    for count in [0, 3, 1_000, PARTITIONS_MAX * 2, u32::MAX] {
        assert_eq!(Partitions::new(count), Err(PartitionsError { got: count }));
    }
}

#[test]
fn ranges_of_small_counts() {
    let one = Partitions::new(1).unwrap();
    assert_eq!(one.token_range(Partition(0)), Some((Token(0), Token(u64::MAX))));
    assert_eq!(one.token_range(Partition(1)), None);
    assert_eq!(one.partition_of(Token(u64::MAX)), Partition(0));
    let four = Partitions::new(4).unwrap();
    let quarter = 1 << 62;
    assert_eq!(four.token_range(Partition(1)), Some((Token(quarter), Token(2 * quarter - 1))));
    assert_eq!(four.token_range(Partition(3)), Some((Token(3 * quarter), Token(u64::MAX))));
    assert_eq!(four.iter().count(), 4);
}

#[test]
fn ranges_cover_every_token_once() {
    for bits in 0..=PARTITIONS_MAX.trailing_zeros() {
        let partitions = Partitions::new(1 << bits).unwrap();
        let mut next = Some(0);
        for partition in partitions.iter() {
            let (first, last) = partitions.token_range(partition).unwrap();
            assert_eq!(Some(first.0), next);
            next = last.0.checked_add(1);
        }
        assert_eq!(next, None, "the last range ends with the last token");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_token_lies_in_the_range_of_its_partition(token: u64, bits in 0u32..=16) {
        let partitions = Partitions::new(1 << bits).unwrap();
        let (first, last) = partitions.token_range(partitions.partition_of(Token(token))).unwrap();
        prop_assert!(first <= Token(token) && Token(token) <= last);
    }
}
