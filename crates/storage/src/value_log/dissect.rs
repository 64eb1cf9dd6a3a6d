//! Takes a log segment or a value file apart, for people: header, records, operations.
//!
//! Called by `inspect/dump.rs`; both kinds of file have the same format.
//!
//! Invariant: what does not check is shown as damaged, and the next valid record follows.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::batch::{OperationKind, operations};
use crate::entry::digest;
use crate::files::StoreFile;
use crate::finding::{Item, Sink};
use crate::wal::{Origin, RecordHeader, SegmentHeader, record_header_bytes, segment_header_bytes};

use super::verify::{RecordWalk, Stretch};

/// Hands all structures of `file`, which is `end` bytes long, to `sink`.
pub(crate) fn dissect_records(
    file: &StoreFile,
    file_id: u64,
    end: u64,
    sink: &mut Sink<'_>,
) -> ControlFlow<()> {
    sink(header_item(file, file_id, end))?;
    let mut walk = RecordWalk::new(file, file_id, end);
    loop {
        match walk.step() {
            Ok(None) => return ControlFlow::Continue(()),
            Ok(Some(Stretch::Damaged { offset, bytes })) => {
                sink(Item::damaged(offset, bytes, "no valid record"))?;
            }
            Ok(Some(Stretch::Record { offset, header, encoded })) => {
                dissect_record(offset, &header, encoded, sink)?;
            }
            Err(error) => {
                sink(Item::failed(0, error))?;
                return ControlFlow::Continue(());
            }
        }
    }
}

fn header_item(file: &StoreFile, file_id: u64, end: u64) -> Item {
    let count = usize::try_from(segment_header_bytes().min(end)).unwrap_or(0);
    let bytes = match file.read_exact(0, count) {
        Ok(bytes) => bytes,
        Err(error) => return Item::failed(0, error),
    };
    let Some(header) = SegmentHeader::decode(&bytes, file_id) else {
        return Item::damaged(0, bytes.len() as u64, "header does not check");
    };
    let origin = match header.origin {
        Origin::Fresh => "fresh",
        Origin::Relog => "relog",
    };
    Item::new(0, "header")
        .number("file_id", header.file_id)
        .text("origin", origin)
        .number("sequence_before", header.sequence_before)
}

fn dissect_record(
    offset: u64,
    header: &RecordHeader,
    encoded: Bytes,
    sink: &mut Sink<'_>,
) -> ControlFlow<()> {
    let item = Item::new(offset, "record")
        .number("bytes", header.record_bytes())
        .number("operations", header.operations)
        .number("sequence_first", header.sequence_first)
        .number("durable_bytes", header.durable_bytes);
    sink(item)?;
    let begin = offset + record_header_bytes();
    let mut at = begin;
    for (number, operation) in (0u64..).zip(operations(encoded)) {
        let Some(operation) = operation else {
            let bytes = (offset + header.record_bytes()).saturating_sub(at);
            return sink(Item::damaged(at, bytes, "malformed operation"));
        };
        let kind = match operation.kind {
            OperationKind::Put => "put",
            OperationKind::Merge => "merge",
            OperationKind::Delete => "delete",
        };
        let mut item = Item::new(at, kind)
            .number("sequence", header.sequence_first.saturating_add(number))
            .key("key", &operation.key);
        if operation.kind != OperationKind::Delete {
            item = item
                .number("value_bytes", operation.value.len() as u64)
                .number("value_at", begin + operation.value_at as u64)
                .digest("value_digest", digest(&operation.value));
        }
        sink(item)?;
        at = begin + (operation.value_at + operation.value.len()) as u64;
    }
    ControlFlow::Continue(())
}
