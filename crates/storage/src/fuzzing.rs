//! One door per decoder, for `fuzz/`: arbitrary bytes in, nothing out but a panic.
//!
//! Compiled for tests, and with the feature `fuzzing`, which nothing shipped turns on.
//!
//! 1. Every function takes the bytes of the fuzzer as they are, and also makes something of them whose checksums are
//!    right: a fuzzer does not guess a CRC32C, and what lies behind it must not panic either.
//! 2. Where there is an encoder, what decodes is encoded and decoded again, and must be the same.
//! 3. Files are read through [`FlatDisk`], by the same functions as in the engine.
//!
//! Invariant: an assertion that fails here is a defect of a decoder, or of the harness; never of the input.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::batch::{Batch, operations};
use crate::files::{CURRENT, FileKind};
use crate::finding::Item;
use crate::harness::{FlatDisk, Source};
use crate::inspect::dump_file;
use crate::value_log::{RecordWalk, Stretch, ValueFile, ValueKind};
use crate::wal::{
    Origin, RECORD_MAGIC, RecordHeader, SegmentHeader, record_header_bytes, replay,
    segment_header_bytes,
};

pub use crate::manifest::fuzzing::manifest_edit;
pub use crate::sstable::fuzzing::{
    block, block_round_trip, filter, footer, frame, index, prefixes, references,
};

/// Operations of a batch: decoded, and what was written read back.
pub fn batch(bytes: &[u8]) {
    let encoded = Bytes::copy_from_slice(bytes);
    for operation in operations(encoded.clone()).flatten() {
        let end = operation.value_at + operation.value.len();
        assert_eq!(encoded.get(operation.value_at..end), Some(&operation.value[..]));
    }
    let mut source = Source::new(bytes);
    let mut batch = Batch::new();
    let mut written = Vec::new();
    while !source.is_empty() {
        let (kind, key, value) = (source.byte() % 3, source.short(), source.short());
        match kind {
            0 => batch.put(key, value),
            1 => batch.merge(key, value),
            _ => batch.delete(key),
        }
        written.push((key, if kind == 2 { &[] } else { value }));
    }
    let read: Vec<_> =
        operations(Bytes::copy_from_slice(batch.into_part().operations())).flatten().collect();
    let read: Vec<_> = read.iter().map(|read| (&read.key[..], &read.value[..])).collect();
    assert_eq!(read, written);
}

/// Two segments of a log: replayed, walked and shown.
pub fn log(bytes: &[u8]) {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    for raw in [true, false] {
        let disk = FlatDisk::default();
        let mut sequence = 0;
        for (file_id, body) in [(7, first), (8, second)] {
            let continued = if raw { None } else { Some(&mut sequence) };
            let file = records_file(file_id, body, continued);
            disk.put(&FileKind::Segment.name(file_id), file);
        }
        let replayed = replay(&disk, &[7, 8], 0, |record| {
            assert!(record.operations > 0);
            operations(record.encoded).for_each(drop);
            Ok(())
        });
        if let Ok(end) = replayed {
            // Without a tear, every record was handed over.
            assert!(raw || end.torn_bytes > 0 || end.sequence_last == sequence);
        }
        for file_id in [7, 8] {
            walk(&disk, file_id);
            show(&disk, &FileKind::Segment.name(file_id));
        }
    }
    // The whole file is the fuzzer's.
    let disk = FlatDisk::default();
    disk.put(&FileKind::Segment.name(7), bytes.to_vec());
    let _ = replay(&disk, &[7], 0, |_record| Ok(()));
    show(&disk, &FileKind::Segment.name(7));
}

/// A value file: verified, walked and shown.
pub fn value_file(bytes: &[u8]) {
    for raw in [true, false] {
        let disk = FlatDisk::default();
        let mut sequence = 0;
        let sequence = if raw { None } else { Some(&mut sequence) };
        let name = FileKind::Values.name(7);
        disk.put(&name, records_file(7, bytes, sequence));
        let file = ValueFile::open(&disk, ValueKind::Values, 7).expect("it was put there");
        let (mut read, mut damages) = (0, Vec::new());
        let tally = file.verify(&mut |bytes| read += bytes, &mut damages).expect("it can be read");
        assert_eq!(read, tally.bytes);
        show(&disk, &name);
    }
    let disk = FlatDisk::default();
    disk.put(&FileKind::Values.name(7), bytes.to_vec());
    show(&disk, &FileKind::Values.name(7));
}

/// A manifest, as it is and as records that check.
pub fn manifest(bytes: &[u8]) {
    crate::manifest::fuzzing::manifest(bytes, show);
}

/// `CURRENT`, as it is and with the checksum it should have.
pub fn current(bytes: &[u8]) {
    crate::manifest::fuzzing::current(bytes, show);
}

/// A whole table, changed anywhere, with every checksum right.
pub fn table(bytes: &[u8]) {
    crate::sstable::fuzzing::table(bytes, show);
}

/// Every file of a store, under every name, and under none.
pub fn dump(bytes: &[u8]) {
    for name in [CURRENT, "000007.wal", "000007.vlog", "000007.sst", "000007.manifest", "renamed"] {
        let disk = FlatDisk::default();
        disk.put(name, bytes.to_vec());
        show(&disk, name);
    }
}

/// Shows a file; it ends. (An index may say anything of where its blocks are, and is shown as it is.)
fn show(disk: &FlatDisk, name: &str) {
    let mut sink = |item: Item| {
        assert!(!item.part.is_empty());
        ControlFlow::Continue(())
    };
    let _ = dump_file(disk, name, &mut sink);
}

fn walk(disk: &FlatDisk, file_id: u64) {
    let name = FileKind::Segment.name(file_id);
    let opened = crate::files::StoreFile::open(disk, &name, crate::disk::OpenHow::Read);
    let file = opened.expect("it was put there");
    let end = disk.len(&name);
    let mut walk = RecordWalk::new(&file, file_id, end);
    let mut reached = segment_header_bytes();
    while let Some(stretch) = walk.step().expect("it can be read") {
        assert_eq!(stretch.offset(), reached);
        assert!(stretch.bytes() > 0);
        reached += stretch.bytes();
        if let Stretch::Record { header, .. } = stretch {
            assert!(header.operations > 0);
        }
    }
    assert_eq!(reached, end, "stretches tile the file");
}

/// A file of records: a valid header and `body`; with a `sequence`, the body is made into records that continue it.
///
/// A record whose last payload byte is 0xff stays as it is, so that there are bad ones among the good.
fn records_file(file_id: u64, body: &[u8], sequence: Option<&mut u64>) -> Vec<u8> {
    let origin = if body.first() == Some(&1) { Origin::Relog } else { Origin::Fresh };
    let mut file = SegmentHeader { file_id, origin, sequence_before: 0 }.encode();
    let Some(sequence) = sequence else {
        file.extend_from_slice(body);
        return file;
    };
    let mut source = Source::new(body);
    while !source.is_empty() {
        let operations = u32::from(source.byte() % 8) + 1;
        let vouches = source.byte().is_multiple_of(2);
        let payload = source.short();
        let offset = file.len() as u64;
        if payload.last() == Some(&0xff) {
            file.extend_from_slice(&RECORD_MAGIC);
            file.extend_from_slice(payload);
            continue;
        }
        let header = RecordHeader {
            payload_bytes: u32::try_from(payload.len()).unwrap_or(0),
            operations,
            sequence_first: *sequence + 1,
            durable_bytes: if vouches { offset } else { 0 },
        };
        *sequence += u64::from(operations);
        file.extend_from_slice(&header.encode(file_id, offset, payload));
        file.extend_from_slice(payload);
        assert!(file.len() as u64 == offset + record_header_bytes() + payload.len() as u64);
    }
    file
}

/// Harnesses rot unless they run: a few inputs each, where `fuzz/` has millions.
#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    const HARNESSES: [fn(&[u8]); 16] = [
        super::batch,
        super::log,
        super::value_file,
        super::manifest_edit,
        super::manifest,
        super::current,
        super::footer,
        super::frame,
        super::block,
        super::block_round_trip,
        super::index,
        super::filter,
        super::prefixes,
        super::references,
        super::table,
        super::dump,
    ];

    proptest! {
        #[test]
        fn every_harness_holds_whatever_the_bytes(bytes in vec(any::<u8>(), 0..400)) {
            HARNESSES.iter().for_each(|harness| harness(&bytes));
        }

        /// Bytes below 16 reach the shapes that a fuzzer finds: few kinds, short keys, no change at all.
        #[test]
        fn every_harness_holds_on_small_bytes(bytes in vec(0u8..16, 0..400)) {
            HARNESSES.iter().for_each(|harness| harness(&bytes));
        }
    }

    /// A table that points to more than a hundred bytes of a value file; the harness had made none as long.
    #[test]
    fn a_table_may_point_to_much_of_a_value_file() {
        super::table(&[0x01, 0x00, 0x30, 0xff, 0x02, 0x01, 0x0b, 0x00, 0x30]);
    }
}
