//! Shows what one file holds, structure by structure.
//!
//! 1. The kind of a file is that of its name; of a file that was renamed, what its first or last bytes say.
//! 2. Its id, to which all checksums are bound, is in the name too, or in its header.
//! 3. Each format takes its own files apart (`dissect.rs` beside it) and hands over [`Item`]s.
//!
//! No lock is taken: files do not change, except for the end of the live log and of the manifest, which may show a
//! structure that is being written as damaged.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::codec::Reader;
use crate::disk::{Disk, OpenHow};
use crate::error::Error;
use crate::files::{CURRENT, FileKind, StoreFile, untemporary};
use crate::finding::Item;
use crate::manifest::{dissect_current, dissect_manifest};
use crate::sstable::dissect_table;
use crate::value_log::dissect_records;

use super::InspectError;

/// Length of the header of a log segment up to and with the file id, in bytes: 8 magic + 4 versions and flags + 8 id.
const HEAD_BYTES: u64 = 20;

/// Length of a table's footer, in bytes: 8 magic + 4 version + 4 blocks + 8 id, and more.
const FOOTER_BYTES: u64 = 96;

/// What a file of a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// `CURRENT`: names the live manifest.
    Current,
    /// A manifest: the set of tables.
    Manifest,
    /// A segment of the log, which may also be a value file.
    Segment,
    /// A file of joined or relocated values.
    Values,
    /// A sorted table.
    Table,
}

impl FileFormat {
    /// The format in a word.
    pub fn as_str(self) -> &'static str {
        match self {
            FileFormat::Current => "current",
            FileFormat::Manifest => "manifest",
            FileFormat::Segment => "segment",
            FileFormat::Values => "values",
            FileFormat::Table => "table",
        }
    }

    fn of_kind(kind: FileKind) -> FileFormat {
        match kind {
            FileKind::Segment => FileFormat::Segment,
            FileKind::Table => FileFormat::Table,
            FileKind::Values => FileFormat::Values,
            FileKind::Manifest => FileFormat::Manifest,
        }
    }
}

/// Hands everything in the file `name` to `sink`, in the order of the format, until it has enough; says what it is.
///
/// # Errors
/// [`InspectError::UnknownFile`]; [`InspectError::Storage`] if the file cannot be opened.
pub fn dump_file(
    disk: &dyn Disk,
    name: &str,
    sink: &mut dyn FnMut(Item) -> ControlFlow<()>,
) -> Result<FileFormat, InspectError> {
    let file = StoreFile::open(disk, name, OpenHow::Read)?;
    let end = file.len()?;
    let (format, file_id) = recognise(&file, name, end)?
        .ok_or_else(|| InspectError::UnknownFile { file: name.to_owned() })?;
    // Whether there was enough makes no difference here.
    let _ = match format {
        FileFormat::Current => dissect_current(&file.read_all()?, sink),
        FileFormat::Manifest => dissect_manifest(&file.read_all()?, file_id, sink),
        FileFormat::Segment | FileFormat::Values => dissect_records(&file, file_id, end, sink),
        FileFormat::Table => dissect_table(&file, file_id, end, sink),
    };
    Ok(format)
}

/// What the file is, and its id.
fn recognise(file: &StoreFile, name: &str, end: u64) -> Result<Option<(FileFormat, u64)>, Error> {
    let name = untemporary(name);
    if name == CURRENT {
        return Ok(Some((FileFormat::Current, 0)));
    }
    if let Some((kind, file_id)) = FileKind::parse(name) {
        return Ok(Some((FileFormat::of_kind(kind), file_id)));
    }
    let head = read_up_to(file, 0, end.min(HEAD_BYTES))?;
    let foot = read_up_to(file, end.saturating_sub(FOOTER_BYTES), end.min(FOOTER_BYTES))?;
    Ok(recognise_bytes(&head, &foot))
}

fn recognise_bytes(head: &[u8], foot: &[u8]) -> Option<(FileFormat, u64)> {
    let id_at = |bytes: &[u8], at: usize| Reader::new(bytes.get(at..)?).u64();
    match head.first_chunk() {
        Some(b"ATOLLCUR") => return Some((FileFormat::Current, 0)),
        Some(b"ATOLLMAN") => return Some((FileFormat::Manifest, id_at(head, 12)?)),
        Some(b"ATOLLWAL") => return Some((FileFormat::Segment, id_at(head, 12)?)),
        _ => {}
    }
    foot.starts_with(b"ATOLLSST").then_some(())?;
    Some((FileFormat::Table, id_at(foot, 16)?))
}

fn read_up_to(file: &StoreFile, offset: u64, count: u64) -> Result<Bytes, Error> {
    debug_assert!(count <= FOOTER_BYTES);
    file.read_exact(offset, usize::try_from(count).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{FileFormat, recognise_bytes};
    use crate::wal::{Origin, SegmentHeader};

    #[test]
    fn renamed_files_are_known_by_their_bytes() {
        let header = SegmentHeader { file_id: 300, origin: Origin::Fresh, sequence_before: 0 };
        let segment = header.encode();
        assert_eq!(recognise_bytes(&segment, &[]), Some((FileFormat::Segment, 300)));
        let mut footer = b"ATOLLSST".to_vec();
        footer.extend([2, 0, 0, 0, 5, 0, 0, 0, 44, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(recognise_bytes(b"anything", &footer), Some((FileFormat::Table, 300)));
        for (head, foot) in [(&b""[..], &b""[..]), (b"ATOLLWAL", b""), (b"SQLite 3", b"ATOLLSS")] {
            assert_eq!(recognise_bytes(head, foot), None);
        }
    }
}
