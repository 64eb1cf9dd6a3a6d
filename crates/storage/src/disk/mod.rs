//! The seam to the operating system: everything the engine asks of a disk.
//!
//! [`RealDisk`] is the shipped implementation and the only file of this crate that touches `std::fs`; tests and the
//! simulator bring their own, which may lose, tear and damage what was not synced.
//!
//! 1. Paths are relative to the disk's root, `/`-separated; the empty path is the root itself.
//! 2. Files are read and written at offsets; there is no cursor to share.
//! 3. Data is durable after [`DiskFile::sync_data`]; names are durable after [`Disk::sync_dir`].
//!
//! Invariants
//! - Reads and writes may be short or interrupted; callers loop (`files.rs` does).
//! - [`SyncError`] offers no retry: the kernel may already have marked the lost pages clean. It converts only into
//!   [`Error::Poisoned`](crate::Error::Poisoned).
//! - `rename` replaces its target atomically.
//!
//! Source: Rebello et al., ATC 2020; Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014.

#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the one module that is allowed to touch std::fs"
)]
mod real;

#[cfg(test)]
mod tests;

use std::io;

pub use real::RealDisk;

/// A directory tree that survives the process.
pub trait Disk: Send + Sync + 'static {
    /// Opens `path` as `how` says.
    fn open(&self, path: &str, how: OpenHow) -> io::Result<Box<dyn DiskFile>>;

    /// Renames `from` to `to`, replacing `to` atomically. Durable after [`sync_dir`](Disk::sync_dir).
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Open handles keep working.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Names of the files in `dir`, in any order, without directories.
    fn list(&self, dir: &str) -> io::Result<Vec<String>>;

    /// Creates `path` and missing parents; durable on return; no error if it exists.
    fn create_dir(&self, path: &str) -> io::Result<()>;

    /// Makes every create, rename and remove in `dir` durable.
    fn sync_dir(&self, dir: &str) -> Result<(), SyncError>;

    /// Bytes an unprivileged process may still write.
    fn free_bytes(&self) -> io::Result<u64>;

    /// Creates `path` with `bytes` of disk space set aside for it, or replaces it; what is in it does not matter.
    ///
    /// # Errors
    /// Any, and then there is no such file: a disk need not be able to.
    fn allocate(&self, path: &str, bytes: u64) -> io::Result<()>;

    /// Locks `path` (created if missing) against other processes and other engines, until the guard drops.
    fn lock_exclusive(&self, path: &str) -> Result<Box<dyn Lock>, LockError>;
}

/// An open file; reads may run in parallel with each other and with writes to other ranges.
pub trait DiskFile: Send + Sync + 'static {
    /// Reads into `buffer` from `offset`; returns the count, which may be short; 0 means end of file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes from `bytes` at `offset`, extending the file; returns the count, which may be short.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Makes the content and the length durable.
    fn sync_data(&self) -> Result<(), SyncError>;

    /// Makes the content and all metadata durable.
    fn sync_all(&self) -> Result<(), SyncError>;

    /// Truncates or extends with zeroes.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// How [`Disk::open`] treats an existing and a missing file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenHow {
    /// Must exist; only read.
    Read,
    /// Must not exist; read and write.
    Create,
    /// Created, or emptied if it exists; read and write.
    Replace,
}

/// Holds an exclusive lock until dropped.
pub trait Lock: Send + Sync {}

/// Why [`Disk::lock_exclusive`] gave no lock.
#[derive(Debug)]
pub enum LockError {
    /// Somebody else has it.
    Held {
        /// The lock file, as the operator would find it.
        path: String,
    },
    /// The disk failed.
    Failed {
        /// The lock file, as the operator would find it.
        path: String,
        /// The device's answer.
        source: io::Error,
    },
}

/// A sync failed. There is nothing to retry: pages may be gone although a second fsync would succeed.
#[derive(Debug)]
pub struct SyncError {
    path: String,
    source: io::Error,
}

impl SyncError {
    /// For implementations of [`Disk`]: `path` could not be synced because of `source`.
    pub fn new(path: impl Into<String>, source: io::Error) -> SyncError {
        SyncError { path: path.into(), source }
    }
}

impl std::fmt::Display for SyncError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot sync {}: {}", self.path, self.source)
    }
}

impl std::error::Error for SyncError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
