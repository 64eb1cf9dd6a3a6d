//! [`RealDisk`]: the [`Disk`] of a running node, over `std::fs`.
//!
//! Handed to [`Engine::open`](crate::Engine::open) by the node. Every call is one or two system calls.
//!
//! 1. Paths are joined below the root directory given to [`RealDisk::new`].
//! 2. A directory is synced by opening it and calling fsync on it.
//! 3. Locks are `flock(2)`: they end with the process, so that kill −9 leaves no stale lock.
//!
//! Invariant: this is the only file of the crate that names `std::fs`.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation};

use super::{Disk, DiskFile, Lock, LockError, OpenHow, SyncError};

/// A directory of the host's file system.
#[derive(Clone, Debug)]
pub struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// A disk whose paths are below `root`. Touches nothing; the engine creates the directory.
    pub fn new(root: &Path) -> RealDisk {
        RealDisk { root: root.to_owned() }
    }

    fn resolve(&self, path: &str) -> PathBuf {
        debug_assert!(!path.starts_with('/'), "paths are relative to the root");
        debug_assert!(!path.split('/').any(|part| part == ".."), "paths stay below the root");
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &str, how: OpenHow) -> io::Result<Box<dyn DiskFile>> {
        let full = self.resolve(path);
        let mut options = OpenOptions::new();
        options.read(true);
        match how {
            OpenHow::Read => {}
            OpenHow::Create => {
                options.write(true).create_new(true);
            }
            OpenHow::Replace => {
                options.write(true).create(true).truncate(true);
            }
        }
        let file = options.open(&full)?;
        Ok(Box::new(RealFile { file, path: path.to_owned() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.resolve(from), self.resolve(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        std::fs::remove_file(self.resolve(path))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.resolve(dir))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                continue;
            }
            // A name that is not UTF-8 is not ours.
            if let Ok(name) = entry.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        create_dir_durably(&self.resolve(path))
    }

    fn sync_dir(&self, dir: &str) -> Result<(), SyncError> {
        let full = self.resolve(dir);
        let shown = || full.display().to_string();
        let handle = File::open(&full).map_err(|error| SyncError::new(shown(), error))?;
        handle.sync_all().map_err(|error| SyncError::new(shown(), error))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let answer = rustix::fs::statvfs(&self.root)?;
        Ok(answer.f_bavail.saturating_mul(answer.f_frsize))
    }

    fn allocate(&self, path: &str, bytes: u64) -> io::Result<()> {
        let full = self.resolve(path);
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&full)?;
        let allocated = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes);
        allocated.or_else(|errno| {
            std::fs::remove_file(&full)?;
            Err(errno.into())
        })
    }

    fn lock_exclusive(&self, path: &str) -> Result<Box<dyn Lock>, LockError> {
        let full = self.resolve(path);
        let shown = full.display().to_string();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&full)
            .map_err(|source| LockError::Failed { path: shown.clone(), source })?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Box::new(RealLock { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(LockError::Held { path: shown }),
            Err(errno) => Err(LockError::Failed { path: shown, source: errno.into() }),
        }
    }
}

/// Creates `path` from the highest missing parent down, syncing each parent, so that the whole chain is durable.
fn create_dir_durably(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_dir_durably(parent)?;
    match std::fs::create_dir(path) {
        Ok(()) => File::open(parent)?.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

struct RealFile {
    file: File,
    path: String,
}

impl DiskFile for RealFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        // Not libc's: its cancellation point costs 2 % of a read from the page cache.
        Ok(rustix::io::pread(&self.file, buffer, offset)?)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> Result<(), SyncError> {
        self.file.sync_data().map_err(|error| SyncError::new(self.path.as_str(), error))
    }

    fn sync_all(&self) -> Result<(), SyncError> {
        self.file.sync_all().map_err(|error| SyncError::new(self.path.as_str(), error))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

/// The open file carries the lock; closing it releases.
struct RealLock {
    _file: File,
}

impl Lock for RealLock {}
