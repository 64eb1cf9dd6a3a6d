//! [`BlockBuilder`]: collects the entries of one data block after the other.
//!
//! Owned by the table writer, which closes a block when it is large enough.
//!
//! Invariants: keys never descend; a block is never empty; its first key is whole.

use crate::codec::{length_u32, put_varint};
use crate::entry::{Entry, Payload, Value};
use crate::sstable::bisect::{PREFIX_BYTES, prefix};
use crate::sstable::references::ReferenceCounter;

use super::entry::{kind, put_pointer};
use super::search::common;
use super::{COUNT_BYTES, RESTART_BYTES, RESTART_INTERVAL, RESTART_SPAN_BYTES};

/// Collects the entries of one block.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    body: Vec<u8>,
    /// Beginnings of the keys of restart points, and where these begin.
    restart_prefixes: Vec<u8>,
    restart_offsets: Vec<u8>,
    key_last: Vec<u8>,
    count: usize,
    /// Entries since the last restart point, and where that one is.
    since_restart: usize,
    restart_at: usize,
    /// Memory for encoded pointers.
    pointer: Vec<u8>,
}

impl BlockBuilder {
    /// Appends an entry whose key is not below the last one; counts its pointer, if it has one.
    pub(crate) fn add(&mut self, key: &[u8], entry: &Entry, references: &mut ReferenceCounter) {
        debug_assert!(self.count == 0 || key >= self.key_last.as_slice(), "keys ascend");
        let shared = if self.wants_restart() {
            self.restart(key);
            0
        } else {
            common(&self.key_last, key)
        };
        let suffix = key.get(shared..).unwrap_or_default();
        assert!(suffix.len() + shared == key.len() && shared <= self.key_last.len());
        let (inline, pointed) = match &entry.value {
            Value::Put(_) => (kind::PUT, kind::PUT_POINTER),
            Value::Merge(_) => (kind::MERGE, kind::MERGE_POINTER),
            Value::Delete => (kind::DELETE, kind::DELETE),
        };
        let (kind, payload) = match entry.value.payload() {
            None => (inline, &[][..]),
            Some(Payload::Inline(bytes)) => (inline, bytes.as_ref()),
            Some(Payload::Stored(pointer)) => {
                self.pointer.clear();
                put_pointer(&mut self.pointer, references.count(key, pointer), pointer);
                (pointed, self.pointer.as_slice())
            }
            Some(Payload::Logged { .. }) => {
                unreachable!("flush decides where a logged value stays")
            }
        };
        self.body.push(kind);
        put_varint(&mut self.body, shared as u64);
        put_varint(&mut self.body, suffix.len() as u64);
        put_varint(&mut self.body, payload.len() as u64);
        put_varint(&mut self.body, entry.sequence);
        self.body.extend_from_slice(suffix);
        self.body.extend_from_slice(payload);
        self.key_last.truncate(shared);
        self.key_last.extend_from_slice(suffix);
        debug_assert!(self.key_last == key);
        self.count += 1;
        self.since_restart += 1;
    }

    /// Bytes the block would have now.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len() + self.restarts() * RESTART_BYTES + COUNT_BYTES
    }

    /// Whether nothing was added since the last [`finish`](BlockBuilder::finish).
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The last key added.
    pub(crate) fn key_last(&self) -> &[u8] {
        &self.key_last
    }

    /// Makes `payload` the block's payload; the builder starts over, keeping its memory.
    pub(crate) fn finish(&mut self, payload: &mut Vec<u8>) {
        assert!(!self.is_empty(), "blocks are never empty");
        assert!(self.restarts() > 0 && self.restarts() <= self.count, "the first key is whole");
        let restarts = length_u32(self.restarts());
        payload.clear();
        payload.append(&mut self.body);
        payload.append(&mut self.restart_prefixes);
        payload.append(&mut self.restart_offsets);
        payload.extend_from_slice(&restarts.to_le_bytes());
        self.key_last.clear();
        self.count = 0;
    }

    fn wants_restart(&self) -> bool {
        self.count == 0
            || self.since_restart >= RESTART_INTERVAL
            || self.body.len() - self.restart_at >= RESTART_SPAN_BYTES
    }

    /// Makes the entry about to be added a restart point.
    fn restart(&mut self, key: &[u8]) {
        self.restart_at = self.body.len();
        self.since_restart = 0;
        self.restart_prefixes.extend_from_slice(&prefix(key));
        self.restart_offsets.extend_from_slice(&length_u32(self.restart_at).to_le_bytes());
    }

    fn restarts(&self) -> usize {
        self.restart_prefixes.len() / PREFIX_BYTES
    }
}
