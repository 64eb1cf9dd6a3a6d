//! [`ValueFile`]: an open file of values.
//!
//! Shared through `Arc` by the tables that point into it and by the versions that hold them.
//!
//! Invariant: a value leaves this module only if its digest is right.

use std::sync::Arc;

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::disk::Disk;
use crate::entry::{Pointer, digest};
use crate::error::Error;
use crate::files::{FileKind, StoreFile};

/// Which kind of file values lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    /// A log segment whose memtable was flushed.
    Segment,
    /// A file of joined or relocated values.
    Values,
}

impl ValueKind {
    /// The kind as a file.
    pub(crate) fn file_kind(self) -> FileKind {
        match self {
            ValueKind::Segment => FileKind::Segment,
            ValueKind::Values => FileKind::Values,
        }
    }

    /// The byte that stands for it in a table.
    pub(crate) fn tag(self) -> u8 {
        match self {
            ValueKind::Segment => 1,
            ValueKind::Values => 2,
        }
    }

    /// The kind behind a tag.
    pub(crate) fn from_tag(tag: u8) -> Option<ValueKind> {
        match tag {
            1 => Some(ValueKind::Segment),
            2 => Some(ValueKind::Values),
            _ => None,
        }
    }
}

/// An immutable file that values are read from.
pub(crate) struct ValueFile {
    file_id: u64,
    kind: ValueKind,
    file: StoreFile,
    /// Length of the file when it was opened; it does not grow.
    bytes: u64,
}

impl ValueFile {
    /// Opens value file `file_id`; a missing one is corruption, because a table points into it.
    pub(crate) fn open(
        disk: &dyn Disk,
        kind: ValueKind,
        file_id: u64,
    ) -> Result<Arc<ValueFile>, Error> {
        let name = kind.file_kind().name(file_id);
        let missing = "a value file that a table points into is missing";
        let file = StoreFile::open_named(disk, &name, missing)?;
        let bytes = file.len()?;
        Ok(Arc::new(ValueFile { file_id, kind, file, bytes }))
    }

    /// The value behind `pointer`: one read of exactly its bytes.
    pub(crate) fn read(&self, pointer: &Pointer) -> Result<Bytes, Error> {
        debug_assert!(pointer.file_id == self.file_id, "the pointer is into this file");
        let count = usize::try_from(pointer.bytes)
            .map_err(|_| self.file.corrupt(pointer.offset, "value is too long"))?;
        let end = pointer.offset.checked_add(u64::from(pointer.bytes));
        if end.is_none_or(|end| end > self.bytes) {
            return Err(self.file.corrupt(pointer.offset, "the file ends before the value"));
        }
        let value = self.file.read_exact(pointer.offset, count)?;
        if digest(&value) != pointer.digest && !seeded_bug(Mutant::ValueDigestSkipped) {
            return Err(self.file.corrupt(pointer.offset, "value does not match its digest"));
        }
        Ok(value)
    }

    /// The file.
    pub(super) fn file(&self) -> &StoreFile {
        &self.file
    }

    /// The file's id.
    pub(crate) fn file_id(&self) -> u64 {
        self.file_id
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> ValueKind {
        self.kind
    }

    /// Its length.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its name.
    pub(crate) fn name(&self) -> String {
        self.kind.file_kind().name(self.file_id)
    }
}
