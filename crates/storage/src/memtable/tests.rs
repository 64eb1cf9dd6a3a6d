//! Visibility by sequence number, stored joins of hot keys, and cursors that agree with gathers.

use std::sync::Arc;

use bytes::Bytes;

use super::Memtable;
use super::cursor::CURSOR_KEYS_MAX;
use crate::entry::{Fetch, Payload, Pointer, Value, digest};
use crate::error::Error;
use crate::fold::Stack;
use crate::merge::{MergeError, MergeOperator};

struct Concat;

impl MergeOperator for Concat {
    fn merge(
        &self,
        _key: &[u8],
        existing: Option<&Bytes>,
        operands: &[Bytes],
    ) -> Result<Bytes, MergeError> {
        Ok(existing.into_iter().chain(operands).flatten().copied().collect())
    }
}

/// A memtable has no pointers.
struct Nowhere;

impl Fetch for Nowhere {
    fn fetch(&self, pointer: &Pointer) -> Result<Bytes, Error> {
        panic!("{pointer:?}")
    }
}

fn payload(bytes: &[u8]) -> Payload {
    Payload::Logged { bytes: Bytes::copy_from_slice(bytes), offset: 0, digest: digest(bytes) }
}

fn read(memtable: &Memtable, key: &str, sequence: u64) -> Option<Bytes> {
    let mut stack = Stack::default();
    memtable.gather(key.as_bytes(), sequence, &mut stack);
    stack.resolve(key.as_bytes(), &Concat, &Nowhere).unwrap().into_value()
}

fn insert(memtable: &Memtable, sequence: u64, key: &str, value: Value) {
    let key = Bytes::copy_from_slice(key.as_bytes());
    memtable.insert(sequence, [(key, value)].into_iter(), &Concat);
}

#[test]
fn a_hot_key_reads_right_at_every_sequence() {
    let memtable = Memtable::new(1, 0);
    let letters: Vec<u8> = (0..200u8).map(|index| b'a' + index % 26).collect();
    for (index, letter) in letters.iter().enumerate() {
        let operand = Value::Merge(payload(&[*letter]));
        insert(&memtable, index as u64 + 1, "hot", operand);
    }
    for sequence in 1..=letters.len() {
        let value = read(&memtable, "hot", sequence as u64).unwrap();
        assert_eq!(value, letters[..sequence], "at {sequence}");
        let mut stack = Stack::default();
        memtable.gather(b"hot", sequence as u64, &mut stack);
        assert!(format!("{stack:?}").matches("Merge").count() <= 17, "a read joins few operands");
    }
    assert_eq!(read(&memtable, "hot", 0), None);
}

#[test]
fn a_delete_hides_until_the_next_operand() {
    let memtable = Memtable::new(1, 10);
    insert(&memtable, 11, "k", Value::Put(payload(b"a")));
    insert(&memtable, 12, "k", Value::Delete);
    insert(&memtable, 13, "k", Value::Merge(payload(b"b")));
    let at = |sequence| read(&memtable, "k", sequence);
    assert_eq!(at(11).as_deref(), Some(&b"a"[..]));
    assert_eq!(at(12), None);
    assert_eq!(at(13).as_deref(), Some(&b"b"[..]));
    assert_eq!(memtable.sequence_last(), 13);
}

#[test]
fn a_cursor_crosses_refills_and_respects_its_range() {
    let memtable = Arc::new(Memtable::new(1, 0));
    let count = CURSOR_KEYS_MAX * 3 + 5;
    for index in 0..count {
        let value = Value::Put(payload(b"v"));
        insert(&memtable, index as u64 + 1, &format!("{index:05}"), value);
    }
    let keys = |start: &str, end: Option<&str>, sequence| {
        let end = end.map(str::as_bytes);
        let mut cursor = memtable.cursor(start.as_bytes(), end, sequence);
        std::iter::from_fn(|| cursor.take()).count()
    };
    assert_eq!(keys("", None, u64::MAX), count);
    assert_eq!(keys("00010", Some("00300"), u64::MAX), 290);
    assert_eq!(keys("", None, 200), 200);
    assert_eq!(keys("5", Some("5"), u64::MAX), 0);
    assert_eq!(keys("6", Some("5"), u64::MAX), 0);
}

#[test]
fn a_cursor_walks_all_shards_in_order() {
    let memtable = Arc::new(Memtable::new(1, 0));
    let mut sequence = 0;
    for byte in (0..=255u8).rev() {
        for tail in [&[][..], &[0], &[7, 7]] {
            sequence += 1;
            let key = Bytes::from([&[byte][..], tail].concat());
            memtable.insert(sequence, [(key, Value::Delete)].into_iter(), &Concat);
        }
    }
    let mut cursor = memtable.cursor(&[3, 1], Some(&[200]), u64::MAX);
    let mut keys = Vec::new();
    while let Some(key) = cursor.key().map(<[u8]>::to_vec) {
        keys.push(key);
        assert!(cursor.take().is_some());
    }
    assert!(keys.is_sorted());
    assert_eq!((keys.first(), keys.last()), (Some(&vec![3, 7, 7]), Some(&vec![199, 7, 7])));
    assert_eq!(keys.len(), 1 + 3 * 196);
}
