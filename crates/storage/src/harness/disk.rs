//! [`FlatDisk`]: files in memory, for harnesses. Nothing fails, and nothing is lost.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile, Lock, LockError, OpenHow, SyncError};

type Content = Arc<Mutex<Vec<u8>>>;

/// Files by name.
#[derive(Clone, Default)]
pub(crate) struct FlatDisk {
    files: Arc<Mutex<BTreeMap<String, Content>>>,
}

impl FlatDisk {
    /// Makes or replaces a file.
    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) {
        self.files.lock().insert(name.to_owned(), Arc::new(Mutex::new(bytes)));
    }

    /// What a file holds; nothing if there is none.
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        self.files.lock().get(name).map(|content| content.lock().clone()).unwrap_or_default()
    }

    /// Length of a file.
    pub(crate) fn len(&self, name: &str) -> u64 {
        self.bytes(name).len() as u64
    }
}

impl Disk for FlatDisk {
    fn open(&self, path: &str, how: OpenHow) -> io::Result<Box<dyn DiskFile>> {
        let mut files = self.files.lock();
        if how == OpenHow::Read && !files.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Box::new(FlatFile(Arc::clone(files.entry(path.to_owned()).or_default()))))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files.lock();
        let content = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.files.lock().remove(path);
        Ok(())
    }

    fn list(&self, _dir: &str) -> io::Result<Vec<String>> {
        Ok(self.files.lock().keys().cloned().collect())
    }

    fn create_dir(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _dir: &str) -> Result<(), SyncError> {
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn allocate(&self, _path: &str, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn lock_exclusive(&self, _path: &str) -> Result<Box<dyn Lock>, LockError> {
        Ok(Box::new(FlatLock))
    }
}

struct FlatLock;

impl Lock for FlatLock {}

struct FlatFile(Content);

impl DiskFile for FlatFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.lock();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let rest = bytes.get(from..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let mut content = self.0.lock();
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let len = content.len().max(from + bytes.len());
        content.resize(len, 0);
        content.iter_mut().skip(from).zip(bytes).for_each(|(to, from)| *to = *from);
        Ok(bytes.len())
    }

    fn sync_data(&self) -> Result<(), SyncError> {
        Ok(())
    }

    fn sync_all(&self) -> Result<(), SyncError> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.lock().resize(usize::try_from(len).map_err(io::Error::other)?, 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().len() as u64)
    }
}
