//! Bytes of a record, on disk and on the wire.
//!
//! ```text
//! offset size                      all integers little-endian
//!      0    1 version              1
//!      1    1 conflict mode        0 siblings, 1 lww
//!      2    2 entry count
//!   then per entry, in order of incarnation:
//!           8 incarnation
//!           8 floor
//!           2 cell count
//!        then per cell, in order of (counter, cell):
//!           8 counter
//!           8 timestamp            microseconds
//!           8 expires at           microseconds since the Unix epoch; 0 = never (always for a tombstone)
//!           1 body                 0 value, 1 tombstone
//!           4 value length         0 for a tombstone
//!           … value
//! ```
//!
//! Invariants
//! - The encoding is canonical: equal records have equal bytes, and decoding refuses any other order.
//! - The decoder never panics and allocates no more than the bytes that it was given.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use smallvec::SmallVec;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::{Cell, CellBody, Entry, Record};
use crate::ids::Incarnation;
use crate::keyspace::Conflict;
use crate::limits::VERSION_ENTRIES_MAX;
use crate::time::WallTime;
use crate::version::Timestamp;

/// Version byte of the record encoding.
const RECORD_VERSION: u8 = 1;

/// Bytes before the entries.
const HEAD_BYTES: usize = 1 + 1 + 2;

/// Bytes of an entry before its cells.
const ENTRY_HEAD_BYTES: usize = 8 + 8 + 2;

/// Bytes of a cell before its value.
const CELL_HEAD_BYTES: usize = 8 + 8 + 8 + 1 + 4;

/// Why bytes are not a record. Always an operating error (damage, or a newer version), never a panic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a record: {what}")]
pub struct RecordError {
    /// The first thing that is wrong.
    pub what: &'static str,
}

const fn wrong(what: &'static str) -> RecordError {
    RecordError { what }
}

impl Record {
    /// The canonical bytes of this record.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.encoded_len());
        self.encode_parts(&mut |part| out.put_slice(part));
        debug_assert_eq!(out.len(), self.encoded_len());
        out.freeze()
    }

    /// Gives out the canonical bytes part by part.
    fn encode_parts(&self, out: &mut impl FnMut(&[u8])) {
        let conflict = match self.conflict {
            Conflict::Siblings => 0,
            Conflict::Lww => 1,
        };
        let [low, high] = count_u16(self.entries.len()).to_le_bytes();
        out(&[RECORD_VERSION, conflict, low, high]);
        for (incarnation, entry) in self.entries.iter() {
            let mut head = [0; ENTRY_HEAD_BYTES];
            let mut rest = head.as_mut_slice();
            rest.put_u64_le(incarnation.0);
            rest.put_u64_le(entry.floor);
            rest.put_u16_le(count_u16(entry.cells.len()));
            out(&head);
            for (counter, cell) in &entry.cells {
                encode_cell(*counter, cell, out);
            }
        }
    }

    /// Length of [`Record::encode`] in bytes.
    pub fn encoded_len(&self) -> usize {
        let values: usize = self.cells().map(|(_, cell)| cell.value_length()).sum();
        HEAD_BYTES
            + self.entries.len() * ENTRY_HEAD_BYTES
            + self.sibling_count() * CELL_HEAD_BYTES
            + values
    }

    /// Reads a record. Values are slices of `bytes`, not copies.
    ///
    /// # Errors
    /// [`RecordError`] for anything that [`Record::encode`] does not produce.
    pub fn decode(mut bytes: Bytes) -> Result<Self, RecordError> {
        let length = bytes.len();
        need(&bytes, HEAD_BYTES)?;
        if bytes.get_u8() != RECORD_VERSION {
            return Err(wrong("unknown version"));
        }
        let conflict = match bytes.get_u8() {
            0 => Conflict::Siblings,
            1 => Conflict::Lww,
            _ => return Err(wrong("unknown conflict mode")),
        };
        let mut record = Self::empty(conflict);
        let entry_count = usize::from(bytes.get_u16_le());
        if entry_count > VERSION_ENTRIES_MAX {
            return Err(wrong("too many incarnations"));
        }
        for _ in 0..entry_count {
            let (incarnation, entry) = decode_entry(&mut bytes)?;
            if !record.entries.push(incarnation, entry) {
                return Err(wrong("incarnations out of order"));
            }
        }
        if !bytes.is_empty() {
            return Err(wrong("bytes after the end"));
        }
        let lww_shape =
            record.sibling_count() <= 1 && record.entries.values().all(|e| e.floor == 0);
        if conflict == Conflict::Lww && !lww_shape {
            return Err(wrong("an lww record with more than one cell or a floor"));
        }
        record.assert_invariants();
        debug_assert_eq!(record.encoded_len(), length, "all bytes are accounted for");
        Ok(record)
    }

    /// 128-bit digest of the canonical bytes: equal digests mean equal records.
    ///
    /// Cost: one pass over the values, which are not copied.
    pub fn digest(&self) -> u128 {
        let mut hasher = Xxh3::new();
        self.encode_parts(&mut |part| hasher.update(part));
        hasher.digest128()
    }

    /// The [`digest`](Record::digest) of the record in `bytes`, which are not looked at otherwise.
    pub fn digest_of(bytes: &[u8]) -> u128 {
        xxh3_128(bytes)
    }
}

impl Cell {
    fn value_length(&self) -> usize {
        match &self.body {
            CellBody::Value(value) => value.len(),
            CellBody::Tombstone => 0,
        }
    }
}

fn encode_cell(counter: u64, cell: &Cell, out: &mut impl FnMut(&[u8])) {
    debug_assert_ne!(cell.expires_at, Some(WallTime::from_micros(0)), "0 means never");
    let (kind, value) = match &cell.body {
        CellBody::Value(value) => (0, value.as_ref()),
        CellBody::Tombstone => (1, [].as_slice()),
    };
    assert!(u32::try_from(value.len()).is_ok(), "values are bounded before they are stored");
    let mut head = [0; CELL_HEAD_BYTES];
    let mut rest = head.as_mut_slice();
    rest.put_u64_le(counter);
    rest.put_u64_le(cell.timestamp.0);
    rest.put_u64_le(cell.expires_at.map_or(0, WallTime::as_micros));
    rest.put_u8(kind);
    rest.put_u32_le(u32::try_from(value.len()).unwrap_or(u32::MAX));
    out(&head);
    out(value);
}

fn decode_entry(bytes: &mut Bytes) -> Result<(Incarnation, Entry), RecordError> {
    need(bytes, ENTRY_HEAD_BYTES)?;
    let incarnation = Incarnation(bytes.get_u64_le());
    let floor = bytes.get_u64_le();
    let cell_count = usize::from(bytes.get_u16_le());
    let mut entry = Entry { floor, cells: SmallVec::new() };
    for _ in 0..cell_count {
        entry.cells.push(decode_cell(bytes)?);
    }
    if floor == 0 && entry.cells.is_empty() {
        return Err(wrong("an empty entry"));
    }
    if !entry.is_canonical() {
        return Err(wrong("cells out of order or below their floor"));
    }
    Ok((incarnation, entry))
}

fn decode_cell(bytes: &mut Bytes) -> Result<(u64, Cell), RecordError> {
    need(bytes, CELL_HEAD_BYTES)?;
    let counter = bytes.get_u64_le();
    let timestamp = Timestamp(bytes.get_u64_le());
    let expires_micros = bytes.get_u64_le();
    let kind = bytes.get_u8();
    let length = bytes.get_u32_le() as usize;
    let body = match kind {
        0 => {
            need(bytes, length)?;
            CellBody::Value(bytes.split_to(length))
        }
        1 if length == 0 && expires_micros == 0 => CellBody::Tombstone,
        _ => return Err(wrong("unknown cell body")),
    };
    let expires_at = (expires_micros != 0).then(|| WallTime::from_micros(expires_micros));
    Ok((counter, Cell { timestamp, expires_at, body }))
}

fn need(bytes: &Bytes, count: usize) -> Result<(), RecordError> {
    if bytes.len() < count { Err(wrong("truncated")) } else { Ok(()) }
}

/// Counts are bounded far below 65 536 before anything is encoded (siblings by `SIBLINGS_MAX` at every put plus what
/// concurrent coordinators add, incarnations by `VERSION_ENTRIES_MAX`); a count that does not fit is a programmer's
/// error that must not reach the disk.
fn count_u16(count: usize) -> u16 {
    assert!(count <= usize::from(u16::MAX), "record counts fit 16 bits");
    u16::try_from(count).unwrap_or(u16::MAX)
}
