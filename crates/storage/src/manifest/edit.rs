//! [`Edit`]: one atomic change of the store's files, and its bytes.
//!
//! Built by flush, compaction and recovery; encoded into a manifest record; applied by `State`.
//!
//! Invariant: decoding never panics and an edit that decodes has no trailing bytes.

use bytes::Bytes;

use crate::codec::{Reader, put_prefixed, put_varint};
use crate::dropped::DroppedRange;
use crate::sstable::TableMeta;

/// First byte of an encoded edit. Version 1 knew no dropped ranges, and was never released.
const VERSION: u8 = 2;

/// A table of the store, where it lies in the tree, and which part of it is still alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableRecord {
    /// Level; 0 takes flushes, each deeper level is sorted and free of overlap.
    pub(crate) level: u8,
    /// The file.
    pub(crate) meta: TableMeta,
    /// Keys below this one have been moved to the next level by a compaction that stopped here; `None` if all live.
    pub(crate) trimmed_to: Option<Bytes>,
}

/// What a record of the manifest changes. The three numbers are always the current ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Files that leave the store. A file may be removed and added again, to change its record.
    pub(crate) removes: Vec<u64>,
    /// Tables that join the store.
    pub(crate) adds: Vec<TableRecord>,
    /// Ranges that are dropped from now on.
    pub(crate) drops: Vec<DroppedRange>,
    /// Drops that are done with, by id.
    pub(crate) retires: Vec<u64>,
    /// Every write up to this sequence number is in a table.
    pub(crate) sequence_flushed: u64,
    /// First log segment that is still needed.
    pub(crate) segment_low_water: u64,
    /// File ids from this one on were not used when the record was written.
    pub(crate) file_id_next: u64,
}

impl Edit {
    /// The edit's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        debug_assert!(self.adds.iter().all(|record| record.meta.file_id < self.file_id_next));
        debug_assert!(self.removes.iter().all(|file_id| *file_id < self.file_id_next));
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.sequence_flushed.to_le_bytes());
        out.extend_from_slice(&self.segment_low_water.to_le_bytes());
        out.extend_from_slice(&self.file_id_next.to_le_bytes());
        put_varint(&mut out, self.removes.len() as u64);
        self.removes.iter().for_each(|file_id| put_varint(&mut out, *file_id));
        put_varint(&mut out, self.adds.len() as u64);
        self.adds.iter().for_each(|record| encode_record(&mut out, record));
        put_varint(&mut out, self.drops.len() as u64);
        self.drops.iter().for_each(|dropped| encode_drop(&mut out, dropped));
        put_varint(&mut out, self.retires.len() as u64);
        self.retires.iter().for_each(|id| put_varint(&mut out, *id));
        out
    }

    /// The edit in `bytes`; `None` if they are not exactly one.
    pub(crate) fn decode(bytes: &Bytes) -> Option<Edit> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return None;
        }
        let mut edit = Edit {
            sequence_flushed: reader.u64()?,
            segment_low_water: reader.u64()?,
            file_id_next: reader.u64()?,
            ..Edit::default()
        };
        for _ in 0..reader.varint()? {
            edit.removes.push(reader.varint()?);
        }
        for _ in 0..reader.varint()? {
            edit.adds.push(decode_record(&mut reader)?);
        }
        for _ in 0..reader.varint()? {
            edit.drops.push(decode_drop(&mut reader)?);
        }
        for _ in 0..reader.varint()? {
            edit.retires.push(reader.varint()?);
        }
        (reader.remaining() == 0).then_some(edit)
    }
}

fn encode_record(out: &mut Vec<u8>, record: &TableRecord) {
    let meta = &record.meta;
    assert!(meta.key_first <= meta.key_last && meta.sequence_min <= meta.sequence_max);
    assert!(record.trimmed_to.as_ref().is_none_or(|key| *key <= meta.key_last), "some of it lives");
    out.push(record.level);
    put_varint(out, meta.file_id);
    put_varint(out, meta.bytes);
    put_varint(out, meta.entries);
    put_varint(out, meta.sequence_min);
    put_varint(out, meta.sequence_max);
    put_prefixed(out, &meta.key_first);
    put_prefixed(out, &meta.key_last);
    match &record.trimmed_to {
        None => out.push(0),
        Some(key) => {
            out.push(1);
            put_prefixed(out, key);
        }
    }
}

fn encode_drop(out: &mut Vec<u8>, dropped: &DroppedRange) {
    assert!(dropped.start < dropped.end, "a drop has keys");
    put_varint(out, dropped.id);
    put_varint(out, dropped.sequence);
    put_prefixed(out, &dropped.start);
    put_prefixed(out, &dropped.end);
}

fn decode_drop(reader: &mut Reader<'_>) -> Option<DroppedRange> {
    let dropped = DroppedRange {
        id: reader.varint()?,
        sequence: reader.varint()?,
        start: Bytes::copy_from_slice(reader.prefixed()?),
        end: Bytes::copy_from_slice(reader.prefixed()?),
    };
    (dropped.start < dropped.end).then_some(dropped)
}

fn decode_record(reader: &mut Reader<'_>) -> Option<TableRecord> {
    let level = reader.u8()?;
    let meta = TableMeta {
        file_id: reader.varint()?,
        bytes: reader.varint()?,
        entries: reader.varint()?,
        sequence_min: reader.varint()?,
        sequence_max: reader.varint()?,
        key_first: Bytes::copy_from_slice(reader.prefixed()?),
        key_last: Bytes::copy_from_slice(reader.prefixed()?),
    };
    let trimmed_to = match reader.u8()? {
        0 => None,
        1 => Some(Bytes::copy_from_slice(reader.prefixed()?)),
        _ => return None,
    };
    let ordered = meta.key_first <= meta.key_last
        && meta.sequence_min <= meta.sequence_max
        && trimmed_to.as_ref().is_none_or(|key| *key <= meta.key_last);
    ordered.then_some(TableRecord { level, meta, trimmed_to })
}
