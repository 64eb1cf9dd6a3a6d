//! Takes a manifest or `CURRENT` apart, for people.
//!
//! Called by `inspect/dump.rs`; and by offline verification, which wants to know where a manifest ends.
//!
//! Invariant: what does not check is shown as damaged, and the next record that checks follows, whatever its ordinal.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::finding::{Item, Sink};

use super::current;
use super::edit::{Edit, TableRecord};
use super::log::{HEADER_BYTES, decode_record, header_checks};

/// A part of a manifest behind its header.
pub(crate) enum Part {
    /// A record that checks, with its edit if that is well-formed.
    Record {
        /// Where it begins.
        offset: usize,
        /// Its edit.
        edit: Option<Edit>,
        /// Bytes of header and edit.
        bytes: usize,
    },
    /// Bytes without one.
    Damaged {
        /// Where they begin.
        offset: usize,
        /// How many they are.
        bytes: usize,
    },
}

/// The parts of manifest `file_id`, of which `bytes` are all.
pub(crate) fn parts(bytes: &Bytes, file_id: u64) -> impl Iterator<Item = Part> {
    let mut offset = HEADER_BYTES;
    std::iter::from_fn(move || {
        if offset >= bytes.len() {
            return None;
        }
        let begin = offset;
        if let Some((payload, end)) = decode_record(bytes, file_id, begin, None) {
            debug_assert!(end > begin, "every record leads on");
            offset = end;
            let edit = Edit::decode(&payload);
            return Some(Part::Record { offset: begin, edit, bytes: end - begin });
        }
        let is_record = |at: &usize| decode_record(bytes, file_id, *at, None).is_some();
        offset = (begin + 1..bytes.len()).find(is_record).unwrap_or(bytes.len());
        Some(Part::Damaged { offset: begin, bytes: offset - begin })
    })
}

/// Hands all structures of manifest `file_id` to `sink`.
pub(crate) fn dissect_manifest(
    bytes: &Bytes,
    file_id: u64,
    sink: &mut Sink<'_>,
) -> ControlFlow<()> {
    sink(if header_checks(bytes, file_id) {
        Item::new(0, "header").number("file_id", file_id)
    } else {
        Item::damaged(0, HEADER_BYTES.min(bytes.len()) as u64, "header does not check")
    })?;
    for part in parts(bytes, file_id) {
        match part {
            Part::Damaged { offset, bytes } => {
                sink(Item::damaged(offset as u64, bytes as u64, "no valid edit"))?;
            }
            Part::Record { offset, edit: None, bytes } => {
                sink(Item::damaged(
                    offset as u64,
                    bytes as u64,
                    "an edit that checks is malformed",
                ))?;
            }
            Part::Record { offset, edit: Some(edit), bytes } => {
                dissect_edit(offset as u64, &edit, bytes as u64, sink)?;
            }
        }
    }
    ControlFlow::Continue(())
}

fn dissect_edit(offset: u64, edit: &Edit, bytes: u64, sink: &mut Sink<'_>) -> ControlFlow<()> {
    let removes: Vec<String> = edit.removes.iter().map(u64::to_string).collect();
    let mut item = Item::new(offset, "edit")
        .number("bytes", bytes)
        .number("sequence_flushed", edit.sequence_flushed)
        .number("segment_low_water", edit.segment_low_water)
        .number("file_id_next", edit.file_id_next)
        .number("adds", edit.adds.len() as u64);
    if !removes.is_empty() {
        item = item.text("removes", removes.join(","));
    }
    sink(item)?;
    edit.adds.iter().try_for_each(|record| sink(table_item(offset, record)))
}

fn table_item(offset: u64, record: &TableRecord) -> Item {
    let meta = &record.meta;
    let item = Item::new(offset, "table")
        .number("level", record.level)
        .number("file_id", meta.file_id)
        .number("bytes", meta.bytes)
        .number("entries", meta.entries)
        .number("sequence_min", meta.sequence_min)
        .number("sequence_max", meta.sequence_max)
        .key("key_first", &meta.key_first)
        .key("key_last", &meta.key_last);
    match &record.trimmed_to {
        Some(key) => item.key("trimmed_to", key),
        None => item,
    }
}

/// Hands what a `CURRENT` says to `sink`.
pub(crate) fn dissect_current(bytes: &[u8], sink: &mut Sink<'_>) -> ControlFlow<()> {
    sink(match current::decode(bytes) {
        Some(manifest_id) => Item::new(0, "current").number("manifest_id", manifest_id),
        None => Item::damaged(0, bytes.len() as u64, "CURRENT does not check"),
    })
}
