//! A disk in memory that knows what is durable.
//!
//! 1. A file is a list of bytes and the part of it that was synced; a directory entry is volatile until `sync_dir`.
//! 2. [`MemDisk::crash`] makes the image that a power loss could leave; what happens to unsynced writes is [`Loss`].
//! 3. [`MemDisk::fail`] makes the n-th matching call fail.
//!
//! Reads and writes are short on purpose, so that every caller must loop.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use atoll_storage::{Disk, DiskFile, Lock, LockError, OpenHow, SyncError};

/// Bytes per transfer: an odd number, so that structures are split.
const TRANSFER_BYTES: usize = 1_021;

/// What a crash does to writes that were not synced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// The process died; the page cache survives.
    Nothing,
    /// Power loss: unsynced bytes and names are gone.
    Everything,
    /// Power loss: of unsynced bytes a prefix of this many thousandths survives; names are gone.
    TornTail(u64),
    /// Power loss: 64-byte sectors of unsynced bytes survive or not, by the bits of this seed; all names survive.
    Sectors(u64),
}

/// A call that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Sync,
    SyncDir,
    Write,
    Read,
    Space,
}

#[derive(Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    durable: Vec<u8>,
}

type SharedContent = Arc<Mutex<Content>>;

#[derive(Default)]
struct Shared {
    names: Mutex<Names>,
    locked: Arc<Mutex<bool>>,
    plan: Mutex<Option<(Call, String, u64)>>,
    syncs: AtomicU64,
}

#[derive(Clone, Default)]
struct Names {
    volatile: BTreeMap<String, SharedContent>,
    durable: BTreeMap<String, SharedContent>,
}

#[derive(Clone, Default)]
pub(crate) struct MemDisk {
    shared: Arc<Shared>,
}

impl MemDisk {
    /// The disk as a new process finds it after a crash now. This disk goes on undisturbed.
    pub(crate) fn crash(&self, loss: Loss) -> MemDisk {
        let names = self.shared.names.lock().unwrap();
        let survivors = match loss {
            Loss::Nothing | Loss::Sectors(_) => &names.volatile,
            Loss::Everything | Loss::TornTail(_) => &names.durable,
        };
        let image = MemDisk::default();
        for (name, content) in survivors {
            let bytes = survive(&content.lock().unwrap(), loss);
            image.put(name, bytes);
        }
        image
    }

    /// Makes call number `after` (0: the next) on a file whose name contains `name` fail, and all later ones.
    pub(crate) fn fail(&self, call: Call, name: &str, after: u64) {
        *self.shared.plan.lock().unwrap() = Some((call, name.to_owned(), after));
    }

    pub(crate) fn heal(&self) {
        *self.shared.plan.lock().unwrap() = None;
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.shared.syncs.load(Ordering::SeqCst)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.shared.names.lock().unwrap().volatile.keys().cloned().collect()
    }

    pub(crate) fn named(&self, extension: &str) -> Vec<String> {
        self.names().into_iter().filter(|name| name.ends_with(extension)).collect()
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        self.content(name).unwrap().lock().unwrap().bytes.clone()
    }

    /// Replaces a file, durably.
    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) {
        let content = Content { durable: bytes.clone(), bytes };
        let content = Arc::new(Mutex::new(content));
        let mut names = self.shared.names.lock().unwrap();
        names.volatile.insert(name.to_owned(), Arc::clone(&content));
        names.durable.insert(name.to_owned(), content);
    }

    /// Flips one bit in place, under open handles too.
    pub(crate) fn flip(&self, name: &str, position: usize) {
        let content = self.content(name).unwrap();
        let mut content = content.lock().unwrap();
        content.bytes[position] ^= 1;
        content.durable = content.bytes.clone();
    }

    /// Shortens a file in place, under open handles too.
    pub(crate) fn cut(&self, name: &str, len: usize) {
        let content = self.content(name).unwrap();
        let mut content = content.lock().unwrap();
        content.bytes.truncate(len);
        content.durable = content.bytes.clone();
    }

    fn content(&self, name: &str) -> io::Result<SharedContent> {
        let names = self.shared.names.lock().unwrap();
        names.volatile.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn survive(content: &Content, loss: Loss) -> Vec<u8> {
    let (new, old) = (&content.bytes, &content.durable);
    match loss {
        Loss::Nothing => new.clone(),
        Loss::Everything => old.clone(),
        Loss::TornTail(thousandths) => {
            let unsynced = new.len().saturating_sub(old.len()) as u64;
            let kept = old.len() + usize::try_from(unsynced * thousandths / 1_000).unwrap();
            let mut image = new[..kept.min(new.len())].to_vec();
            image[..old.len().min(kept)].copy_from_slice(&old[..old.len().min(kept)]);
            image
        }
        Loss::Sectors(seed) => {
            let mut image = new.clone();
            for (index, sector) in image.chunks_mut(64).enumerate() {
                let start = index * 64;
                let bit = seed.rotate_left(u32::try_from(index % 64).unwrap()) & 1;
                for (at, byte) in sector.iter_mut().enumerate() {
                    if bit == 0 {
                        *byte = old.get(start + at).copied().unwrap_or(0);
                    }
                }
            }
            image
        }
    }
}

impl Shared {
    fn check(&self, call: Call, name: &str) -> io::Result<()> {
        let mut plan = self.plan.lock().unwrap();
        let Some((planned, part, after)) = plan.as_mut() else {
            return Ok(());
        };
        // "Space" fails writes too, but as a full disk.
        let hit = *planned == call || (*planned == Call::Space && call == Call::Write);
        if !hit || !name.contains(part.as_str()) {
            return Ok(());
        }
        if *after > 0 {
            *after -= 1;
            return Ok(());
        }
        Err(match planned {
            Call::Space => io::ErrorKind::StorageFull.into(),
            _ => io::Error::other("injected"),
        })
    }
}

impl Disk for MemDisk {
    fn open(&self, path: &str, how: OpenHow) -> io::Result<Box<dyn DiskFile>> {
        let mut names = self.shared.names.lock().unwrap();
        let content = match (how, names.volatile.get(path)) {
            (OpenHow::Read, Some(content)) => Arc::clone(content),
            (OpenHow::Read, None) => return Err(io::ErrorKind::NotFound.into()),
            (OpenHow::Create, Some(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (OpenHow::Create | OpenHow::Replace, _) => {
                let content = SharedContent::default();
                names.volatile.insert(path.to_owned(), Arc::clone(&content));
                content
            }
        };
        Ok(Box::new(MemFile { name: path.to_owned(), content, shared: Arc::clone(&self.shared) }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut names = self.shared.names.lock().unwrap();
        let content = names.volatile.remove(from).ok_or(io::ErrorKind::NotFound)?;
        names.volatile.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut names = self.shared.names.lock().unwrap();
        names.volatile.remove(path).ok_or(io::ErrorKind::NotFound)?;
        let mut plan = self.shared.plan.lock().unwrap();
        if path == "RESERVE" && matches!(*plan, Some((Call::Space, ..))) {
            *plan = None; // there is room again
        }
        Ok(())
    }

    fn list(&self, _dir: &str) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn allocate(&self, path: &str, bytes: u64) -> io::Result<()> {
        assert!(bytes > 0);
        self.put(path, Vec::new());
        Ok(())
    }

    fn create_dir(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> Result<(), SyncError> {
        self.shared.check(Call::SyncDir, dir).map_err(|error| SyncError::new(dir, error))?;
        let mut names = self.shared.names.lock().unwrap();
        names.durable = names.volatile.clone();
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn lock_exclusive(&self, path: &str) -> Result<Box<dyn Lock>, LockError> {
        let mut locked = self.shared.locked.lock().unwrap();
        if std::mem::replace(&mut *locked, true) {
            return Err(LockError::Held { path: path.to_owned() });
        }
        Ok(Box::new(MemLock { locked: Arc::clone(&self.shared.locked) }))
    }
}

struct MemFile {
    name: String,
    content: SharedContent,
    shared: Arc<Shared>,
}

impl DiskFile for MemFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.shared.check(Call::Read, &self.name)?;
        let content = self.content.lock().unwrap();
        let rest = content.bytes.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let count = rest.len().min(buffer.len()).min(TRANSFER_BYTES);
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.shared.check(Call::Write, &self.name)?;
        let start = usize::try_from(offset).unwrap();
        let count = bytes.len().min(TRANSFER_BYTES);
        let mut content = self.content.lock().unwrap();
        let len = content.bytes.len().max(start + count);
        content.bytes.resize(len, 0);
        content.bytes[start..start + count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn sync_data(&self) -> Result<(), SyncError> {
        self.shared.syncs.fetch_add(1, Ordering::SeqCst);
        let name = self.name.as_str();
        self.shared.check(Call::Sync, name).map_err(|error| SyncError::new(name, error))?;
        let mut content = self.content.lock().unwrap();
        content.durable = content.bytes.clone();
        Ok(())
    }

    fn sync_all(&self) -> Result<(), SyncError> {
        self.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.content.lock().unwrap().bytes.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.content.lock().unwrap().bytes.len() as u64)
    }
}

struct MemLock {
    locked: Arc<Mutex<bool>>,
}

impl Lock for MemLock {}

impl Drop for MemLock {
    fn drop(&mut self) {
        *self.locked.lock().unwrap() = false;
    }
}
