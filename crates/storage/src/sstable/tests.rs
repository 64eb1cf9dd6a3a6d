//! A table returns what was written, refuses every damaged byte, and keeps its bytes.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::{KeyHash, Table, TableMeta, TableWriter};
use crate::disk::{Disk, OpenHow, RealDisk};
use crate::entry::{Entry, KeyedEntry, Value};
use crate::error::Error;
use crate::files::FileKind;
use crate::fold::Stack;
use crate::options::Options;

fn options() -> Options {
    Options { block_bytes: 128, ..Options::default() }
}

fn sample(count: u64) -> Vec<KeyedEntry> {
    let mut entries = Vec::new();
    for index in 0..count {
        let key = Bytes::from(format!("key{:04}", index * 2));
        // Every seventh key has a long stack that crosses blocks.
        let copies = if index % 7 == 3 { 15 } else { 1 };
        for copy in 0..copies {
            let payload = Bytes::from(format!("v{index}-{copy}"));
            let value = match (copies, index % 5) {
                (1, 1) => Value::Delete,
                (1, _) => Value::Put(payload),
                _ => Value::Merge(payload),
            };
            let entry = Entry { sequence: 1_000 * index + 100 - copy, value };
            entries.push(KeyedEntry { key: key.clone(), entry });
        }
    }
    entries
}

fn write(disk: &RealDisk, entries: &[KeyedEntry]) -> TableMeta {
    let mut writer = TableWriter::create(disk, 3, &options()).unwrap();
    for KeyedEntry { key, entry } in entries {
        writer.add(key, entry).unwrap();
    }
    writer.finish().unwrap()
}

fn gather(table: &Table, key: &[u8]) -> Result<Stack, Error> {
    let mut stack = Stack::default();
    table.gather(key, KeyHash::of(key), &mut stack)?;
    Ok(stack)
}

#[test]
fn gathers_and_cursors_return_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path());
    let entries = sample(100);
    let meta = write(&disk, &entries);
    assert_eq!(meta.entries, entries.len() as u64);
    let table = Arc::new(Table::open(&disk, meta).unwrap());
    let all: Vec<_> = table.cursor(b"", None).map(Result::unwrap).collect();
    assert_eq!(all, entries);
    for index in 0..200u64 {
        let key = format!("key{index:04}");
        let mut expected = Stack::default();
        for keyed in entries.iter().filter(|keyed| keyed.key == key.as_bytes()) {
            expected.push(keyed.entry.clone());
        }
        let found = gather(&table, key.as_bytes()).unwrap();
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{key}");
        let start = entries.partition_point(|keyed| keyed.key < key.as_bytes());
        let from: Vec<_> = table.cursor(key.as_bytes(), None).map(Result::unwrap).collect();
        assert_eq!(from, entries[start..]);
    }
    let ranged = table.cursor(b"key0010", Some(b"key0020")).map(|item| item.unwrap().key);
    let keys: BTreeSet<_> = ranged.collect();
    assert_eq!(keys.len(), 5);
    assert!(keys.iter().all(|key| (&b"key0010"[..]..b"key0020").contains(&key.as_ref())));
}

#[test]
fn every_flipped_bit_is_corrupt_and_never_absent() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path());
    let entries = sample(9);
    let meta = write(&disk, &entries);
    let name = FileKind::Table.name(3);
    let file = disk.open(&name, OpenHow::Read).unwrap();
    let mut bytes = vec![0; usize::try_from(meta.bytes).unwrap()];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
    for position in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[position] ^= 1 << (position % 8);
        let damaged = disk.open(&name, OpenHow::Replace).unwrap();
        assert_eq!(damaged.write_at(0, &flipped).unwrap(), flipped.len());
        let corrupt = match Table::open(&disk, meta.clone()) {
            Err(error) => matches!(error, Error::Corrupt { .. }),
            Ok(table) => {
                let table = Arc::new(table);
                for key in entries.iter().map(|keyed| &keyed.key).collect::<BTreeSet<_>>() {
                    match gather(&table, key) {
                        Ok(stack) => assert!(!stack.is_empty(), "absent after flip at {position}"),
                        Err(error) => assert!(matches!(error, Error::Corrupt { .. })),
                    }
                }
                table.cursor(b"", None).any(|item| matches!(item, Err(Error::Corrupt { .. })))
            }
        };
        assert!(corrupt, "flip at {position} went unnoticed");
    }
}

#[test]
fn a_block_of_another_table_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path());
    let meta = write(&disk, &sample(4));
    let other = TableMeta { file_id: 4, ..meta };
    disk.rename(&FileKind::Table.name(3), &FileKind::Table.name(4)).unwrap();
    assert!(matches!(Table::open(&disk, other), Err(Error::Corrupt { .. })));
}

#[test]
fn golden_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path());
    let entry = |sequence, value| Entry { sequence, value };
    let mut writer = TableWriter::create(&disk, 3, &options()).unwrap();
    writer.add(b"apple", &entry(300, Value::Put(Bytes::from_static(b"red")))).unwrap();
    writer.add(b"apricot", &entry(7, Value::Merge(Bytes::from_static(b"+1")))).unwrap();
    writer.add(b"banana", &entry(8, Value::Delete)).unwrap();
    let meta = writer.finish().unwrap();
    let file = disk.open(&FileKind::Table.name(3), OpenHow::Read).unwrap();
    let mut bytes = vec![0; usize::try_from(meta.bytes).unwrap()];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN);
}

const GOLDEN: &str = "\
    000503ac02016170706c6572656402050207027269636f742b31000600080362616e616e61000000\
    00010000000176dfafbd0100004840c0000010001c00000200880082001000000182000002018080\
    00100802aa5779ee0662616e616e61320334bb704c41544f4c4c5353540100000001000000030000\
    00000000003200000000000000260000000d000000030000000000000007000000000000002c0100\
    0000000000000000002bdfe48e";
