//! What a read sees: memtables and tables of one moment, up to one sequence number.
//!
//! Taken once at the top of every read; kept longer by a [`Snapshot`].
//!
//! 1. Take the current [`Tree`], then the visible sequence number (in this order: everything in the tree's sealed
//!    memtables and tables is then visible).
//! 2. A get gathers active memtable, sealed memtables, tables, newest to oldest, until a base is found.
//! 3. A scan merges runs over all of them and stops at its limit.
//!
//! Invariants
//! - No lock is held while the disk is read.
//! - A view never changes: memtables only grow beyond its sequence number, versions and tables are immutable.

use std::ops::Range;
use std::sync::Arc;

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::error::Error;
use crate::fold::Stack;
use crate::memtable::Memtable;
use crate::merge::MergeOperator;
use crate::run::{MergedRuns, Run};
use crate::version::Version;

use super::health::Health;

/// Keys a page may look at per entry it may return, so that a page over deleted keys ends.
const KEYS_EXAMINED_PER_ENTRY: usize = 16;

/// The store's parts at one moment.
#[derive(Clone)]
pub(super) struct Tree {
    pub(super) active: Arc<Memtable>,
    /// Newest first.
    pub(super) sealed: Vec<Arc<Memtable>>,
    pub(super) version: Arc<Version>,
}

/// Bounds of one [`ScanPage`]; it ends at whichever is reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanLimit {
    /// Most entries; 0 counts as 1.
    pub entries_max: usize,
    /// Bytes of keys and values after which the page ends; the entry that reaches it is the last.
    pub bytes_max: usize,
}

/// Some entries of a range, in key order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanPage {
    /// Keys and values. May be fewer than the limit, even none, although `next` is set: deleted keys cost work too.
    pub entries: Vec<(Bytes, Bytes)>,
    /// Start of the next page; `None` when the range is exhausted.
    pub next: Option<Vec<u8>>,
}

#[derive(Clone)]
pub(super) struct View {
    pub(super) tree: Arc<Tree>,
    pub(super) sequence: u64,
}

impl View {
    pub(super) fn get(
        &self,
        key: &[u8],
        merge: &dyn MergeOperator,
    ) -> Result<Option<Bytes>, Error> {
        let mut stack = Stack::default();
        let forgets = !self.tree.sealed.is_empty() && seeded_bug(Mutant::SealedMemtableUnread);
        let sealed = if forgets { &[] } else { self.tree.sealed.as_slice() };
        for memtable in std::iter::once(&self.tree.active).chain(sealed) {
            memtable.gather(key, self.sequence, &mut stack);
            if stack.is_settled() {
                return Ok(stack.resolve(key, merge)?);
            }
        }
        self.tree.version.gather(key, &mut stack)?;
        Ok(stack.resolve(key, merge)?)
    }

    pub(super) fn scan(
        &self,
        range: Range<&[u8]>,
        limit: ScanLimit,
        merge: &dyn MergeOperator,
    ) -> Result<ScanPage, Error> {
        let mut page = ScanPage::default();
        if range.start >= range.end {
            return Ok(page);
        }
        let entries_max = limit.entries_max.max(1);
        let examined_max = entries_max.saturating_mul(KEYS_EXAMINED_PER_ENTRY);
        let mut merged = MergedRuns::new(self.runs(range.clone()))?;
        let mut stack = Stack::default();
        let mut bytes = 0;
        let mut examined = 0;
        while let Some((key, _)) = merged.next_key(&mut stack)? {
            if let Some(value) = stack.resolve(&key, merge)? {
                bytes += key.len() + value.len();
                page.entries.push((key, value));
            }
            debug_assert!(range.contains(&page.entries.last().map_or(range.start, |last| &last.0)));
            examined += 1;
            let full = page.entries.len() >= entries_max || bytes >= limit.bytes_max;
            if full || examined >= examined_max {
                page.next = merged.peek_key().map(|key| key.to_vec());
                debug_assert!(page.next.as_deref().is_none_or(|next| next < range.end));
                break;
            }
        }
        assert!(page.entries.len() <= entries_max);
        Ok(page)
    }

    fn runs(&self, range: Range<&[u8]>) -> Vec<Run> {
        let memtables = std::iter::once(&self.tree.active).chain(&self.tree.sealed);
        let mut runs: Vec<Run> = Vec::new();
        for memtable in memtables {
            runs.push(Box::new(memtable.cursor(range.start, Some(range.end), self.sequence)));
        }
        runs.extend(self.tree.version.runs(range.start, Some(range.end)));
        runs
    }
}

/// A consistent view of the store that later writes, flushes and compactions do not change.
///
/// Holds memtables in memory and table files on disk for as long as it lives: drop it soon. Cheap to clone.
#[derive(Clone)]
pub struct Snapshot {
    pub(super) view: View,
    pub(super) merge: Arc<dyn MergeOperator>,
    pub(super) health: Arc<Health>,
}

impl Snapshot {
    /// The value of `key` at the snapshot's moment. See [`Engine::get`](super::Engine::get).
    ///
    /// # Errors
    /// As [`Engine::get`](super::Engine::get).
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.health.check_readable()?;
        self.view.get(key, &*self.merge)
    }

    /// A page of the range at the snapshot's moment. See [`Engine::scan`](super::Engine::scan).
    ///
    /// # Errors
    /// As [`Engine::scan`](super::Engine::scan).
    pub fn scan(&self, range: Range<&[u8]>, limit: ScanLimit) -> Result<ScanPage, Error> {
        self.health.check_readable()?;
        self.view.scan(range, limit, &*self.merge)
    }

    /// Sequence number of the last write that is visible here.
    pub fn sequence(&self) -> u64 {
        self.view.sequence
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("sequence", &self.view.sequence).finish_non_exhaustive()
    }
}
