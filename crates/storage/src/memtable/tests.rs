//! Visibility by sequence number, stored joins of hot keys, and cursors that agree with gathers.

use std::sync::Arc;

use bytes::Bytes;

use super::{CURSOR_KEYS_MAX, Memtable};
use crate::entry::Value;
use crate::fold::Stack;
use crate::merge::{MergeError, MergeOperator};

struct Concat;

impl MergeOperator for Concat {
    fn merge(
        &self,
        _key: &[u8],
        existing: Option<&[u8]>,
        operands: &[&[u8]],
    ) -> Result<Vec<u8>, MergeError> {
        Ok([existing.unwrap_or_default(), &operands.concat()].concat())
    }
}

fn read(memtable: &Memtable, key: &str, sequence: u64) -> Option<Bytes> {
    let mut stack = Stack::default();
    memtable.gather(key.as_bytes(), sequence, &mut stack);
    stack.resolve(key.as_bytes(), &Concat).unwrap()
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
        let operand = Value::Merge(Bytes::copy_from_slice(&[*letter]));
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
    insert(&memtable, 11, "k", Value::Put(Bytes::from_static(b"a")));
    insert(&memtable, 12, "k", Value::Delete);
    insert(&memtable, 13, "k", Value::Merge(Bytes::from_static(b"b")));
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
        let value = Value::Put(Bytes::from_static(b"v"));
        insert(&memtable, index as u64 + 1, &format!("{index:05}"), value);
    }
    let keys = |start: &str, end: Option<&str>, sequence| {
        let end = end.map(str::as_bytes);
        memtable
            .cursor(start.as_bytes(), end, sequence)
            .map(Result::unwrap)
            .fold(0, |count, _| count + 1)
    };
    assert_eq!(keys("", None, u64::MAX), count);
    assert_eq!(keys("00010", Some("00300"), u64::MAX), 290);
    assert_eq!(keys("", None, 200), 200);
    assert_eq!(keys("5", Some("5"), u64::MAX), 0);
    assert_eq!(keys("6", Some("5"), u64::MAX), 0);
}
