//! Data blocks: sorted entries with prefix-compressed keys.
//!
//! Filled by the table writer; searched by point reads, walked by cursors.
//!
//! 1. An entry stores how many bytes its key shares with the entry before it, and the rest.
//! 2. Every [`RESTART_SPAN_BYTES`] a key is stored whole; the beginnings of these keys and the offsets of their entries
//!    end the block. How often is the writer's choice: readers do not rely on it.
//! 3. A search bisects the beginnings, which lie together, then walks from one whole key to the next.
//! 4. A value is in the block, or a pointer is: the position of a value file among the table's references, and where in
//!    that file the value is.
//!
//! Invariants
//! - Decoding never panics; malformed bytes are [`Malformed`] (the frame's checksum has passed by then, so it means a
//!   bug or a targeted forgery, and is reported as corruption all the same).
//! - Keys of a block ascend, equal keys descend by sequence number.
//! - Point reads allocate and copy nothing but the entry they return.

mod cursor;

mod builder;

mod search;

mod entry;

#[cfg(test)]
mod tests;

pub(crate) use cursor::BlockCursor;

pub(super) use builder::BlockBuilder;

use bytes::Bytes;

use crate::codec::Reader;

use super::bisect::PREFIX_BYTES;

/// Bytes of entries after which a key is stored whole: four cache lines, of which a search walks two on average. A cold
/// line is what a search costs most. A restart point is 12 bytes, 5 % of that, and what its key could have shared
/// (little: keys begin with a hash).
const RESTART_SPAN_BYTES: usize = 256;

/// Entries after which a key is stored whole in any case: bounds the walk where entries are tiny.
const RESTART_INTERVAL: usize = 16;

/// Length of one restart offset, in bytes: a 32-bit number.
const OFFSET_BYTES: usize = 4;

/// Length of a restart point, in bytes.
const RESTART_BYTES: usize = PREFIX_BYTES + OFFSET_BYTES;

/// Length of the count of restart points, in bytes: a 32-bit number.
const COUNT_BYTES: usize = 4;

/// The block's bytes contradict its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The payload of a data block, and where its restart points begin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block {
    payload: Bytes,
    body_bytes: usize,
    /// Number of restart points.
    restarts: usize,
}

impl Block {
    /// The block with this payload. Takes constant time: entries are checked as they are walked.
    pub(crate) fn new(payload: Bytes) -> Result<Block, Malformed> {
        let count_at = payload.len().checked_sub(COUNT_BYTES).ok_or(Malformed)?;
        let count =
            Reader::new(payload.get(count_at..).ok_or(Malformed)?).u32().ok_or(Malformed)?;
        let restarts = usize::try_from(count).map_err(|_| Malformed)?;
        let restarts_bytes = restarts.checked_mul(RESTART_BYTES).ok_or(Malformed)?;
        let body_bytes = count_at.checked_sub(restarts_bytes).ok_or(Malformed)?;
        if restarts == 0 || body_bytes == 0 {
            return Err(Malformed);
        }
        debug_assert!(body_bytes < count_at && count_at < payload.len());
        Ok(Block { payload, body_bytes, restarts })
    }

    /// The entries.
    fn body(&self) -> &[u8] {
        self.payload.get(..self.body_bytes).unwrap_or_default()
    }

    /// Beginnings of the keys that are whole.
    fn restart_prefixes(&self) -> &[[u8; PREFIX_BYTES]] {
        let end = self.body_bytes + self.restarts * PREFIX_BYTES;
        self.payload.get(self.body_bytes..end).unwrap_or_default().as_chunks().0
    }

    /// Where entry number `at` of those whose keys are whole begins.
    fn restart_offset(&self, at: usize) -> Option<usize> {
        let offsets = self.payload.get(self.body_bytes + self.restarts * PREFIX_BYTES..)?;
        let offset =
            offsets.as_chunks::<OFFSET_BYTES>().0.get(at).filter(|_| at < self.restarts)?;
        usize::try_from(u32::from_le_bytes(*offset)).ok()
    }
}
