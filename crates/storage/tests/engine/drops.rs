//! Dropped ranges: gone at once for readers, for good after crashes, and in the end from the disk.

use atoll_storage::{Budget, Engine, Error, Options};

use crate::harness::{content, delete, get, merge, open_with, put, settle, tiny};
use crate::mem_disk::{Call, Loss, MemDisk};

fn options() -> Options {
    Options { value_separation_bytes: 50, tables_l0_trigger: 2, ..tiny() }
}

fn fill(engine: &Engine, partitions: &[&str], value: &str) {
    for index in 0..40 {
        for partition in partitions {
            put(engine, &format!("{partition}{index:02}"), &value.repeat(4 + 4 * index)).unwrap();
        }
        engine.maintain(Budget { bytes: 1 }).unwrap();
    }
}

fn count(engine: &Engine, partition: &str) -> usize {
    let all = content(&engine.snapshot(), 30);
    all.keys().filter(|key| key.starts_with(partition)).count()
}

#[test]
fn what_was_written_is_gone_and_what_is_written_later_stays() {
    let disk = MemDisk::default();
    let engine = open_with(&disk, options()).unwrap();
    fill(&engine, &["aa", "bb", "cc"], "x");
    let before = engine.snapshot();
    engine.drop_range(b"bb"..b"bc").unwrap();
    assert_eq!((count(&engine, "aa"), count(&engine, "bb"), count(&engine, "cc")), (40, 0, 40));
    assert_eq!(get(&engine, "bb07"), None);
    assert!(before.get(b"bb07").unwrap().is_some(), "a snapshot still sees it");
    put(&engine, "bb07", "later").unwrap();
    merge(&engine, "bb08", "operand on nothing").unwrap();
    delete(&engine, "bb09").unwrap();
    let expected = content(&engine.snapshot(), 30);
    assert_eq!(count(&engine, "bb"), 2);
    for loss in [Loss::Nothing, Loss::Everything, Loss::Sectors(0x1234_5678)] {
        let image = disk.crash(loss);
        let reopened = open_with(&image, options()).unwrap();
        assert_eq!(content(&reopened.snapshot(), 30), expected, "{loss:?}");
        settle(&reopened);
        assert_eq!(content(&reopened.snapshot(), 30), expected, "{loss:?}");
    }
    drop(before);
    settle(&engine);
    assert_eq!(content(&engine.snapshot(), 30), expected);
}

#[test]
fn the_drop_is_retired_when_nothing_of_it_is_left() {
    let disk = MemDisk::default();
    let engine = open_with(&disk, options()).unwrap();
    fill(&engine, &["aa", "bb"], "y");
    engine.drop_range(b"bb"..b"bc").unwrap();
    assert_eq!(engine.statistics().dropped_ranges, 1);
    // Memtables with dropped keys have to be flushed first.
    engine.close().unwrap();
    drop(engine);
    let engine = open_with(&disk, options()).unwrap();
    fill(&engine, &["cc"], "z");
    settle(&engine);
    let statistics = engine.statistics();
    assert_eq!(statistics.dropped_ranges, 0, "{statistics:?}");
    assert_eq!(count(&engine, "bb"), 0);
    // Values of 52 to 160 bytes of two partitions, with 4 bytes of key and 5 of lengths.
    let live: u64 = (12..40).map(|index| 2 * (4 + 4 * index + 10)).sum();
    assert!(statistics.value_live_bytes <= live, "the values are gone, too: {statistics:?}");
    drop(engine);
    let engine = open_with(&disk.crash(Loss::Everything), options()).unwrap();
    assert_eq!((count(&engine, "aa"), count(&engine, "bb"), count(&engine, "cc")), (40, 0, 40));
}

#[test]
fn tables_in_the_range_leave_at_once() {
    let disk = MemDisk::default();
    let engine = open_with(&disk, options()).unwrap();
    fill(&engine, &["bb"], "x");
    settle(&engine);
    let tables = engine.statistics().tables;
    assert!(tables > 0);
    engine.drop_range(b"a"..b"z").unwrap();
    assert_eq!(engine.statistics().tables, 0);
    assert_eq!(disk.named(".sst").len(), 0);
    assert!(content(&engine.snapshot(), 30).is_empty());
    engine.drop_range(b"z"..b"a").unwrap();
    engine.close().unwrap();
    assert!(matches!(engine.drop_range(b"a"..b"b"), Err(Error::Closed)));
}

#[test]
fn a_drop_is_found_whole_or_not_at_all() {
    for (call, name) in [(Call::Sync, ".manifest"), (Call::Write, ".manifest")] {
        let disk = MemDisk::default();
        let engine = open_with(&disk, options()).unwrap();
        fill(&engine, &["aa", "bb"], "x");
        disk.fail(call, name, 0);
        assert!(matches!(engine.drop_range(b"bb"..b"bc"), Err(Error::Poisoned { .. })));
        disk.heal();
        drop(engine);
        for loss in [Loss::Nothing, Loss::Everything] {
            let engine = open_with(&disk.crash(loss), options()).unwrap();
            let left = count(&engine, "bb");
            assert!(left == 0 || left == 40, "{left} of 40");
            assert_eq!(count(&engine, "aa"), 40);
        }
    }
}

#[test]
fn a_hot_keys_operands_are_not_joined_across_the_drop() {
    // More operands than a memtable leaves unjoined, before and after, in one memtable.
    let roomy =
        Options { memtable_bytes_max: 1 << 20, wal_segment_bytes_max: 1 << 20, ..options() };
    let disk = MemDisk::default();
    let engine = open_with(&disk, roomy.clone()).unwrap();
    (0..20).for_each(|_| merge(&engine, "bb", "old").unwrap());
    engine.drop_range(b"bb"..b"bc").unwrap();
    (0..20).for_each(|_| merge(&engine, "bb", "new").unwrap());
    let expected = Some("new".repeat(20));
    assert_eq!(get(&engine, "bb"), expected);
    for loss in [Loss::Nothing, Loss::Everything] {
        let image = disk.crash(loss);
        let reopened = open_with(&image, roomy.clone()).unwrap();
        assert_eq!(get(&reopened, "bb"), expected, "{loss:?}");
        reopened.close().unwrap();
        assert_eq!(get(&reopened, "bb"), expected, "{loss:?}");
    }
    engine.close().unwrap();
    assert_eq!(get(&engine, "bb"), expected);
}
