//! A disk that times its syncs: what an operator needs to tell a slow device from a slow node.
//!
//! Put between the storage engine and the disk that it was given, real or simulated. Everything passes through; a sync of
//! a file or a directory is timed by the [`Env`]'s clock and told to a [`SyncMeter`] (`meter.rs`).
//!
//! A log segment is synced once before it gets its name; no writer waits for that, so it does not count as a sync of the
//! log.
//!
//! Invariants
//! - Nothing is added to, kept from or reordered among what the engine asks of its disk.
//! - Syncs that fail are timed, too: a device that gives up often takes its time.

mod meter;

mod folder;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use atoll_protocol::wire::SyncKind;
use atoll_storage::{Disk, DiskFile, Lock, LockError, OpenHow, SyncError};

use crate::env::Env;

pub use folder::DiskFolder;
pub use meter::SyncMeter;

/// The ending of a file that has no name of its own yet.
const TEMPORARY: &str = ".tmp";

/// A disk whose syncs are timed.
pub struct MeteredDisk {
    inner: Arc<dyn Disk>,
    clock: Clock,
}

impl MeteredDisk {
    /// `inner`, with its syncs timed by `env` and told to `meter`.
    pub fn new(env: Env, inner: Arc<dyn Disk>, meter: Arc<SyncMeter>) -> Self {
        Self { inner, clock: Clock { env, meter } }
    }
}

impl Disk for MeteredDisk {
    fn open(&self, path: &str, how: OpenHow) -> io::Result<Box<dyn DiskFile>> {
        let kind = kind_of(path);
        let is_draft = AtomicBool::new(kind == SyncKind::Log && path.ends_with(TEMPORARY));
        let (inner, clock) = (self.inner.open(path, how)?, self.clock.clone());
        Ok(Box::new(MeteredFile { inner, clock, kind, is_draft }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.inner.create_dir(path)
    }

    fn sync_dir(&self, dir: &str) -> Result<(), SyncError> {
        self.clock.time(SyncKind::Other, || self.inner.sync_dir(dir))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.inner.free_bytes()
    }

    fn allocate(&self, path: &str, bytes: u64) -> io::Result<()> {
        self.inner.allocate(path, bytes)
    }

    fn lock_exclusive(&self, path: &str) -> Result<Box<dyn Lock>, LockError> {
        self.inner.lock_exclusive(path)
    }
}

/// A file whose syncs are timed.
struct MeteredFile {
    inner: Box<dyn DiskFile>,
    clock: Clock,
    kind: SyncKind,
    /// Whether it is a log segment that was not synced yet.
    is_draft: AtomicBool,
}

impl MeteredFile {
    fn kind(&self) -> SyncKind {
        if self.is_draft.swap(false, Ordering::Relaxed) { SyncKind::Other } else { self.kind }
    }
}

impl DiskFile for MeteredFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write_at(offset, bytes)
    }

    fn sync_data(&self) -> Result<(), SyncError> {
        self.clock.time(self.kind(), || self.inner.sync_data())
    }

    fn sync_all(&self) -> Result<(), SyncError> {
        self.clock.time(self.kind(), || self.inner.sync_all())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}

/// Whose clock, and who is told.
#[derive(Clone)]
struct Clock {
    env: Env,
    meter: Arc<SyncMeter>,
}

impl Clock {
    fn time<T>(&self, kind: SyncKind, sync: impl FnOnce() -> T) -> T {
        let begun = self.env.mono();
        let done = sync();
        let ended = self.env.mono();
        self.meter.record(kind, ended, ended.since(begun));
        done
    }
}

/// The kind of the file at `path`, by its ending.
fn kind_of(path: &str) -> SyncKind {
    let name = path.strip_suffix(TEMPORARY).unwrap_or(path);
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("wal") => SyncKind::Log,
        Some("sst") => SyncKind::Table,
        Some("vlog") => SyncKind::Values,
        Some("manifest") => SyncKind::Manifest,
        _ => SyncKind::Other,
    }
}
