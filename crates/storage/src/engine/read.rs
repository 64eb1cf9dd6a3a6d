//! The reading verbs of [`Engine`]: what they promise. `view.rs` keeps it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::cache::CacheUse;
use crate::error::Error;

use super::Engine;
use super::scan::{DigestPage, ScanLimit, ScanPage};
use super::snapshot::Snapshot;

impl Engine {
    /// The value of `key`, with all its merge operands joined.
    ///
    /// Cost: memory, plus, for what is not cached, an index and a data block of each table whose filter says "maybe" until
    /// a put or delete is found, and one read of exactly the value if it is a separated one.
    /// Concurrent with everything; no lock is held while the disk is read.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Disk`] or [`Error::Merge`] concern this key; [`Error::Poisoned`] all.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.health.check_readable()?;
        let tree = self.tree.load();
        self.view(&tree).get(key, CacheUse::Fill)
    }

    /// The same, if memtables and cache know the answer: for who cannot wait for the disk, and asks again with
    /// [`get`](Engine::get) where that is allowed.
    ///
    /// Cost: memory.
    ///
    /// # Errors
    /// [`Error::NotInMemory`]; otherwise as [`get`](Engine::get).
    pub fn get_in_memory(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.health.check_readable()?;
        let tree = self.tree.load();
        self.view(&tree).get(key, CacheUse::Only)
    }

    /// Entries of the range `start..end` in key order, up to `limit`, and where to go on.
    ///
    /// Each page is a view of its own moment; for a consistent walk over pages take a [`snapshot`](Engine::snapshot).
    ///
    /// # Errors
    /// As [`get`](Engine::get), for any key of the page.
    pub fn scan(&self, range: Range<&[u8]>, limit: ScanLimit) -> Result<ScanPage, Error> {
        self.health.check_readable()?;
        let tree = self.current_tree();
        self.view(&tree).scan(range, limit)
    }

    /// Keys of the range `start..end` in key order, with the digests of their values: what a comparison of replicas needs.
    ///
    /// Cost: reads no separated value, unless operands of a key have to be joined.
    ///
    /// # Errors
    /// As [`scan`](Engine::scan); damage to a value that is not read is not found.
    pub fn scan_digests(&self, range: Range<&[u8]>, limit: ScanLimit) -> Result<DigestPage, Error> {
        self.health.check_readable()?;
        let tree = self.current_tree();
        self.view(&tree).scan_digests(range, limit)
    }

    /// A consistent view of everything written so far. Costs a few reference counts.
    pub fn snapshot(&self) -> Snapshot {
        let tree = self.current_tree();
        let sequence = self.view(&tree).sequence;
        Snapshot {
            tree,
            sequence,
            cache: Arc::clone(&self.cache),
            merge: Arc::clone(&self.merge),
            health: Arc::clone(&self.health),
        }
    }
}
