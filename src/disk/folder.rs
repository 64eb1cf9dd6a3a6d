//! A folder of a disk, as a disk of its own.

use std::io;
use std::sync::Arc;

use atoll_storage::{Disk, DiskFile, Lock, LockError, OpenHow, SyncError};

/// Everything in one folder of another disk. The folder must exist.
pub struct DiskFolder {
    disk: Arc<dyn Disk>,
    folder: String,
}

impl DiskFolder {
    /// The folder `folder` of `disk`.
    pub fn new(disk: Arc<dyn Disk>, folder: &str) -> Self {
        Self { disk, folder: folder.to_owned() }
    }

    fn place(&self, path: &str) -> String {
        if path.is_empty() { self.folder.clone() } else { format!("{}/{path}", self.folder) }
    }
}

impl Disk for DiskFolder {
    fn open(&self, path: &str, how: OpenHow) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open(&self.place(path), how)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(&self.place(from), &self.place(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(&self.place(path))
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.disk.list(&self.place(dir))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.disk.create_dir(&self.place(path))
    }

    fn sync_dir(&self, dir: &str) -> Result<(), SyncError> {
        self.disk.sync_dir(&self.place(dir))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }

    fn allocate(&self, path: &str, bytes: u64) -> io::Result<()> {
        self.disk.allocate(&self.place(path), bytes)
    }

    fn lock_exclusive(&self, path: &str) -> Result<Box<dyn Lock>, LockError> {
        self.disk.lock_exclusive(&self.place(path))
    }
}
