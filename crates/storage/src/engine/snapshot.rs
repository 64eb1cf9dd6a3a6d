//! [`Snapshot`]: a view that the caller keeps.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::cache::{Cache, CacheUse};
use crate::error::Error;
use crate::merge::MergeOperator;

use super::health::Health;
use super::scan::{DigestPage, ScanLimit, ScanPage};
use super::view::{Tree, View};

/// A consistent view of the store that later writes, flushes and compactions do not change.
///
/// Holds memtables in memory and table and value files on disk for as long as it lives: drop it soon. Cheap to clone.
#[derive(Clone)]
pub struct Snapshot {
    pub(super) tree: Arc<Tree>,
    pub(super) sequence: u64,
    pub(super) cache: Arc<Cache>,
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
        self.view().get(key, CacheUse::Fill)
    }

    /// A page of the range at the snapshot's moment. See [`Engine::scan`](super::Engine::scan).
    ///
    /// # Errors
    /// As [`Engine::scan`](super::Engine::scan).
    pub fn scan(&self, range: Range<&[u8]>, limit: ScanLimit) -> Result<ScanPage, Error> {
        self.health.check_readable()?;
        self.view().scan(range, limit)
    }

    /// Keys and digests at the snapshot's moment. See [`Engine::scan_digests`](super::Engine::scan_digests).
    ///
    /// # Errors
    /// As [`Engine::scan_digests`](super::Engine::scan_digests).
    pub fn scan_digests(&self, range: Range<&[u8]>, limit: ScanLimit) -> Result<DigestPage, Error> {
        self.health.check_readable()?;
        self.view().scan_digests(range, limit)
    }

    /// Sequence number of the last write that is visible here.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    fn view(&self) -> View<'_> {
        View { tree: &self.tree, sequence: self.sequence, cache: &self.cache, merge: &*self.merge }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}
