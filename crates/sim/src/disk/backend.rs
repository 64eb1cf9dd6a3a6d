//! [`DiskBackend`]: a redb database on a simulated disk, with all its faults and crashes.
//!
//! Handed by the world to `Meta::open_on`.
//!
//! 1. Reads and writes loop over short transfers, as redb's own file backend does.
//! 2. The whole file can be locked, as redb asks when ranges are not supported; the lock ends with the disk's life.
//!
//! Invariant: a database on a crashed disk gets errors; it never reaches the next life's bytes.

use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};

use atoll_storage::DiskFile;
use redb::{BackendError, StorageBackend};

use super::SimDisk;
use super::calls::SimFile;
use super::state::Call;

/// A file of a [`SimDisk`] under redb.
pub struct DiskBackend {
    disk: SimDisk,
    file: SimFile,
    is_locked: AtomicBool,
}

impl DiskBackend {
    pub(super) fn open(disk: &SimDisk, path: &str) -> io::Result<Self> {
        let file = disk.open_or_create(path)?;
        Ok(Self { disk: disk.clone(), file, is_locked: AtomicBool::new(false) })
    }

    fn lock(&self, range: (Bound<u64>, Bound<u64>)) -> Result<bool, BackendError> {
        if !is_whole(range) {
            return Err(BackendError::Unsupported);
        }
        let taken = self.disk.answer(Call::of("lock", self.file.path()), |state| {
            Ok(u64::from(state.locks.insert(self.file.path().to_owned())))
        });
        let taken = taken.map_err(BackendError::Io)? == 1;
        self.is_locked.fetch_or(taken, Ordering::Relaxed);
        Ok(taken)
    }

    /// Releases this backend's own lock; another one's stays.
    fn unlock(&self) {
        if self.is_locked.swap(false, Ordering::Relaxed) {
            self.disk.state.lock().locks.remove(self.file.path());
        }
    }
}

impl StorageBackend for DiskBackend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(offset + done as u64, rest)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => done += count,
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data().map_err(io::Error::other)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut done = 0;
        while let Some(rest) = data.get(done..).filter(|rest| !rest.is_empty()) {
            done += self.file.write_at(offset + done as u64, rest)?;
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.unlock();
        Ok(())
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.lock((start, end))
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        if !is_whole((start, end)) {
            return Err(BackendError::Unsupported);
        }
        self.unlock();
        Ok(())
    }
}

impl std::fmt::Debug for DiskBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskBackend").field("path", &self.file.path()).finish_non_exhaustive()
    }
}

fn is_whole(range: (Bound<u64>, Bound<u64>)) -> bool {
    matches!(range, (Bound::Unbounded | Bound::Included(0), Bound::Unbounded))
}
