//! The three ends of a log, misdirected bytes, and the golden bytes of the format.

use super::format::{RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::{Log, Origin, Segment, replay};
use crate::batch::Batch;
use crate::disk::{Disk, OpenHow, RealDisk};
use crate::error::Error;
use crate::files::{FileKind, StoreFile};

/// A log of one or more segments, with one record of two operations after the other.
struct Written {
    _dir: tempfile::TempDir,
    disk: RealDisk,
    segments: Vec<u64>,
}

const ID: u64 = 7;

const BEFORE: u64 = 100;

#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// The record is synced before the next one is written.
    Sync,
    /// It is not.
    Nothing,
    /// It is not, and the next one goes to a new segment.
    Roll,
    /// It is synced, and the next one goes to a new segment.
    SyncAndRoll,
}

impl Written {
    fn new(records: &[After]) -> Written {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(dir.path());
        let segment = |file_id| {
            let draft = Segment::draft(&disk, file_id, Origin::Fresh, 0).unwrap();
            draft.publish(&disk).unwrap()
        };
        let mut first = segment(ID);
        first.begin_after(BEFORE);
        let mut log = Log::new(first);
        let mut segments = vec![ID];
        for (index, after) in records.iter().enumerate() {
            let mut batch = Batch::new();
            batch.put(format!("key{index}").as_bytes(), b"value");
            batch.delete(b"x");
            let appended = log.append(&mut [batch.into_part()], 2).unwrap();
            assert_eq!(appended.sequence_first, BEFORE + 1 + index as u64 * 2);
            if matches!(after, After::Sync | After::SyncAndRoll) {
                assert!(log.sync_all() > 0);
            }
            if matches!(after, After::Roll | After::SyncAndRoll) {
                let next = segments.last().unwrap() + 1;
                log.roll(segment(next));
                segments.push(next);
            }
        }
        drop(log);
        Written { _dir: dir, disk, segments }
    }

    fn bytes(&self, file_id: u64) -> Vec<u8> {
        let name = FileKind::Segment.name(file_id);
        StoreFile::open(&self.disk, &name, OpenHow::Read).unwrap().read_all().unwrap().to_vec()
    }

    fn overwrite(&self, file_id: u64, bytes: &[u8]) {
        let file = self.disk.open(&FileKind::Segment.name(file_id), OpenHow::Replace).unwrap();
        assert_eq!(file.write_at(0, bytes).unwrap(), bytes.len());
    }

    /// The first sequence numbers of the records that come back, and the bytes cut off.
    fn replay(&self) -> Result<(Vec<u64>, u64), Error> {
        let mut firsts = Vec::new();
        let replayed = replay(&self.disk, &self.segments, BEFORE, |record| {
            assert_eq!(record.operations, 2);
            firsts.push(record.sequence_first);
            Ok(())
        })?;
        assert_eq!(replayed.sequence_last, BEFORE + 2 * firsts.len() as u64);
        Ok((firsts, replayed.torn_bytes))
    }
}

impl Log {
    /// Syncs everything; returns the number of syncs.
    fn sync_all(&self) -> usize {
        let plan = self.plan_sync();
        for step in &plan {
            step.run().unwrap();
            self.durable().confirm(step);
        }
        assert!(self.plan_sync().is_empty(), "everything is durable");
        plan.len()
    }
}

fn record_bytes(written: &Written, records: usize) -> usize {
    (written.bytes(ID).len() - SEGMENT_HEADER_BYTES) / records
}

#[test]
fn a_whole_log_replays() {
    let written = Written::new(&[After::Sync, After::Sync, After::Sync]);
    assert_eq!(written.replay().unwrap(), (vec![101, 103, 105], 0));
    let written = Written::new(&[After::Roll, After::SyncAndRoll, After::Nothing, After::Roll]);
    assert_eq!(written.replay().unwrap(), (vec![101, 103, 105, 107], 0));
}

#[test]
fn every_cut_of_the_last_record_is_a_torn_tail() {
    let written = Written::new(&[After::Sync, After::Sync, After::Sync]);
    let bytes = written.bytes(ID);
    let record = record_bytes(&written, 3);
    for cut in SEGMENT_HEADER_BYTES..bytes.len() {
        written.overwrite(ID, &bytes[..cut]);
        let whole = (cut - SEGMENT_HEADER_BYTES) / record;
        let torn = (cut - SEGMENT_HEADER_BYTES) % record;
        let (firsts, torn_bytes) = written.replay().unwrap();
        assert_eq!((firsts.len(), torn_bytes), (whole, torn as u64));
    }
    written.overwrite(ID, &bytes[..SEGMENT_HEADER_BYTES - 1]);
    assert!(written.replay().is_err());
}

#[test]
fn a_flip_before_durable_records_is_corruption_and_in_the_last_record_a_tear() {
    let written = Written::new(&[After::Sync, After::Sync, After::Sync]);
    let bytes = written.bytes(ID);
    let record = record_bytes(&written, 3);
    for position in SEGMENT_HEADER_BYTES..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[position] ^= 0x10;
        written.overwrite(ID, &flipped);
        let index = (position - SEGMENT_HEADER_BYTES) / record;
        match written.replay() {
            Err(Error::Corrupt { offset, .. }) => {
                assert!(index < 2);
                assert_eq!(offset, (SEGMENT_HEADER_BYTES + index * record) as u64);
            }
            Ok((firsts, torn_bytes)) => {
                assert_eq!((index, firsts.len()), (2, 2));
                assert_eq!(torn_bytes, record as u64);
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn unsynced_records_vouch_for_nothing() {
    // Records 1 and 2 were never synced: a hole in 1 with a whole 2 is what a power loss may leave.
    let written = Written::new(&[After::Sync, After::Nothing, After::Nothing]);
    let bytes = written.bytes(ID);
    let record = record_bytes(&written, 3);
    let mut hole = bytes.clone();
    hole[SEGMENT_HEADER_BYTES + record..SEGMENT_HEADER_BYTES + 2 * record].fill(0);
    written.overwrite(ID, &hole);
    assert_eq!(written.replay().unwrap().0, [101]);
    // Record 0 was durable when record 1 was written.
    let mut rotten = bytes;
    rotten[SEGMENT_HEADER_BYTES + RECORD_HEADER_BYTES] ^= 1;
    written.overwrite(ID, &rotten);
    assert!(matches!(written.replay(), Err(Error::Corrupt { .. })));
}

#[test]
fn a_torn_segment_ends_the_log_unless_a_later_one_vouches_for_it() {
    for (after_first, vouched) in [(After::Roll, false), (After::SyncAndRoll, true)] {
        let written = Written::new(&[after_first, After::Nothing, After::Nothing]);
        let bytes = written.bytes(ID);
        let later = written.bytes(ID + 1).len() - SEGMENT_HEADER_BYTES;
        // All of the first segment's record, a part of it, or a byte of it is lost.
        for cut in [SEGMENT_HEADER_BYTES, bytes.len() - 3] {
            written.overwrite(ID, &bytes[..cut]);
            match written.replay() {
                Ok((firsts, torn_bytes)) => {
                    assert!(!vouched && firsts.is_empty());
                    assert_eq!(torn_bytes, (cut - SEGMENT_HEADER_BYTES + later) as u64);
                }
                Err(error) => assert!(vouched && matches!(error, Error::Corrupt { .. })),
            }
        }
    }
}

#[test]
fn a_record_vouches_for_earlier_segments_only_once_all_are_durable() {
    // The second segment's record 1 is synced, with the first segment before it: record 2 vouches for both.
    let written = Written::new(&[After::Roll, After::Sync, After::Nothing]);
    written.overwrite(ID, &written.bytes(ID)[..SEGMENT_HEADER_BYTES]);
    assert!(matches!(written.replay(), Err(Error::Corrupt { .. })));
}

#[test]
fn well_formed_bytes_in_the_wrong_place_fail() {
    let written = Written::new(&[After::Sync, After::Sync, After::Sync]);
    let mut bytes = written.bytes(ID);
    let record = record_bytes(&written, 3);
    let first = bytes[SEGMENT_HEADER_BYTES..SEGMENT_HEADER_BYTES + record].to_vec();
    bytes[SEGMENT_HEADER_BYTES + record..SEGMENT_HEADER_BYTES + 2 * record].copy_from_slice(&first);
    written.overwrite(ID, &bytes);
    assert!(matches!(written.replay(), Err(Error::Corrupt { .. })));
    assert!(SegmentHeader::decode(&bytes, ID).is_some());
    assert!(SegmentHeader::decode(&bytes, ID + 1).is_none());
}

#[test]
fn golden_bytes() {
    let header = SegmentHeader { file_id: 7, origin: Origin::Relog, sequence_before: 0x0102 };
    assert_eq!(hex(&header.encode()), GOLDEN_HEADER);
    let mut batch = Batch::new();
    batch.put(b"k", b"value");
    batch.merge(b"k", b"+");
    batch.delete(b"gone");
    let payload = batch.into_part().operations().to_vec();
    let record = RecordHeader {
        payload_bytes: u32::try_from(payload.len()).unwrap(),
        operations: 3,
        sequence_first: 0x0103,
        durable_bytes: 32,
    };
    let bytes = [record.encode(7, 32, &payload), payload.clone()].concat();
    assert_eq!(hex(&bytes), GOLDEN_RECORD);
    assert_eq!(RecordHeader::decode(&bytes, 7, 32), Some(record));
}

const GOLDEN_HEADER: &str = "41544f4c4c57414c02010000070000000000000002010000000000004f171efb";

const GOLDEN_RECORD: &str = "\
    415245431500000003000000030100000000000020000000000000007f5bb51f0101056b76616c75\
    650201016b2b030400676f6e65";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
