//! The three ends of a segment, misdirected bytes, and the golden bytes of the format.

use bytes::Bytes;

use super::format::{RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::replay::Replayed;
use super::{Origin, Segment, Synced, Tail, replay};
use crate::batch::Batch;
use crate::disk::{Disk, OpenHow, RealDisk};
use crate::error::Error;
use crate::files::{FileKind, StoreFile};

struct Log {
    _dir: tempfile::TempDir,
    disk: RealDisk,
}

const ID: u64 = 7;

impl Log {
    /// A segment with one record per count, synced after each if `sync_each`.
    fn write(records: usize, sync: impl Fn(usize) -> Synced) -> Log {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(dir.path());
        let segment = Segment::draft(&disk, ID, Origin::Fresh, 100).unwrap();
        let mut segment = segment.publish(&disk).unwrap();
        for index in 0..records {
            let mut batch = Batch::new();
            batch.put(format!("key{index}").as_bytes(), b"value");
            batch.delete(b"x");
            let encoded = batch.into_encoded();
            assert_eq!(segment.append([&encoded].into_iter(), 2).unwrap(), 101 + index as u64 * 2);
            if sync(index) == Synced::Now {
                assert_eq!(segment.sync().unwrap(), Synced::Now);
            }
        }
        Log { _dir: dir, disk }
    }

    fn bytes(&self) -> Vec<u8> {
        let name = FileKind::Segment.name(ID);
        StoreFile::open(&self.disk, &name, OpenHow::Read).unwrap().read_all().unwrap().to_vec()
    }

    fn overwrite(&self, bytes: &[u8]) {
        let file = self.disk.open(&FileKind::Segment.name(ID), OpenHow::Replace).unwrap();
        assert_eq!(file.write_at(0, bytes).unwrap(), bytes.len());
    }

    fn replay(&self, tail: Tail) -> Result<(Replayed, Vec<u64>), Error> {
        let mut firsts = Vec::new();
        let replayed = replay(&self.disk, ID, tail, |first, count, _operations: Bytes| {
            assert_eq!(count, 2);
            firsts.push(first);
            Ok(())
        })?;
        Ok((replayed, firsts))
    }
}

fn record_bytes(log: &Log, records: usize) -> usize {
    (log.bytes().len() - SEGMENT_HEADER_BYTES) / records
}

#[test]
fn a_whole_segment_replays() {
    let log = Log::write(3, |_| Synced::Now);
    let (end, firsts) = log.replay(Tail::Whole).unwrap();
    assert_eq!(end, Replayed { sequence_last: 106, torn_bytes: 0 });
    assert_eq!(firsts, [101, 103, 105]);
}

#[test]
fn every_cut_is_a_torn_tail_of_the_last_segment_only() {
    let log = Log::write(3, |_| Synced::Now);
    let bytes = log.bytes();
    let record = record_bytes(&log, 3);
    for cut in SEGMENT_HEADER_BYTES..bytes.len() {
        log.overwrite(&bytes[..cut]);
        let whole = (cut - SEGMENT_HEADER_BYTES) / record;
        let torn = (cut - SEGMENT_HEADER_BYTES) % record;
        let (end, firsts) = log.replay(Tail::MayBeTorn).unwrap();
        assert_eq!((firsts.len(), end.torn_bytes), (whole, torn as u64));
        assert_eq!(log.replay(Tail::Whole).is_err(), torn > 0, "cut at {cut}");
    }
    log.overwrite(&bytes[..SEGMENT_HEADER_BYTES - 1]);
    assert!(matches!(log.replay(Tail::MayBeTorn), Err(Error::Corrupt { offset: 0, .. })));
}

#[test]
fn a_flip_before_durable_records_is_corruption_and_in_the_last_record_a_tear() {
    let log = Log::write(3, |_| Synced::Now);
    let bytes = log.bytes();
    let record = record_bytes(&log, 3);
    for position in SEGMENT_HEADER_BYTES..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[position] ^= 0x10;
        log.overwrite(&flipped);
        let index = (position - SEGMENT_HEADER_BYTES) / record;
        match log.replay(Tail::MayBeTorn) {
            Err(Error::Corrupt { offset, .. }) => {
                assert!(index < 2);
                assert_eq!(offset, (SEGMENT_HEADER_BYTES + index * record) as u64);
            }
            Ok((end, firsts)) => {
                assert_eq!((index, firsts.len()), (2, 2));
                assert_eq!(end.torn_bytes, record as u64);
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn unsynced_records_vouch_for_nothing() {
    // Records 1 and 2 were never synced: a hole in 1 with a whole 2 is what a power loss may leave.
    let log = Log::write(3, |index| if index == 0 { Synced::Now } else { Synced::Already });
    let bytes = log.bytes();
    let record = record_bytes(&log, 3);
    let mut hole = bytes.clone();
    hole[SEGMENT_HEADER_BYTES + record..SEGMENT_HEADER_BYTES + 2 * record].fill(0);
    log.overwrite(&hole);
    assert_eq!(log.replay(Tail::MayBeTorn).unwrap().1, [101]);
    // Record 0 was durable when record 1 was written.
    let mut rotten = bytes;
    rotten[SEGMENT_HEADER_BYTES + RECORD_HEADER_BYTES] ^= 1;
    log.overwrite(&rotten);
    assert!(matches!(log.replay(Tail::MayBeTorn), Err(Error::Corrupt { .. })));
}

#[test]
fn well_formed_bytes_in_the_wrong_place_fail() {
    let log = Log::write(3, |_| Synced::Now);
    let mut bytes = log.bytes();
    let record = record_bytes(&log, 3);
    let first = bytes[SEGMENT_HEADER_BYTES..SEGMENT_HEADER_BYTES + record].to_vec();
    bytes[SEGMENT_HEADER_BYTES + record..SEGMENT_HEADER_BYTES + 2 * record].copy_from_slice(&first);
    log.overwrite(&bytes);
    assert!(matches!(log.replay(Tail::MayBeTorn), Err(Error::Corrupt { .. })));
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
    let payload = batch.into_encoded();
    let record = RecordHeader {
        payload_bytes: u32::try_from(payload.len()).unwrap(),
        operations: 3,
        sequence_first: 0x0103,
        durable_bytes: 32,
    };
    let bytes = [record.encode(7, 32, &payload), payload.to_vec()].concat();
    assert_eq!(hex(&bytes), GOLDEN_RECORD);
    assert_eq!(RecordHeader::decode(&bytes, 7, 32), Some(record));
}

const GOLDEN_HEADER: &str = "41544f4c4c57414c0101000007000000000000000201000000000000880fdaa2";

const GOLDEN_RECORD: &str = "\
    415245431500000003000000030100000000000020000000000000007f5bb51f0101056b76616c75\
    650201016b2b030400676f6e65";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
