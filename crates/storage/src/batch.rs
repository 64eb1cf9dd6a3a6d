//! [`Batch`]: writes that become durable and visible together.
//!
//! Built by the caller, queued by group commit, becomes a log record or a part of one, which the memtable keeps slices of.
//!
//! 1. Each operation is appended to one buffer in the log's entry format (`docs/formats-storage.md`), behind room for the
//!    header of a record: a long batch that is a record of its own is never copied.
//! 2. The log writes the buffer; replay, the memtable and whoever checks a value file read it back with [`operations`].
//!
//! Invariant: operations keep their order; a later one of the same key wins over (or joins onto) an earlier one.

use bytes::{Buf, Bytes};

use crate::codec::{Reader, put_varint};
use crate::entry::{Payload, Value, digest};

/// Bytes in front of the operations, which the log fills with the header of its record.
pub(crate) const HEADROOM_BYTES: usize = 32;

/// Bytes from which a batch is worth a block of memory of its own, instead of a copy into one with others.
const LONG_BYTES: usize = 4_096;

/// Bytes of an operation beside key and value: its kind, and two varints of at most 5 bytes each below 4 GiB.
const OPERATION_OVERHEAD_BYTES_MAX: usize = 1 + 5 + 5;

/// Operations that are applied atomically by [`Engine::write`](crate::Engine::write).
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Empty, or [`HEADROOM_BYTES`] and the operations.
    record: Vec<u8>,
    /// Of each operation's value: taken here, where the value is in the processor's cache anyway.
    digests: Vec<u64>,
    key_bytes_longest: usize,
    value_bytes_longest: usize,
}

impl Batch {
    /// An empty batch. Writing it is allowed and does nothing.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Replaces the value of `key`.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.push(OperationKind::Put, key, value);
    }

    /// Adds an operand that joins with what `key` holds, without reading it.
    pub fn merge(&mut self, key: &[u8], operand: &[u8]) {
        self.push(OperationKind::Merge, key, operand);
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: &[u8]) {
        self.push(OperationKind::Delete, key, &[]);
    }

    /// One batch of the operations of all, in order: they become durable and visible together.
    ///
    /// Cost: one copy, unless there is one batch only.
    pub fn concat(batches: Vec<Batch>) -> Batch {
        if batches.len() == 1 {
            return batches.into_iter().next().unwrap_or_default();
        }
        let mut all = Batch::new();
        let bytes = batches.iter().map(Batch::encoded_len).sum::<usize>();
        all.record.reserve_exact(HEADROOM_BYTES + bytes);
        all.record.resize(HEADROOM_BYTES, 0);
        all.digests.reserve_exact(batches.iter().map(Batch::len).sum());
        for batch in batches {
            all.record.extend_from_slice(batch.record.get(HEADROOM_BYTES..).unwrap_or_default());
            all.digests.extend_from_slice(&batch.digests);
            all.key_bytes_longest = all.key_bytes_longest.max(batch.key_bytes_longest);
            all.value_bytes_longest = all.value_bytes_longest.max(batch.value_bytes_longest);
        }
        all
    }

    /// Makes room for `operations` more, with so many bytes of keys and values in all: what is known beforehand need not
    /// be copied as the batch grows.
    pub fn reserve(&mut self, operations: usize, bytes: usize) {
        let overhead = OPERATION_OVERHEAD_BYTES_MAX.saturating_mul(operations);
        let headroom = HEADROOM_BYTES.saturating_sub(self.record.len());
        self.record.reserve_exact(bytes.saturating_add(overhead).saturating_add(headroom));
        self.record.resize(self.record.len().max(HEADROOM_BYTES), 0);
        self.digests.reserve_exact(operations);
    }

    /// Number of operations.
    pub fn len(&self) -> usize {
        self.digests.len()
    }

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// Bytes this batch takes in the log.
    pub fn encoded_len(&self) -> usize {
        self.record.len().saturating_sub(HEADROOM_BYTES)
    }

    pub(crate) fn key_bytes_longest(&self) -> usize {
        self.key_bytes_longest
    }

    pub(crate) fn value_bytes_longest(&self) -> usize {
        self.value_bytes_longest
    }

    /// The operations in the log's format, and the digests of their values.
    pub(crate) fn into_part(self) -> Part {
        Part { record: self.record, digests: self.digests }
    }

    fn push(&mut self, kind: OperationKind, key: &[u8], value: &[u8]) {
        debug_assert!(value.is_empty() || kind != OperationKind::Delete, "a delete has no value");
        if self.record.is_empty() {
            let bytes = HEADROOM_BYTES + OPERATION_OVERHEAD_BYTES_MAX + key.len() + value.len();
            self.record.reserve_exact(bytes);
            self.record.resize(HEADROOM_BYTES, 0);
        }
        put_operation(&mut self.record, kind, key, value);
        self.digests.push(digest(value));
        self.key_bytes_longest = self.key_bytes_longest.max(key.len());
        self.value_bytes_longest = self.value_bytes_longest.max(value.len());
    }
}

/// A batch on its way to the log.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// [`HEADROOM_BYTES`] and the operations in the log's format.
    record: Vec<u8>,
    /// The digest of each operation's value.
    pub(crate) digests: Vec<u64>,
}

impl Part {
    /// The operations in the log's format.
    pub(crate) fn operations(&self) -> &[u8] {
        self.record.get(HEADROOM_BYTES..).unwrap_or_default()
    }

    /// The headroom and the operations, if it is long and fills its memory: the part has no operations then any more.
    pub(crate) fn take_long_record(&mut self) -> Option<Vec<u8>> {
        let (bytes, unused) = (self.record.len(), self.record.capacity() - self.record.len());
        (bytes >= LONG_BYTES && unused <= bytes / 8).then(|| std::mem::take(&mut self.record))
    }
}

/// What an operation does, as a byte in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OperationKind {
    /// Replaces.
    Put = 1,
    /// Joins.
    Merge = 2,
    /// Removes.
    Delete = 3,
}

impl OperationKind {
    fn from_tag(tag: u8) -> Option<OperationKind> {
        match tag {
            1 => Some(OperationKind::Put),
            2 => Some(OperationKind::Merge),
            3 => Some(OperationKind::Delete),
            _ => None,
        }
    }
}

/// Appends an operation in the log's format; returns where in `out` its value begins.
pub(crate) fn put_operation(
    out: &mut Vec<u8>,
    kind: OperationKind,
    key: &[u8],
    value: &[u8],
) -> usize {
    out.reserve(OPERATION_OVERHEAD_BYTES_MAX + key.len() + value.len());
    out.push(kind as u8);
    put_varint(out, key.len() as u64);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(key);
    let value_at = out.len();
    out.extend_from_slice(value);
    value_at
}

/// One operation, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    /// What it does.
    pub(crate) kind: OperationKind,
    /// The key.
    pub(crate) key: Bytes,
    /// Value or operand; empty for a delete.
    pub(crate) value: Bytes,
    /// Where the value begins in the encoded operations.
    pub(crate) value_at: usize,
}

impl Operation {
    /// As the memtable keeps it, given where in the segment the encoded operations begin, and the value's digest.
    pub(crate) fn into_logged(self, begin: u64, digest: u64) -> (Bytes, Value) {
        let offset = begin + self.value_at as u64;
        let payload = Payload::Logged { bytes: self.value, offset, digest };
        let value = match self.kind {
            OperationKind::Put => Value::Put(payload),
            OperationKind::Merge => Value::Merge(payload),
            OperationKind::Delete => Value::Delete,
        };
        (self.key, value)
    }
}

/// Iterates over operations in the log's format; `None` as an item means malformed bytes and ends the iteration.
pub(crate) fn operations(encoded: Bytes) -> Operations {
    Operations { rest: encoded, taken: 0 }
}

/// See [`operations`].
pub(crate) struct Operations {
    rest: Bytes,
    /// Bytes before `rest`.
    taken: usize,
}

impl Iterator for Operations {
    type Item = Option<Operation>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let operation = self.take_operation();
        if operation.is_none() {
            self.rest.clear();
        }
        Some(operation)
    }
}

impl Operations {
    fn take_operation(&mut self) -> Option<Operation> {
        let whole = self.rest.len();
        let mut reader = Reader::new(&self.rest);
        let kind = OperationKind::from_tag(reader.u8()?)?;
        let key_bytes = reader.length()?;
        let value_bytes = reader.length()?;
        let body = reader.remaining();
        if key_bytes.checked_add(value_bytes)? > body {
            return None;
        }
        if kind == OperationKind::Delete && value_bytes > 0 {
            return None;
        }
        self.rest.advance(whole - body);
        let key = self.rest.split_to(key_bytes);
        let value = self.rest.split_to(value_bytes);
        let end = self.taken + whole - self.rest.len();
        self.taken = end;
        Some(Operation { kind, key, value, value_at: end - value_bytes })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{Batch, HEADROOM_BYTES, OperationKind, operations};

    #[test]
    fn operations_come_back_in_order() {
        let mut batch = Batch::new();
        batch.put(b"a", b"1");
        batch.merge(b"bb", b"");
        batch.delete(b"a");
        assert_eq!(
            (batch.len(), batch.key_bytes_longest(), batch.value_bytes_longest()),
            (3, 2, 1)
        );
        let (length, part) = (batch.encoded_len(), batch.into_part());
        assert_eq!((length, 3), (part.operations().len(), part.digests.len()));
        assert_eq!(part.digests[0], super::digest(b"1"));
        let encoded = Bytes::copy_from_slice(part.operations());
        let read: Vec<_> = operations(encoded.clone()).map(Option::unwrap).collect();
        let shape: Vec<_> = read.iter().map(|op| (op.kind, &op.key[..], &op.value[..])).collect();
        let expected = [
            (OperationKind::Put, &b"a"[..], &b"1"[..]),
            (OperationKind::Merge, b"bb", b""),
            (OperationKind::Delete, b"a", b""),
        ];
        assert_eq!(shape, expected);
        for op in read {
            assert_eq!(encoded.slice(op.value_at..op.value_at + op.value.len()), op.value);
        }
    }

    #[test]
    fn only_long_batches_in_memory_that_they_fill_are_taken_whole() {
        let part = |values: &[usize]| {
            let mut batch = Batch::new();
            values.iter().for_each(|bytes| batch.put(b"key", &vec![1; *bytes]));
            batch.into_part()
        };
        assert!(part(&[1_000]).take_long_record().is_none());
        // The second value doubles the memory.
        assert!(part(&[5_000, 1]).take_long_record().is_none());
        let (mut long, same) = (part(&[5_000]), part(&[5_000]));
        let record = long.take_long_record().unwrap();
        assert_eq!(record[HEADROOM_BYTES..], *same.operations());
        assert!(long.operations().is_empty());
    }

    #[test]
    fn a_batch_behind_another_is_the_same_as_one_of_all_operations() {
        let fill = |batch: &mut Batch, keys: &[&[u8]]| {
            keys.iter().for_each(|key| batch.merge(key, &[7; 40]));
        };
        let (first, second): (&[&[u8]], &[&[u8]]) = (&[b"a", b"longest"], &[b"bb", b"a"]);
        assert!(Batch::concat(Vec::new()).is_empty());
        for (first, second) in [(first, second), (first, &[]), (&[], second), (&[], &[])] {
            let mut together = Batch::new();
            fill(&mut together, &[first, second].concat());
            let (mut front, mut back) = (Batch::new(), Batch::new());
            fill(&mut front, first);
            back.reserve(second.len(), 300);
            fill(&mut back, second);
            let front = Batch::concat(vec![front, back]);
            assert_eq!(front.len(), together.len());
            assert_eq!(front.encoded_len(), together.encoded_len());
            assert_eq!(front.key_bytes_longest(), together.key_bytes_longest());
            assert_eq!(front.value_bytes_longest(), together.value_bytes_longest());
            let (front, together) = (front.into_part(), together.into_part());
            assert_eq!(front.operations(), together.operations());
            assert_eq!(front.digests, together.digests);
        }
    }

    #[test]
    fn a_batch_that_was_given_room_does_not_move() {
        let mut batch = Batch::new();
        batch.reserve(3, 3 * 2_000);
        let capacity = batch.record.capacity();
        (0..3).for_each(|_| batch.put(&[1; 500], &[2; 1_500]));
        assert_eq!(batch.record.capacity(), capacity);
        assert!(batch.into_part().take_long_record().is_some());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_always_end(bytes: Vec<u8>) {
            prop_assert!(operations(Bytes::from(bytes)).count() <= 100);
        }
    }
}
