//! The [`Disk`] and [`DiskFile`] of a simulated disk.
//!
//! What the storage engine and the redb backend see. Each verb is one call through the gate of `state.rs`.
//!
//! Invariants
//! - A file stays readable under its open handles after its name is gone.
//! - `Replace` empties the existing file, as `O_TRUNC` does: after a crash its old bytes may be there again.

use std::io;
use std::sync::Arc;

use atoll_storage::{Disk, DiskFile, Lock, LockError, OpenHow, SyncError};

use super::names::{FileNumber, NameChange, parent};
use super::state::{Call, Space, State};
use super::{SimDisk, SimLock};

impl Disk for SimDisk {
    fn open(&self, path: &str, how: OpenHow) -> io::Result<Box<dyn DiskFile>> {
        let mode = match how {
            OpenHow::Read => Mode::ReadOnly,
            OpenHow::Create | OpenHow::Replace => Mode::ReadWrite,
        };
        let kind = match how {
            OpenHow::Read => "open",
            OpenHow::Create => "create",
            OpenHow::Replace => "replace",
        };
        let file = self.open_file(mode, Call::of(kind, path), |state| open_by(state, path, how));
        Ok(Box::new(file?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.answer(Call::of("rename", &format!("{from} to {to}")), |state| {
            state.may_fail(state.faults.write_per_mille, "disk write error")?;
            if !state.volume.names.cached().contains_key(from) {
                return Err(io::ErrorKind::NotFound.into());
            }
            check_parent(state, to)?;
            if from != to {
                state.volume.names.change(NameChange::Rename(from.into(), to.into()));
            }
            Ok(0)
        })?;
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.answer(Call::of("remove", path), |state| {
            state.may_fail(state.faults.write_per_mille, "disk write error")?;
            if !state.volume.names.cached().contains_key(path) {
                return Err(io::ErrorKind::NotFound.into());
            }
            state.volume.names.change(NameChange::Remove(path.into()));
            Ok(0)
        })?;
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        self.answer(Call::of("list", dir), |state| {
            let cached = state.volume.names.cached().keys();
            let inside = cached.filter(|name| parent(name) == dir);
            names.extend(inside.map(|name| name.rsplit('/').next().unwrap_or(name).to_owned()));
            if names.is_empty() && !is_directory(state, dir) {
                return Err(io::ErrorKind::NotFound.into());
            }
            Ok(names.len() as u64)
        })?;
        Ok(names)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.answer(Call::of("create directory", path), |state| {
            if is_directory(state, path) {
                return Ok(0);
            }
            if state.faults.space != Space::Room {
                return Err(state.full());
            }
            let mut dir = path;
            while !dir.is_empty() {
                state.volume.directories.insert(dir.into());
                dir = parent(dir);
            }
            Ok(1)
        })?;
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> Result<(), SyncError> {
        let outcome = self.answer(Call::of("sync directory", dir), |state| {
            if !is_directory(state, dir) {
                return Err(io::ErrorKind::NotFound.into());
            }
            state.sync_dir(dir)
        });
        outcome.map(drop).map_err(|error| SyncError::new(dir, error))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.answer(Call::of("free bytes", ""), |state| Ok(state.free_bytes()))
    }

    fn allocate(&self, _path: &str, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn lock_exclusive(&self, path: &str) -> Result<Box<dyn Lock>, LockError> {
        let mut held = false;
        let outcome = self.answer(Call::of("lock", path), |state| {
            held = state.locks.contains(path);
            if !held {
                if !state.volume.names.cached().contains_key(path) {
                    create(state, path)?;
                }
                state.locks.insert(path.to_owned());
            }
            Ok(u64::from(held))
        });
        match outcome {
            Ok(_) if held => Err(LockError::Held { path: path.to_owned() }),
            Ok(_) => Ok(Box::new(SimLock { disk: self.clone(), path: path.to_owned() })),
            Err(source) => Err(LockError::Failed { path: path.to_owned(), source }),
        }
    }
}

impl SimDisk {
    /// Opens `path` for reading and writing, creating it if it is missing.
    pub(super) fn open_or_create(&self, path: &str) -> io::Result<SimFile> {
        self.open_file(Mode::ReadWrite, Call::of("open or create", path), |state| {
            match state.volume.names.cached().get(path) {
                Some(file) => Ok(*file),
                None => create(state, path),
            }
        })
    }

    pub(super) fn answer(
        &self,
        call: Call<'_>,
        act: impl FnOnce(&mut State) -> io::Result<u64>,
    ) -> io::Result<u64> {
        self.state.lock().answer(call, act)
    }

    fn open_file(
        &self,
        mode: Mode,
        call: Call<'_>,
        find: impl FnOnce(&mut State) -> io::Result<FileNumber>,
    ) -> io::Result<SimFile> {
        let number = self.answer(call, |state| {
            let number = find(state)?;
            *state.open.entry(number).or_default() += 1;
            Ok(number)
        })?;
        let path = Arc::from(call.path);
        Ok(SimFile { disk: self.clone(), number, path, mode })
    }
}

/// What a handle may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    ReadOnly,
    ReadWrite,
}

/// An open file.
pub(super) struct SimFile {
    disk: SimDisk,
    number: FileNumber,
    path: Arc<str>,
    mode: Mode,
}

impl SimFile {
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    fn answer(
        &self,
        call: Call<'_>,
        act: impl FnOnce(&mut State) -> io::Result<u64>,
    ) -> io::Result<u64> {
        self.disk.answer(call, act)
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.mode {
            Mode::ReadOnly => Err(io::ErrorKind::PermissionDenied.into()),
            Mode::ReadWrite => Ok(()),
        }
    }

    fn sync(&self, kind: &'static str) -> Result<(), SyncError> {
        let outcome = self.answer(Call::of(kind, &self.path), |state| state.sync(self.number));
        outcome.map(drop).map_err(|error| SyncError::new(&*self.path, error))
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let call = Call::of("read", &self.path).at(offset, buffer.len());
        let count = self.answer(call, |state| state.read(self.number, offset, buffer))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.check_writable()?;
        let call = Call::of("write", &self.path).at(offset, bytes.len());
        let count = self.answer(call, |state| state.write(self.number, offset, bytes))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn sync_data(&self) -> Result<(), SyncError> {
        self.sync("sync data")
    }

    fn sync_all(&self) -> Result<(), SyncError> {
        self.sync("sync all")
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let call = Call::of("set length", &self.path).at(len, 0);
        self.answer(call, |state| state.set_len(self.number, len))?;
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.answer(Call::of("length", &self.path), |state| Ok(state.length(self.number)))
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        let handles = state.open.get(&self.number).copied().unwrap_or(0);
        if handles > 1 {
            state.open.insert(self.number, handles - 1);
            return;
        }
        state.open.remove(&self.number);
        if !state.volume.names.files().any(|file| file == self.number) {
            state.volume.files.remove(&self.number);
        }
    }
}

fn open_by(state: &mut State, path: &str, how: OpenHow) -> io::Result<FileNumber> {
    let existing = state.volume.names.cached().get(path).copied();
    match (how, existing) {
        (OpenHow::Read, Some(file)) => Ok(file),
        (OpenHow::Read, None) => Err(io::ErrorKind::NotFound.into()),
        (OpenHow::Create, Some(_)) => Err(io::ErrorKind::AlreadyExists.into()),
        (OpenHow::Replace, Some(file)) => {
            state.set_len(file, 0)?;
            Ok(file)
        }
        (OpenHow::Create | OpenHow::Replace, None) => create(state, path),
    }
}

fn create(state: &mut State, path: &str) -> io::Result<FileNumber> {
    state.may_fail(state.faults.write_per_mille, "disk write error")?;
    check_parent(state, path)?;
    if is_directory(state, path) {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if state.faults.space != Space::Room {
        return Err(state.full());
    }
    Ok(state.volume.create(path.into()))
}

fn check_parent(state: &State, path: &str) -> io::Result<()> {
    if is_directory(state, parent(path)) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
}

fn is_directory(state: &State, path: &str) -> bool {
    path.is_empty() || state.volume.directories.contains(path)
}
