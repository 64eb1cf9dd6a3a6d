//! [`Batch`]: writes that become durable and visible together.
//!
//! Built by the caller, queued by group commit, copied as it is into a log record, and sliced into the memtable
//! without another copy.
//!
//! 1. Each operation is appended to one buffer in the log's entry format (`docs/formats-storage.md`).
//! 2. The log writes the buffer; replay and the memtable read it back with [`operations`].
//!
//! Invariant: operations keep their order; a later one of the same key wins over (or joins onto) an earlier one.

use bytes::Bytes;

use crate::codec::{Reader, put_varint};
use crate::entry::Value;

/// Operations that are applied atomically by [`Engine::write`](crate::Engine::write).
#[derive(Clone, Debug, Default)]
pub struct Batch {
    encoded: Vec<u8>,
    count: u32,
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
        self.push(&Value::Put(Bytes::new()), key, value);
    }

    /// Adds an operand that joins with what `key` holds, without reading it.
    pub fn merge(&mut self, key: &[u8], operand: &[u8]) {
        self.push(&Value::Merge(Bytes::new()), key, operand);
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: &[u8]) {
        self.push(&Value::Delete, key, &[]);
    }

    /// Number of operations.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes this batch takes in the log.
    pub fn encoded_len(&self) -> usize {
        self.encoded.len()
    }

    pub(crate) fn key_bytes_longest(&self) -> usize {
        self.key_bytes_longest
    }

    pub(crate) fn value_bytes_longest(&self) -> usize {
        self.value_bytes_longest
    }

    /// The operations in the log's format, without a copy.
    pub(crate) fn into_encoded(self) -> Bytes {
        Bytes::from(self.encoded)
    }

    fn push(&mut self, kind: &Value, key: &[u8], value: &[u8]) {
        const LENGTHS_BYTES_MAX: usize = 10; // two varints of at most 5 bytes each below 4 GiB
        self.encoded.reserve(1 + LENGTHS_BYTES_MAX + key.len() + value.len());
        debug_assert!(value.is_empty() || *kind != Value::Delete, "a delete has no value");
        self.encoded.push(kind.tag());
        put_varint(&mut self.encoded, key.len() as u64);
        put_varint(&mut self.encoded, value.len() as u64);
        self.encoded.extend_from_slice(key);
        self.encoded.extend_from_slice(value);
        self.count = self.count.checked_add(1).expect("a batch of 4 billion operations");
        self.key_bytes_longest = self.key_bytes_longest.max(key.len());
        self.value_bytes_longest = self.value_bytes_longest.max(value.len());
    }
}

/// Iterates over operations in the log's format; `None` as an item means malformed bytes and ends the iteration.
pub(crate) fn operations(encoded: Bytes) -> Operations {
    Operations { encoded }
}

/// See [`operations`].
pub(crate) struct Operations {
    encoded: Bytes,
}

impl Iterator for Operations {
    type Item = Option<(Bytes, Value)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.encoded.is_empty() {
            return None;
        }
        let operation = self.take_operation();
        if operation.is_none() {
            self.encoded.clear();
        }
        Some(operation)
    }
}

impl Operations {
    fn take_operation(&mut self) -> Option<(Bytes, Value)> {
        let mut reader = Reader::new(&self.encoded);
        let tag = reader.u8()?;
        let key_bytes = reader.length()?;
        let value_bytes = reader.length()?;
        let body = reader.remaining();
        if key_bytes.checked_add(value_bytes)? > body {
            return None;
        }
        let header_bytes = self.encoded.len() - body;
        let _ = self.encoded.split_to(header_bytes);
        let key = self.encoded.split_to(key_bytes);
        let payload = self.encoded.split_to(value_bytes);
        Some((key, Value::from_tag(tag, payload)?))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{Batch, operations};
    use crate::entry::Value;

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
        let expected = vec![
            Some((Bytes::from_static(b"a"), Value::Put(Bytes::from_static(b"1")))),
            Some((Bytes::from_static(b"bb"), Value::Merge(Bytes::new()))),
            Some((Bytes::from_static(b"a"), Value::Delete)),
        ];
        assert_eq!(batch.encoded_len(), batch.clone().into_encoded().len());
        assert_eq!(operations(batch.into_encoded()).collect::<Vec<_>>(), expected);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_always_end(bytes: Vec<u8>) {
            prop_assert!(operations(Bytes::from(bytes)).count() <= 100);
        }
    }
}
