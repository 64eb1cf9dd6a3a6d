//! States survive reopening, edits are all or nothing, damage is told from a torn tail, golden bytes.

use bytes::Bytes;

use super::{Edit, Manifest, State, TableRecord, current, log, read_current, read_state};
use crate::disk::{Disk, OpenHow, RealDisk};
use crate::dropped::DroppedRange;
use crate::error::Error;
use crate::files::FileKind;
use crate::sstable::TableMeta;

fn record(file_id: u64, level: u8, trimmed_to: Option<&'static str>) -> TableRecord {
    let meta = TableMeta {
        file_id,
        bytes: 4_096,
        entries: 12,
        sequence_min: 3,
        sequence_max: 300,
        key_first: Bytes::from_static(b"apple"),
        key_last: Bytes::from_static(b"pear"),
    };
    TableRecord { level, meta, trimmed_to: trimmed_to.map(Bytes::from) }
}

fn edit(removes: &[u64], adds: Vec<TableRecord>, file_id_next: u64) -> Edit {
    let removes = removes.to_vec();
    Edit {
        removes,
        adds,
        sequence_flushed: 300,
        segment_low_water: 2,
        file_id_next,
        ..Edit::default()
    }
}

/// A manifest with a snapshot and three edits; the state after each of the four records.
fn written(disk: &RealDisk) -> Vec<State> {
    let empty = State { file_id_next: 2, ..State::default() };
    let mut manifest = Manifest::create(disk, 1, empty).unwrap();
    let mut states = vec![manifest.state().clone()];
    let edits = [
        edit(&[], vec![record(5, 0, None)], 6),
        edit(&[5], vec![record(5, 0, Some("lemon")), record(6, 1, None)], 7),
        edit(&[5, 6], vec![record(8, 2, None)], 9),
    ];
    for edit in edits {
        manifest.commit(&edit).unwrap();
        states.push(manifest.state().clone());
    }
    states
}

fn read_file(disk: &RealDisk) -> Vec<u8> {
    let file = disk.open(&FileKind::Manifest.name(1), OpenHow::Read).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
    bytes
}

fn overwrite(disk: &RealDisk, bytes: &[u8]) {
    let file = disk.open(&FileKind::Manifest.name(1), OpenHow::Replace).unwrap();
    assert_eq!(file.write_at(0, bytes).unwrap(), bytes.len());
}

#[test]
fn edits_add_up_and_survive() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path());
    let states = written(&disk);
    assert_eq!(read_current(&disk).unwrap(), 1);
    let state = read_state(&disk, 1).unwrap();
    assert_eq!(&state, states.last().unwrap());
    assert_eq!(state.tables.keys().copied().collect::<Vec<_>>(), [8]);
    assert_eq!(Edit::decode(&Bytes::from(state.snapshot().encode())), Some(state.snapshot()));
}

#[test]
fn every_cut_reads_as_a_state_that_was_committed_or_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path());
    let states = written(&disk);
    let bytes = read_file(&disk);
    let mut furthest = 0;
    for cut in 0..bytes.len() {
        overwrite(&disk, &bytes[..cut]);
        match read_state(&disk, 1) {
            Ok(state) => {
                let at = states.iter().position(|committed| *committed == state).unwrap();
                assert!(at >= furthest && at < 3);
                furthest = at;
            }
            Err(Error::Corrupt { .. }) => assert_eq!(furthest, 0, "cut at {cut}"),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(furthest, 2);
}

#[test]
fn every_flip_is_corrupt_or_drops_only_the_last_edit() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path());
    let states = written(&disk);
    let bytes = read_file(&disk);
    let mut dropped = 0;
    for position in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[position] ^= 0x40;
        overwrite(&disk, &flipped);
        match read_state(&disk, 1) {
            Ok(state) => {
                assert_eq!(state, states[2]);
                dropped += 1;
            }
            Err(Error::Corrupt { .. }) => assert_eq!(dropped, 0, "flip at {position}"),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(dropped > 0);
}

#[test]
fn golden_bytes() {
    assert_eq!(hex(&log::golden::header(7)), GOLDEN_HEADER);
    let mut edit = edit(&[5], vec![record(5, 0, Some("lemon")), record(6, 1, None)], 7);
    let (start, end) = (Bytes::from_static(b"fig"), Bytes::from_static(b"kiwi"));
    edit.drops.push(DroppedRange { id: 6, start, end, sequence: 300 });
    edit.retires.push(4);
    assert_eq!(Edit::decode(&Bytes::from(edit.encode())), Some(edit.clone()));
    assert_eq!(hex(&log::golden::record(7, 24, 0, &edit.encode())), GOLDEN_RECORD);
    assert_eq!(hex(&current::encode(0x0102)), GOLDEN_CURRENT);
    assert_eq!(current::decode(&current::encode(0x0102)), Some(0x0102));
}

const GOLDEN_HEADER: &str = "41544f4c4c4d414e020000000700000000000000bb280d5a";

const GOLDEN_RECORD: &str = "\
    590000000000000000000000e3ea12a2022c01000000000000020000000000000007000000000000\
    00010502000580200c03ac02056170706c65047065617201056c656d6f6e010680200c03ac020561\
    70706c650470656172000106ac0203666967046b6977690104";

const GOLDEN_CURRENT: &str = "41544f4c4c4355520100000002010000000000007b95940f";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_store_of_format_1_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path());
    written(&disk);
    let mut bytes = read_file(&disk);
    bytes[8] = 1;
    overwrite(&disk, &bytes);
    match read_state(&disk, 1) {
        Err(Error::Corrupt { what, .. }) => assert!(what.contains("format 1"), "{what}"),
        other => panic!("{other:?}"),
    }
}
