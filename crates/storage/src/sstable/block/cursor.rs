//! [`BlockCursor`]: walks the entries of blocks, one after the other, without allocating.
//!
//! Owned by the table's cursor, which gives it the next block when it is at the end of one.
//!
//! 1. The current key is in a buffer that all entries and all blocks share: a step cuts it and appends the suffix.
//! 2. The value stays in the block until it is asked for; then it is a slice of the block's bytes.
//!
//! Invariants
//! - At the end, and after an error, there is no current key and no current entry.
//! - Keys ascend and equal keys descend by sequence number, from block to block as well: what does not is malformed.

use std::cmp::Ordering;

use crate::entry::Entry;
use crate::sstable::bisect::{PREFIX_BYTES, prefix};

use super::entry::{EntryHead, Stored};
use super::{Block, Malformed};

/// Stands on an entry of a block, or at its end.
#[derive(Debug, Default)]
pub(crate) struct BlockCursor {
    block: Block,
    /// Where the entry behind the current one begins.
    next: usize,
    /// The current key; at the end of a block, its last one.
    key: Vec<u8>,
    /// The sequence number of that key's entry; `None` where the walk begins.
    sequence: Option<u64>,
    current: Option<(EntryHead, Stored)>,
}

impl BlockCursor {
    /// Moves to the first entry of `block`, which is behind all entries walked so far.
    pub(crate) fn enter(&mut self, block: Block, file_ids: &[u64]) -> Result<(), Malformed> {
        self.block = block;
        self.go_to(0, file_ids)
    }

    /// Moves to the first entry of the block whose key is at least `key`.
    pub(crate) fn seek(&mut self, key: &[u8], file_ids: &[u64]) -> Result<(), Malformed> {
        self.current = None;
        self.sequence = None;
        self.go_to(self.block.restart_before(key)?, file_ids)?;
        while self.key().is_some_and(|current| current < key) {
            self.advance(file_ids)?;
        }
        debug_assert!(self.key().is_none_or(|current| current >= key));
        Ok(())
    }

    /// Moves to the next entry, or to the end.
    #[inline]
    pub(crate) fn advance(&mut self, file_ids: &[u64]) -> Result<(), Malformed> {
        self.current = None;
        let body = self.block.body();
        if self.next >= body.len() {
            return Ok(());
        }
        let head = EntryHead::decode(body, self.next).ok_or(Malformed)?;
        let stored = head.stored(body, file_ids).ok_or(Malformed)?;
        let suffix = head.suffix(body);
        let rest = self.key.get(head.shared..).ok_or(Malformed)?;
        if let Some(newer) = self.sequence {
            // Up to `rest` and `suffix` both keys are the same.
            match rest.cmp(suffix) {
                Ordering::Less => {}
                Ordering::Equal if newer > head.sequence => {}
                Ordering::Equal | Ordering::Greater => return Err(Malformed),
            }
        }
        self.key.truncate(head.shared);
        self.key.extend_from_slice(suffix);
        self.sequence = Some(head.sequence);
        debug_assert!(head.end > self.next, "every step leads on");
        self.next = head.end;
        self.current = Some((head, stored));
        Ok(())
    }

    /// Moves to the end and lets the block go.
    pub(crate) fn leave(&mut self) {
        self.current = None;
        self.block = Block::default();
        self.next = 0;
    }

    /// The current key.
    #[inline]
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.current.is_some().then_some(self.key.as_slice())
    }

    /// The current entry.
    #[inline]
    pub(crate) fn entry(&self) -> Option<Entry> {
        self.current.map(|(head, stored)| head.entry(stored, &self.block.payload))
    }

    /// Whether every restart point is one of `offsets`, where all entries of the block begin, and has its whole key.
    pub(crate) fn has_restarts_among(&self, offsets: &[usize]) -> bool {
        let body = self.block.body();
        let prefixes = self.block.restart_prefixes();
        let restarts = (0..prefixes.len()).map_while(|at| self.block.restart_offset(at));
        let whole = |(offset, stored): (usize, &[u8; PREFIX_BYTES])| {
            let head = EntryHead::decode(body, offset).filter(|head| head.shared == 0);
            offsets.binary_search(&offset).is_ok()
                && head.is_some_and(|head| prefix(head.suffix(body)) == *stored)
        };
        restarts.clone().next() == Some(0)
            && restarts.clone().is_sorted_by(|left, right| left < right)
            && restarts.zip(prefixes).filter(|restart| whole(*restart)).count() == prefixes.len()
    }

    /// Where the entry behind the current one begins.
    pub(crate) fn next_offset(&self) -> usize {
        self.next
    }

    fn go_to(&mut self, offset: usize, file_ids: &[u64]) -> Result<(), Malformed> {
        self.next = offset;
        self.current = None;
        let body = self.block.body();
        if EntryHead::decode(body, offset).is_none_or(|head| head.shared > 0) {
            return Err(Malformed);
        }
        self.advance(file_ids)
    }
}
