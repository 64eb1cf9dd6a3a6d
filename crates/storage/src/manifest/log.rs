//! [`Manifest`]: the append-only file of edits, and the [`State`] they add up to.
//!
//! Written by the engine (one edit per flush or compaction), read once by recovery.
//!
//! 1. A record is a header (length, ordinal, checksum) and an encoded edit.
//! 2. Reading applies records until the end or the first bad one; a bad one with a valid one behind it is corruption.
//! 3. When the file has grown by [`REWRITE_BYTES`] of edits, the next commit moves to a new file with one snapshot.
//!
//! Invariants
//! - Ordinals count from 0 without a gap; the checksum covers file id, offset and ordinal.
//! - At most one record is not yet synced, so that a bad record before a valid one can only be damage.
//! - The state changes in memory only after the record is durable.

use std::collections::BTreeMap;

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::checksum::Place;
use crate::codec::{Reader, length_u32};
use crate::disk::{Disk, OpenHow};
use crate::dropped::DroppedRange;
use crate::error::Error;
use crate::files::{FileKind, ROOT, StoreFile};

use super::current;
use super::edit::{Edit, TableRecord};

const MAGIC: [u8; 8] = *b"ATOLLMAN";

/// Version 1 was that of edits without dropped ranges, and was never released.
const VERSION: u8 = 2;

/// 8 magic + 1 version + 3 zero + 8 file id + 4 CRC.
pub(super) const HEADER_BYTES: usize = 24;

/// 4 length + 8 ordinal + 4 CRC.
const RECORD_HEADER_BYTES: usize = 16;

/// Length of a record's checksum, in bytes: a CRC32C.
const CHECKSUM_BYTES: usize = 4;

/// Edits that a manifest collects before it is rewritten: about 4 000 flushes of 250 bytes.
const REWRITE_BYTES: u64 = 1_024 * 1_024;

/// The store's files, as all edits so far leave them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Live tables by file id.
    pub(crate) tables: BTreeMap<u64, TableRecord>,
    /// Dropped ranges by id.
    pub(crate) dropped: BTreeMap<u64, DroppedRange>,
    /// Every write up to this sequence number is in a table.
    pub(crate) sequence_flushed: u64,
    /// First log segment that is still needed.
    pub(crate) segment_low_water: u64,
    /// File ids from this one on were not used when the last record was written.
    pub(crate) file_id_next: u64,
}

impl State {
    /// Applies `edit`; `None` (and no guarantee about `self`) if it contradicts the state.
    pub(crate) fn apply(&mut self, edit: &Edit) -> Option<()> {
        for file_id in &edit.removes {
            self.tables.remove(file_id)?;
        }
        for record in &edit.adds {
            let replaced = self.tables.insert(record.meta.file_id, record.clone());
            if replaced.is_some() {
                return None;
            }
        }
        for dropped in &edit.drops {
            if self.dropped.insert(dropped.id, dropped.clone()).is_some() {
                return None;
            }
        }
        for id in &edit.retires {
            self.dropped.remove(id)?;
        }
        let forward = edit.sequence_flushed >= self.sequence_flushed
            && edit.segment_low_water >= self.segment_low_water
            && edit.file_id_next >= self.file_id_next;
        self.sequence_flushed = edit.sequence_flushed;
        self.segment_low_water = edit.segment_low_water;
        self.file_id_next = edit.file_id_next;
        forward.then_some(())
    }

    /// The edit that makes this state out of nothing.
    pub(crate) fn snapshot(&self) -> Edit {
        Edit {
            removes: Vec::new(),
            adds: self.tables.values().cloned().collect(),
            drops: self.dropped.values().cloned().collect(),
            retires: Vec::new(),
            sequence_flushed: self.sequence_flushed,
            segment_low_water: self.segment_low_water,
            file_id_next: self.file_id_next,
        }
    }
}

/// The live manifest, open for appending.
pub(crate) struct Manifest {
    file_id: u64,
    file: StoreFile,
    end: u64,
    ordinal_next: u64,
    rewrite_at: u64,
    state: State,
}

impl Manifest {
    /// Writes a new manifest file that holds `state` and switches `CURRENT` to it; durable on return.
    pub(crate) fn create(disk: &dyn Disk, file_id: u64, state: State) -> Result<Manifest, Error> {
        assert!(file_id < state.file_id_next, "the manifest's own id is used up");
        let file = StoreFile::open(disk, &FileKind::Manifest.name(file_id), OpenHow::Create)?;
        let mut bytes = encode_header(file_id);
        let record = encode_record(file_id, bytes.len() as u64, 0, &state.snapshot().encode());
        bytes.extend_from_slice(&record);
        file.write_all(0, &bytes)?;
        file.sync()?;
        disk.sync_dir(ROOT)?;
        current::switch(disk, file_id)?;
        let end = bytes.len() as u64;
        assert!(bytes.len() > HEADER_BYTES + RECORD_HEADER_BYTES);
        let rewrite_at = end + REWRITE_BYTES;
        Ok(Manifest { file_id, file, end, ordinal_next: 1, rewrite_at, state })
    }

    /// Makes `edit` durable, then part of the state.
    pub(crate) fn commit(&mut self, edit: &Edit) -> Result<(), Error> {
        let mut state = self.state.clone();
        state.apply(edit).expect("the engine edits only what the manifest holds");
        let record = encode_record(self.file_id, self.end, self.ordinal_next, &edit.encode());
        // A full disk leaves a partial record, which the next commit overwrites and recovery reads as a torn tail.
        self.file.write_all(self.end, &record).map_err(Error::into_poison)?;
        if !seeded_bug(Mutant::ManifestEditNotSynced) {
            self.file.sync()?;
        }
        assert!(self.ordinal_next > 0, "a snapshot comes first");
        self.end += record.len() as u64;
        self.ordinal_next += 1;
        self.state = state;
        Ok(())
    }

    /// Whether enough edits have gathered to move to a new file.
    pub(crate) fn wants_rewrite(&self) -> bool {
        self.end >= self.rewrite_at
    }

    /// The file's id.
    pub(crate) fn file_id(&self) -> u64 {
        self.file_id
    }

    /// What all edits add up to.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }
}

/// Reads manifest `file_id` from its first to its last confirmed record.
pub(crate) fn read_state(disk: &dyn Disk, file_id: u64) -> Result<State, Error> {
    let name = FileKind::Manifest.name(file_id);
    let missing = "the manifest named by CURRENT is missing";
    let file = StoreFile::open_named(disk, &name, missing)?;
    let bytes = file.read_all()?;
    if is_of_version_1(&bytes) {
        let what = "the store was written in format 1: open it with the version that wrote it";
        return Err(file.corrupt(0, what));
    }
    if !header_checks(&bytes, file_id) {
        return Err(file.corrupt(0, "manifest header does not check"));
    }
    let mut state = State::default();
    let mut offset = HEADER_BYTES;
    let mut ordinal = 0;
    while let Some((payload, end)) = decode_record(&bytes, file_id, offset, Some(ordinal)) {
        Edit::decode(&payload)
            .and_then(|edit| state.apply(&edit))
            .ok_or_else(|| file.corrupt(offset as u64, "edit contradicts the ones before it"))?;
        assert!(end > offset && end <= bytes.len());
        offset = end;
        ordinal += 1;
    }
    if ordinal == 0 {
        return Err(file.corrupt(offset as u64, "manifest snapshot does not check"));
    }
    let later = (offset + 1..bytes.len())
        .any(|candidate| decode_record(&bytes, file_id, candidate, None).is_some());
    if later {
        return Err(file.corrupt(offset as u64, "bad edit before a valid one"));
    }
    Ok(state)
}

pub(super) fn encode_header(file_id: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES);
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    out.extend_from_slice(&[0; 3]);
    out.extend_from_slice(&file_id.to_le_bytes());
    let crc = Place { file_id, offset: 0, sequence: 0 }.checksum(&[&out]);
    out.extend_from_slice(&crc.to_le_bytes());
    assert!(out.len() == HEADER_BYTES);
    out
}

fn is_of_version_1(bytes: &[u8]) -> bool {
    bytes.strip_prefix(&MAGIC).is_some_and(|rest| rest.first() == Some(&1))
}

pub(super) fn header_checks(bytes: &[u8], file_id: u64) -> bool {
    // Nothing in it varies but the id.
    bytes.starts_with(&encode_header(file_id))
}

pub(super) fn encode_record(file_id: u64, offset: u64, ordinal: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(RECORD_HEADER_BYTES + payload.len());
    out.extend_from_slice(&length_u32(payload.len()).to_le_bytes());
    out.extend_from_slice(&ordinal.to_le_bytes());
    let crc = Place { file_id, offset, sequence: ordinal }.checksum(&[&out, payload]);
    out.extend_from_slice(&crc.to_le_bytes());
    assert!(out.len() == RECORD_HEADER_BYTES);
    out.extend_from_slice(payload);
    out
}

/// The payload of the record at `offset`, with this ordinal (any if `None`), and the offset behind it.
pub(super) fn decode_record(
    bytes: &Bytes,
    file_id: u64,
    offset: usize,
    ordinal: Option<u64>,
) -> Option<(Bytes, usize)> {
    let record = bytes.get(offset..)?;
    let mut reader = Reader::new(record);
    let payload_bytes = usize::try_from(reader.u32()?).ok()?;
    let found = reader.u64()?;
    let crc = reader.u32()?;
    let payload = reader.bytes(payload_bytes)?;
    let covered = record.get(..RECORD_HEADER_BYTES - CHECKSUM_BYTES)?;
    let place = Place { file_id, offset: offset as u64, sequence: found };
    let valid = ordinal.is_none_or(|ordinal| ordinal == found)
        && crc == place.checksum(&[covered, payload]);
    valid.then(|| (bytes.slice_ref(payload), offset + RECORD_HEADER_BYTES + payload_bytes))
}

#[cfg(test)]
pub(super) mod golden {
    //! Lets the golden test see the private encoders.

    pub(crate) fn header(file_id: u64) -> Vec<u8> {
        super::encode_header(file_id)
    }

    pub(crate) fn record(file_id: u64, offset: u64, ordinal: u64, payload: &[u8]) -> Vec<u8> {
        super::encode_record(file_id, offset, ordinal, payload)
    }
}
