//! What a read sees: memtables and tables of one moment, up to one sequence number.
//!
//! Taken once at the top of every read; kept longer by a [`Snapshot`](super::Snapshot).
//!
//! 1. Take the current [`Tree`], then the visible sequence number (in this order: everything in the tree's sealed
//!    memtables and tables is then visible).
//! 2. A get gathers active memtable, sealed memtables, tables, newest to oldest, until a base is found, or an operand of which
//!    the cache knows what it comes to.
//! 3. A scan merges runs over all of them and stops at its limit.
//! 4. Values are read through the cache by gets; scans read what is cached, and leave the cache as it is.
//!
//! Invariants
//! - No lock is held while the disk is read.
//! - A view never changes: memtables only grow beyond its sequence number, versions and tables are immutable.

use std::ops::Range;
use std::sync::Arc;

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::cache::{Cache, CacheClass, CacheUse};
use crate::compaction::Values;
use crate::dropped::floor_of;
use crate::entry::{Fetch, Pointer};
use crate::error::Error;
use crate::fold::{Resolved, Stack};
use crate::memtable::Memtable;
use crate::merge::MergeOperator;
use crate::run::{MergedRuns, Run};
use crate::sstable::KeyHash;
use crate::value_log::ValueKind;
use crate::version::Version;

use super::scan::{DigestPage, Page, ScanLimit, ScanPage};

/// The store's parts at one moment.
#[derive(Clone)]
pub(super) struct Tree {
    pub(super) active: Arc<Memtable>,
    /// Newest first.
    pub(super) sealed: Vec<Arc<Memtable>>,
    pub(super) version: Arc<Version>,
}

/// A read's eyes on one moment.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) tree: &'a Tree,
    pub(super) sequence: u64,
    pub(super) cache: &'a Cache,
    pub(super) merge: &'a dyn MergeOperator,
}

impl View<'_> {
    pub(super) fn get(&self, key: &[u8], usage: CacheUse) -> Result<Option<Bytes>, Error> {
        let mut stack = Stack::default();
        stack.begin(floor_of(self.tree.version.dropped(), key));
        let fetch = Reading { version: &self.tree.version, cache: self.cache, usage };
        let forgets = !self.tree.sealed.is_empty() && seeded_bug(Mutant::SealedMemtableUnread);
        let sealed = if forgets { &[] } else { self.tree.sealed.as_slice() };
        for memtable in std::iter::once(&self.tree.active).chain(sealed) {
            let is_first = stack.is_empty();
            memtable.gather(key, self.sequence, &mut stack);
            if let Some(value) = self.settled(key, (&stack, is_first), &fetch)? {
                return Ok(value);
            }
        }
        let hash = KeyHash::of(key);
        for table in self.tree.version.tables_of(key) {
            let is_first = stack.is_empty();
            table.gather(key, hash, (&mut stack, usage))?;
            if let Some(value) = self.settled(key, (&stack, is_first), &fetch)? {
                return Ok(value);
            }
        }
        self.resolve(key, &stack, &fetch)
    }

    /// What `key` comes to, if the entries so far settle it: down to a base, or because what its newest entry, the first one
    /// that was found, comes to is known.
    fn settled(
        &self,
        key: &[u8],
        (stack, is_first): (&Stack, bool),
        fetch: &Reading<'_>,
    ) -> Result<Option<Option<Bytes>>, Error> {
        if is_first && let Some((sequence, operand)) = stack.newest_operand() {
            let losses = self.tree.version.losses();
            let joined = self.cache.joined(losses, sequence, || operand.load(fetch))?;
            if joined.is_some() {
                return Ok(Some(joined));
            }
        }
        if stack.is_settled() { self.resolve(key, stack, fetch).map(Some) } else { Ok(None) }
    }

    /// The value of a key all of whose entries that matter are on the stack; what had to be joined for it is offered to the cache.
    fn resolve(
        &self,
        key: &[u8],
        stack: &Stack,
        fetch: &Reading<'_>,
    ) -> Result<Option<Bytes>, Error> {
        let resolved = stack.resolve(key, self.merge, fetch)?;
        if let Resolved::Joined(join) = &resolved
            && fetch.usage != CacheUse::Bypass
        {
            self.cache.offer_join(self.tree.version.losses(), join);
        }
        Ok(resolved.into_value())
    }

    pub(super) fn scan(&self, range: Range<&[u8]>, limit: ScanLimit) -> Result<ScanPage, Error> {
        let page = self.walk(range, limit, |stack, key, fetch| {
            let value = stack.resolve(key, self.merge, fetch)?.into_value();
            Ok(value.map(|value| (value.len(), value)))
        })?;
        let (entries, next) = page.into_entries();
        Ok(ScanPage { entries, next })
    }

    pub(super) fn scan_digests(
        &self,
        range: Range<&[u8]>,
        limit: ScanLimit,
    ) -> Result<DigestPage, Error> {
        let page = self.walk(range, limit, |stack, key, fetch| {
            let digest = stack.resolve_digest(key, self.merge, fetch)?;
            Ok(digest.map(|digest| (size_of::<u64>(), digest)))
        })?;
        let (entries, next) = page.into_entries();
        Ok(DigestPage { entries, next })
    }

    /// Walks the keys of `range`; `take` says what to keep of each, with its bytes.
    fn walk<T>(
        &self,
        range: Range<&[u8]>,
        limit: ScanLimit,
        take: impl Fn(&Stack, &[u8], &Reading<'_>) -> Result<Option<(usize, T)>, Error>,
    ) -> Result<Page<T>, Error> {
        let mut page = Page::new(limit);
        if range.start >= range.end {
            return Ok(page);
        }
        let fetch =
            Reading { version: &self.tree.version, cache: self.cache, usage: CacheUse::Bypass };
        let dropped = Arc::clone(self.tree.version.dropped());
        let mut merged = MergedRuns::new(self.runs(range.clone())?, dropped);
        let mut stack = Stack::default();
        while merged.next_key(&mut stack)?.is_some() {
            debug_assert!(range.contains(&merged.key()));
            page.examine(merged.key(), take(&stack, merged.key(), &fetch)?);
            if page.is_full() {
                page.end_before(merged.peek_key());
                break;
            }
        }
        Ok(page)
    }

    fn runs(&self, range: Range<&[u8]>) -> Result<Vec<Run>, Error> {
        let memtables = std::iter::once(&self.tree.active).chain(&self.tree.sealed);
        let mut runs: Vec<Run> = memtables
            .map(|memtable| memtable.cursor(range.start, Some(range.end), self.sequence))
            .map(Run::Memtable)
            .collect();
        runs.extend(self.tree.version.runs(range.start, Some(range.end))?);
        Ok(runs)
    }
}

/// Reads the values that pointers of a version name.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) version: &'a Version,
    pub(super) cache: &'a Cache,
    pub(super) usage: CacheUse,
}

impl Fetch for Reading<'_> {
    fn fetch(&self, pointer: &Pointer) -> Result<Bytes, Error> {
        let class = (CacheClass::Value, self.usage);
        let cached = self.cache.get_before_disk(class, pointer.file_id, pointer.offset)?;
        if let Some(value) = cached {
            debug_assert!(value.len() as u64 == u64::from(pointer.bytes));
            return Ok(value);
        }
        let value = self.version.value_file(pointer).read(pointer)?;
        if self.usage == CacheUse::Fill {
            self.cache.offer(pointer.file_id, pointer.offset, &value);
        }
        Ok(value)
    }
}

impl Values for Reading<'_> {
    fn kind(&self, file_id: u64) -> ValueKind {
        let live = self.version.values().get(&file_id);
        live.expect("a table lists the files that it points into").file.kind()
    }
}
