//! Data blocks: sorted entries with prefix-compressed keys.
//!
//! Filled by the table writer; searched by point reads, walked by cursors.
//!
//! 1. An entry stores how many bytes its key shares with the entry before it, and the rest.
//! 2. Every [`RESTART_INTERVAL`] entries a key is stored whole; the offsets of those entries end the block.
//! 3. A search bisects the restart points, then walks at most one interval.
//!
//! Invariants
//! - Decoding never panics; malformed bytes are [`Malformed`] (the frame's checksum has passed by then, so it means a
//!   bug or a targeted forgery, and is reported as corruption all the same).
//! - Keys of a block ascend, equal keys descend by sequence number.

use bytes::{Buf, Bytes};

use crate::codec::{Reader, length_u32, put_varint};
use crate::entry::{Entry, KeyedEntry, Value};

/// Entries between whole keys: bisecting costs one decode per restart, walking at most 16.
const RESTART_INTERVAL: usize = 16;

/// Length of one restart offset, in bytes: a 32-bit number.
const RESTART_BYTES: usize = 4;

/// The block's bytes contradict its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Collects the entries of one block.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    body: Vec<u8>,
    restarts: Vec<u32>,
    key_last: Vec<u8>,
    count: usize,
}

impl BlockBuilder {
    /// Appends an entry whose key is not below the last one.
    pub(crate) fn add(&mut self, key: &[u8], entry: &Entry) {
        debug_assert!(self.count == 0 || key >= self.key_last.as_slice(), "keys ascend");
        let mut shared = 0;
        if self.count.is_multiple_of(RESTART_INTERVAL) {
            self.restarts.push(length_u32(self.body.len()));
        } else {
            shared = self.key_last.iter().zip(key).take_while(|(ours, new)| ours == new).count();
        }
        assert!(shared <= key.len() && shared <= self.key_last.len());
        let suffix = key.get(shared..).unwrap_or_default();
        let payload = entry.value.payload();
        put_varint(&mut self.body, shared as u64);
        put_varint(&mut self.body, suffix.len() as u64);
        put_varint(&mut self.body, payload.len() as u64);
        put_varint(&mut self.body, entry.sequence);
        self.body.push(entry.value.tag());
        self.body.extend_from_slice(suffix);
        self.body.extend_from_slice(payload);
        self.key_last.clear();
        self.key_last.extend_from_slice(key);
        self.count += 1;
    }

    /// Bytes the block would have now.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len() + (self.restarts.len() + 1) * RESTART_BYTES
    }

    /// Whether nothing was added since the last [`finish`](BlockBuilder::finish).
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The last key added.
    pub(crate) fn key_last(&self) -> &[u8] {
        &self.key_last
    }

    /// The block's payload; the builder starts over.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        assert!(!self.is_empty(), "blocks are never empty");
        assert!(self.restarts.len() == self.count.div_ceil(RESTART_INTERVAL));
        let mut out = std::mem::take(&mut self.body);
        self.restarts.iter().for_each(|restart| out.extend_from_slice(&restart.to_le_bytes()));
        out.extend_from_slice(&length_u32(self.restarts.len()).to_le_bytes());
        self.restarts.clear();
        self.key_last.clear();
        self.count = 0;
        out
    }
}

/// Walks a block's entries in order.
#[derive(Debug)]
pub(crate) struct BlockCursor {
    body: Bytes,
    restarts: Bytes,
    /// What is left of `body`.
    rest: Bytes,
    /// Key of the entry taken last.
    key: Vec<u8>,
    /// An entry that a seek took and nobody was given yet.
    pending: Option<Entry>,
}

/// The fixed part of an entry.
struct EntryHead {
    shared: usize,
    suffix: usize,
    payload: usize,
    sequence: u64,
    tag: u8,
    head_bytes: usize,
}

impl BlockCursor {
    /// A cursor before the first entry of the block with this payload.
    pub(crate) fn new(payload: Bytes) -> Result<BlockCursor, Malformed> {
        let count_at = payload.len().checked_sub(RESTART_BYTES).ok_or(Malformed)?;
        let count =
            Reader::new(payload.get(count_at..).ok_or(Malformed)?).u32().ok_or(Malformed)?;
        let restarts_bytes = usize::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(RESTART_BYTES))
            .ok_or(Malformed)?;
        let body_bytes = count_at.checked_sub(restarts_bytes).ok_or(Malformed)?;
        if count == 0 || body_bytes == 0 {
            return Err(Malformed);
        }
        debug_assert!(body_bytes < count_at && count_at < payload.len());
        let body = payload.slice(..body_bytes);
        let restarts = payload.slice(body_bytes..count_at);
        Ok(BlockCursor { rest: body.clone(), body, restarts, key: Vec::new(), pending: None })
    }

    /// Moves before the first entry whose key is at least `key`.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<(), Malformed> {
        self.go_to(self.restart_before(key)?)?;
        while let Some(entry) = self.advance()? {
            if self.key.as_slice() >= key {
                self.pending = Some(entry);
                break;
            }
        }
        debug_assert!(self.pending.is_none() || self.key.as_slice() >= key);
        Ok(())
    }

    /// The next entry, or `None` at the end.
    pub(crate) fn next_entry(&mut self) -> Result<Option<KeyedEntry>, Malformed> {
        let Some(entry) = self.advance()? else {
            return Ok(None);
        };
        Ok(Some(KeyedEntry { key: Bytes::copy_from_slice(&self.key), entry }))
    }

    /// The next entry if its key is `key`, without copying the key.
    pub(crate) fn next_entry_of(&mut self, key: &[u8]) -> Result<Option<Entry>, Malformed> {
        let entry = self.advance()?;
        Ok(entry.filter(|_| self.key == key))
    }

    /// Whether all entries were taken.
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty() && self.pending.is_none()
    }

    /// Takes one entry; its key is left in `self.key`.
    fn advance(&mut self) -> Result<Option<Entry>, Malformed> {
        if let Some(pending) = self.pending.take() {
            return Ok(Some(pending));
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let head = entry_head(&self.rest).ok_or(Malformed)?;
        let body = self.rest.len() - head.head_bytes;
        if head.shared > self.key.len()
            || head.suffix.checked_add(head.payload).is_none_or(|needed| needed > body)
        {
            return Err(Malformed);
        }
        self.rest.advance(head.head_bytes);
        self.key.truncate(head.shared);
        self.key.extend_from_slice(&self.rest.split_to(head.suffix));
        let payload = self.rest.split_to(head.payload);
        let value = Value::from_tag(head.tag, payload).ok_or(Malformed)?;
        Ok(Some(Entry { sequence: head.sequence, value }))
    }

    fn go_to(&mut self, offset: usize) -> Result<(), Malformed> {
        if offset >= self.body.len() {
            return Err(Malformed);
        }
        self.rest = self.body.slice(offset..);
        self.key.clear();
        self.pending = None;
        Ok(())
    }

    /// Body offset of the last restart whose key is below `key`, or of the first one.
    fn restart_before(&self, key: &[u8]) -> Result<usize, Malformed> {
        let (restarts, _) = self.restarts.as_chunks::<RESTART_BYTES>();
        let mut below = 0;
        let mut above = restarts.len();
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            let offset = restart_offset(restarts, middle)?;
            let bytes = self.body.get(offset..).ok_or(Malformed)?;
            let head = entry_head(bytes).ok_or(Malformed)?;
            let start = head.head_bytes;
            let stored = bytes.get(start..start.saturating_add(head.suffix)).ok_or(Malformed)?;
            // Strictly below: entries of one key may cross a restart.
            if head.shared == 0 && stored < key { below = middle } else { above = middle }
        }
        debug_assert!(below < above, "there is a restart point");
        restart_offset(restarts, below)
    }
}

fn restart_offset(restarts: &[[u8; RESTART_BYTES]], index: usize) -> Result<usize, Malformed> {
    let bytes = restarts.get(index).ok_or(Malformed)?;
    usize::try_from(u32::from_le_bytes(*bytes)).map_err(|_| Malformed)
}

fn entry_head(bytes: &[u8]) -> Option<EntryHead> {
    let mut reader = Reader::new(bytes);
    let shared = reader.length()?;
    let suffix = reader.length()?;
    let payload = reader.length()?;
    let sequence = reader.varint()?;
    let tag = reader.u8()?;
    let head_bytes = bytes.len() - reader.remaining();
    Some(EntryHead { shared, suffix, payload, sequence, tag, head_bytes })
}
