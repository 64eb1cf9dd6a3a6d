//! Separated values: written once, found again, collected when dead, never answered when damaged.

use atoll_storage::{Batch, Budget, Compression, Durability, Engine, Error, Options, ScanLimit};

use crate::harness::{content, delete, get, merge, open_with, put, settle, tiny};
use crate::mem_disk::{Call, Loss, MemDisk};

const LIMIT: ScanLimit = ScanLimit { entries_max: 1_000, bytes_max: 1 << 20 };

/// Values of 50 bytes and more are separated; level 0 is merged at once, so that garbage is found.
fn separating() -> Options {
    Options { value_separation_bytes: 50, tables_l0_trigger: 1, ..tiny() }
}

fn long(index: usize, round: usize) -> String {
    format!("{index:04}-{round:04}-{}", "v".repeat(90))
}

fn key(index: usize) -> String {
    format!("key{index:04}")
}

fn write_round(engine: &Engine, keys: usize, round: usize) {
    for index in 0..keys {
        put(engine, &key(index), &long(index, round)).unwrap();
        if index % 8 == 0 {
            engine.maintain(Budget { bytes: 1 }).unwrap();
        }
    }
}

fn assert_round(engine: &Engine, keys: usize, round: usize) {
    for index in 0..keys {
        assert_eq!(get(engine, &key(index)), Some(long(index, round)));
    }
    assert_eq!(content(&engine.snapshot(), 30).len(), keys);
}

fn value_files(disk: &MemDisk) -> usize {
    disk.named(".wal").len() + disk.named(".vlog").len()
}

#[test]
fn values_are_written_once_and_survive_everything() {
    let disk = MemDisk::default();
    let engine = open_with(&disk, separating()).unwrap();
    write_round(&engine, 200, 0);
    settle(&engine);
    let statistics = engine.statistics();
    assert!(statistics.value_files > 5, "{statistics:?}");
    assert!(statistics.value_live_bytes > 180 * 100, "values lie in value files");
    assert!(statistics.table_bytes < 180 * 100, "and not in tables");
    assert_round(&engine, 200, 0);
    for loss in [Loss::Nothing, Loss::Everything, Loss::Sectors(0x5a5a_1234)] {
        let engine = open_with(&disk.crash(loss), separating()).unwrap();
        assert_round(&engine, 200, 0);
    }
    engine.close().unwrap();
    drop(engine);
    assert_round(&open_with(&disk, separating()).unwrap(), 200, 0);
}

#[test]
fn overwritten_values_are_collected_until_little_garbage_is_left() {
    let disk = MemDisk::default();
    let engine = open_with(&disk, separating()).unwrap();
    for round in 0..12 {
        write_round(&engine, 100, round);
    }
    settle(&engine);
    let statistics = engine.statistics();
    assert!(statistics.relocations > 0, "{statistics:?}");
    let live = 100 * long(0, 0).len() as u64;
    assert!(statistics.value_file_bytes < 3 * live, "{statistics:?}");
    assert_round(&engine, 100, 11);
    assert_eq!(value_files(&disk) as u64, statistics.value_files + disk_log_segments(&engine));
    let reopened = open_with(&disk.crash(Loss::Everything), separating()).unwrap();
    assert_round(&reopened, 100, 11);
}

/// The active segment, and perhaps one that was prepared ahead.
fn disk_log_segments(engine: &Engine) -> u64 {
    let statistics = engine.statistics();
    1 + u64::from(statistics.spare_segments)
}

#[test]
fn deleted_values_leave_no_value_files() {
    let disk = MemDisk::default();
    let engine = open_with(&disk, separating()).unwrap();
    write_round(&engine, 100, 0);
    for index in 0..100 {
        delete(&engine, &key(index)).unwrap();
    }
    engine.close().unwrap();
    drop(engine);
    let engine = open_with(&disk, separating()).unwrap();
    settle(&engine);
    assert!(content(&engine.snapshot(), 30).is_empty());
    assert_eq!(engine.statistics().value_files, 0);
    assert_eq!((disk.named(".vlog").len(), disk.named(".wal").len()), (0, 1));
}

#[test]
fn a_snapshot_keeps_the_value_files_that_it_reads() {
    let disk = MemDisk::default();
    let engine = open_with(&disk, separating()).unwrap();
    write_round(&engine, 60, 0);
    settle(&engine);
    let snapshot = engine.snapshot();
    let before = content(&snapshot, 20);
    for round in 1..8 {
        write_round(&engine, 60, round);
        settle(&engine);
        assert_eq!(content(&snapshot, 20), before, "round {round}");
    }
    let pinned = value_files(&disk);
    drop(snapshot);
    settle(&engine);
    engine.maintain(Budget { bytes: 1 }).unwrap();
    assert!(value_files(&disk) < pinned);
    assert_eq!(engine.statistics().removals_pending, 0);
}

#[test]
fn operands_are_joined_across_value_files() {
    let disk = MemDisk::default();
    let engine = open_with(&disk, separating()).unwrap();
    let mut expected = String::new();
    for round in 0..30 {
        let operand = format!("<{round:02}{}>", "o".repeat(60));
        merge(&engine, "hot", &operand).unwrap();
        expected.push_str(&operand);
        write_round(&engine, 20, round);
        assert_eq!(get(&engine, "hot").as_ref(), Some(&expected));
    }
    settle(&engine);
    assert_eq!(get(&engine, "hot").as_ref(), Some(&expected));
    assert!(!disk.named(".vlog").is_empty(), "joined values have files of their own");
    let reopened = open_with(&disk.crash(Loss::Everything), separating()).unwrap();
    assert_eq!(get(&reopened, "hot"), Some(expected));
}

#[test]
fn a_lone_operand_is_the_value_wherever_it_lies() {
    for value in ["short", &"long".repeat(40)] {
        let disk = MemDisk::default();
        let engine = open_with(&disk, separating()).unwrap();
        merge(&engine, "k", value).unwrap();
        let digest = |engine: &Engine| {
            let page = engine.scan_digests(b"a"..b"z", LIMIT).unwrap();
            assert_eq!(page.entries.len(), 1);
            page.entries[0].1
        };
        let in_memtable = digest(&engine);
        engine.close().unwrap();
        assert_eq!(get(&engine, "k").as_deref(), Some(value));
        assert_eq!(digest(&engine), in_memtable);
    }
}

#[test]
fn digests_tell_values_apart_and_agree_with_what_is_read() {
    let disk = MemDisk::default();
    let engine = open_with(&disk, separating()).unwrap();
    write_round(&engine, 50, 0);
    merge(&engine, &key(7), "+").unwrap();
    let digests = |engine: &Engine| engine.scan_digests(b"a"..b"z", LIMIT).unwrap();
    let before = digests(&engine);
    let pairs = engine.scan(b"a"..b"z", LIMIT).unwrap();
    assert_eq!(before.entries.len(), 50);
    for ((key, digest), (same, value)) in before.entries.iter().zip(&pairs.entries) {
        assert_eq!((key, *digest), (same, xxhash_rust::xxh3::xxh3_64(value)));
    }
    settle(&engine);
    engine.close().unwrap();
    assert_eq!(digests(&engine), before, "where a value lies does not change its digest");
    let page = ScanLimit { entries_max: 7, ..LIMIT };
    assert_eq!(engine.scan_digests(b"a"..b"z", page).unwrap().next, Some(key(7).into_bytes()));
}

#[test]
fn a_damaged_value_fails_its_key_only_and_keeps_its_file() {
    let disk = MemDisk::default();
    let options = separating();
    let engine = open_with(&disk, options.clone()).unwrap();
    write_round(&engine, 40, 0);
    engine.close().unwrap();
    drop(engine);
    let engine = open_with(&disk, options).unwrap();
    settle(&engine);
    // One byte of the value of key 3.
    let needle = long(3, 0).into_bytes();
    let (name, at) = disk
        .names()
        .into_iter()
        .filter(|name| name.ends_with(".wal") || name.ends_with(".vlog"))
        .find_map(|name| {
            let bytes = disk.bytes(&name);
            let at = bytes.windows(needle.len()).position(|window| window == needle);
            at.map(|at| (name, at))
        })
        .unwrap();
    disk.flip(&name, at + 20);
    match engine.get(key(3).as_bytes()) {
        Err(Error::Corrupt { file, offset, .. }) => {
            assert_eq!((file, offset), (name.clone(), at as u64));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(get(&engine, &key(4)), Some(long(4, 0)));
    // Its file becomes garbage around it, cannot be emptied, and maintenance comes to an end all the same.
    for round in 1..6 {
        for index in (0..40).filter(|index| *index != 3) {
            put(&engine, &key(index), &long(index, round)).unwrap();
        }
        settle(&engine);
    }
    assert!(matches!(engine.get(key(3).as_bytes()), Err(Error::Corrupt { .. })));
    assert!(disk.names().contains(&name));
    put(&engine, &key(3), "mended").unwrap();
    settle(&engine);
    assert_eq!(get(&engine, &key(3)).as_deref(), Some("mended"));
}

#[test]
fn a_missing_or_foreign_value_file_is_corruption() {
    let disk = MemDisk::default();
    let engine = open_with(&disk, separating()).unwrap();
    write_round(&engine, 60, 0);
    settle(&engine);
    engine.close().unwrap();
    drop(engine);
    let names = disk.named(".wal");
    assert!(names.len() > 2);
    let image = disk.crash(Loss::Nothing);
    atoll_storage::Disk::remove(&image, &names[0]).unwrap();
    match open_with(&image, separating()) {
        Err(Error::Corrupt { file, .. }) => assert_eq!(file, names[0]),
        other => panic!("{:?}", other.map(|_| ())),
    }
    // Another file under the name is found out by whoever reads a value.
    let image = disk.crash(Loss::Nothing);
    image.put(&names[0], disk.bytes(&names[1]));
    let engine = open_with(&image, separating()).unwrap();
    let corrupt = (0..60).filter(|index| match engine.get(key(*index).as_bytes()) {
        Ok(value) => {
            assert_eq!(value.unwrap(), long(*index, 0).as_bytes());
            false
        }
        Err(Error::Corrupt { .. }) => true,
        Err(other) => panic!("{other}"),
    });
    assert!(corrupt.count() > 0);
}

#[test]
fn a_failure_at_any_call_of_a_relocation_loses_nothing() {
    for (call, name) in [
        (Call::Write, ".vlog"),
        (Call::Write, ".sst"),
        (Call::Space, ".vlog"),
        (Call::Space, ".manifest"),
    ] {
        let disk = MemDisk::default();
        let engine = open_with(&disk, separating()).unwrap();
        for round in 0..12 {
            write_round(&engine, 60, round);
            disk.fail(call, name, 0);
            // Whatever fails now is tried again later.
            let _ = engine.maintain(Budget { bytes: 1 });
            disk.heal();
        }
        settle(&engine);
        assert_round(&engine, 60, 11);
        let known = engine.statistics().value_files + disk_log_segments(&engine);
        assert_eq!(value_files(&disk) as u64, known, "no file is left over: {:?}", disk.names());
        assert_eq!(disk.named(".sst").len() as u64, engine.statistics().tables);
    }
}

#[test]
fn large_batches_point_at_the_right_offsets() {
    let disk = MemDisk::default();
    let engine = open_with(&disk, separating()).unwrap();
    for round in 0..5usize {
        let mut batch = Batch::new();
        for index in 0..40 {
            match (index + round) % 4 {
                0 => batch.delete(format!("other{index}").as_bytes()),
                1 => batch.put(format!("small{index}").as_bytes(), b"s"),
                _ => batch.put(key(index).as_bytes(), long(index, round).as_bytes()),
            }
        }
        engine.write(batch).unwrap();
    }
    let before = content(&engine.snapshot(), 10);
    engine.close().unwrap();
    assert_eq!(content(&engine.snapshot(), 10), before);
    drop(engine);
    assert_eq!(content(&open_with(&disk, separating()).unwrap().snapshot(), 10), before);
}

#[test]
fn compression_changes_nothing_but_sizes() {
    let mut sizes = Vec::new();
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let options = Options {
            compression,
            compression_bottom: compression,
            block_bytes: 1_024,
            value_separation_bytes: 10_000,
            ..tiny()
        };
        let disk = MemDisk::default();
        let engine = open_with(&disk, options.clone()).unwrap();
        write_round(&engine, 300, 0);
        engine.close().unwrap();
        drop(engine);
        let engine = open_with(&disk, options).unwrap();
        assert_round(&engine, 300, 0);
        sizes.push(engine.statistics().table_bytes);
    }
    assert!(sizes[1] < sizes[0] && sizes[2] < sizes[0], "{sizes:?}");
}

#[test]
fn periodic_durability_syncs_the_segment_before_its_table() {
    let options = Options { durability: Durability::Periodic, ..separating() };
    let disk = MemDisk::default();
    let engine = open_with(&disk, options.clone()).unwrap();
    for index in 0..200 {
        put(&engine, &key(index), &long(index, 0)).unwrap();
        if index % 40 == 39 {
            settle(&engine);
            // What a table points to is there after a power loss, although nobody called `sync`.
            let image = open_with(&disk.crash(Loss::Everything), options.clone()).unwrap();
            let found = content(&image.snapshot(), 50);
            assert!(found.len() + 40 > index, "{} of {index}", found.len());
            for (at, (name, value)) in found.into_iter().enumerate() {
                assert_eq!((name, value), (key(at), long(at, 0)), "a prefix without a hole");
            }
        }
    }
}
