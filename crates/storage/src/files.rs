//! Names and handles of the store's files.
//!
//! Every module that touches a file goes through [`StoreFile`], which loops over short reads and writes and turns
//! `io::Error` into the engine's error with the file's name.
//!
//! 1. A file's name is its id in decimal, at least six digits, and an extension: `000012.wal`.
//! 2. `LOCK`, `CURRENT` and `RESERVE` have fixed names; `*.tmp` is never trusted and removed at open.
//! 3. [`publish`] makes a complete file appear under its final name: sync, rename, sync the directory.
//!
//! Invariant: ids come from one counter per store, so that no two files ever share an id, whatever their kind.

use std::sync::Arc;

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::disk::{Disk, DiskFile, OpenHow, SyncError};
use crate::error::Error;

/// The directory of the store: the disk's root.
pub(crate) const ROOT: &str = "";

/// Held while the engine is open.
pub(crate) const LOCK: &str = "LOCK";

/// Names the live manifest.
pub(crate) const CURRENT: &str = "CURRENT";

/// Space that is set aside.
pub(crate) const RESERVE: &str = "RESERVE";

const TEMPORARY: &str = ".tmp";

/// What a numbered file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A segment of the write-ahead log.
    Segment,
    /// An SSTable.
    Table,
    /// Joined or relocated values.
    Values,
    /// A manifest.
    Manifest,
}

/// Every kind.
const KINDS: [FileKind; 4] =
    [FileKind::Segment, FileKind::Table, FileKind::Values, FileKind::Manifest];

impl FileKind {
    fn extension(self) -> &'static str {
        match self {
            FileKind::Segment => "wal",
            FileKind::Table => "sst",
            FileKind::Values => "vlog",
            FileKind::Manifest => "manifest",
        }
    }

    /// The name of file `id` of this kind.
    pub(crate) fn name(self, id: u64) -> String {
        format!("{id:06}.{}", self.extension())
    }

    /// The kind and id behind a name; `None` for names that are not ours.
    pub(crate) fn parse(name: &str) -> Option<(FileKind, u64)> {
        let (digits, extension) = name.split_once('.')?;
        let id = digits.parse().ok()?;
        KINDS
            .into_iter()
            .find(|kind| kind.extension() == extension && kind.name(id) == name)
            .map(|kind| (kind, id))
    }
}

/// Where a file is written before [`publish`].
pub(crate) fn temporary(name: &str) -> String {
    format!("{name}{TEMPORARY}")
}

/// The name that a file was to get by [`publish`].
pub(crate) fn untemporary(name: &str) -> &str {
    name.strip_suffix(TEMPORARY).unwrap_or(name)
}

/// Whether `name` was left behind by an unfinished [`publish`].
pub(crate) fn is_temporary(name: &str) -> bool {
    name.ends_with(TEMPORARY)
}

/// An open file that knows its name and loops over short transfers.
#[derive(Clone)]
pub(crate) struct StoreFile {
    name: String,
    file: Arc<dyn DiskFile>,
}

impl StoreFile {
    /// Opens `name` on `disk`.
    pub(crate) fn open(disk: &dyn Disk, name: &str, how: OpenHow) -> Result<StoreFile, Error> {
        let file = disk.open(name, how).map_err(|error| Error::disk("open", name, error))?;
        Ok(StoreFile { name: name.to_owned(), file: Arc::from(file) })
    }

    /// Opens `name` for reading; if there is no such file, that is corruption: `missing` says who names it.
    pub(crate) fn open_named(
        disk: &dyn Disk,
        name: &str,
        missing: &'static str,
    ) -> Result<StoreFile, Error> {
        StoreFile::open(disk, name, OpenHow::Read).map_err(|error| match error {
            Error::Disk { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Error::corrupt(name, 0, missing)
            }
            other => other,
        })
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> Result<u64, Error> {
        self.file.len().map_err(|error| Error::disk("measure", &self.name, error))
    }

    /// Reads `count` bytes at `offset`; a file that ends before is corrupt.
    pub(crate) fn read_exact(&self, offset: u64, count: usize) -> Result<Bytes, Error> {
        let mut buffer = vec![0u8; count];
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(offset + filled as u64, rest) {
                Ok(0) => return Err(self.corrupt(offset, "the file ends inside a structure")),
                Ok(got) => filled += got,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::disk("read", &self.name, error)),
            }
        }
        assert!(filled == count, "a read returned more than was asked for");
        Ok(Bytes::from(buffer))
    }

    /// Reads the whole file.
    pub(crate) fn read_all(&self) -> Result<Bytes, Error> {
        let count = usize::try_from(self.len()?)
            .map_err(|_| self.corrupt(0, "the file does not fit in memory"))?;
        self.read_exact(0, count)
    }

    /// Writes all of `bytes` at `offset`.
    pub(crate) fn write_all(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.file.write_at(offset + written as u64, rest) {
                Ok(0) => {
                    let error = std::io::Error::from(std::io::ErrorKind::WriteZero);
                    return Err(Error::disk("write", &self.name, error));
                }
                Ok(count) => written += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::disk("write", &self.name, error)),
            }
        }
        assert!(written == bytes.len(), "a write took more than it was given");
        Ok(())
    }

    /// Cuts the file to `len` bytes.
    pub(crate) fn set_len(&self, len: u64) -> Result<(), Error> {
        self.file.set_len(len).map_err(|error| Error::disk("truncate", &self.name, error))
    }

    /// Makes content and length durable.
    pub(crate) fn sync(&self) -> Result<(), SyncError> {
        self.file.sync_data()
    }

    /// An [`Error::Corrupt`] of this file.
    pub(crate) fn corrupt(&self, offset: u64, what: &'static str) -> Error {
        Error::corrupt(&self.name, offset, what)
    }
}

/// Renames the synced temporary file of `name` into place and makes the name durable.
pub(crate) fn publish(disk: &dyn Disk, name: &str) -> Result<(), Error> {
    disk.rename(&temporary(name), name)
        .map_err(|error| Error::disk("rename", name, error).into_poison())?;
    let unsynced =
        if name == CURRENT { Mutant::CurrentNameNotSynced } else { Mutant::SegmentNameNotSynced };
    if !seeded_bug(unsynced) {
        disk.sync_dir(ROOT)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{FileKind, KINDS};

    #[test]
    fn names_round_trip_and_foreign_names_are_refused() {
        for kind in KINDS {
            for id in [0, 7, 999_999, 1_000_000, u64::MAX] {
                assert_eq!(FileKind::parse(&kind.name(id)), Some((kind, id)));
            }
        }
        for name in ["", "LOCK", "1.wal", "000001.wal.tmp", "+00001.sst", "000001.txt", "x.sst"] {
            assert_eq!(FileKind::parse(name), None, "{name}");
        }
    }
}
