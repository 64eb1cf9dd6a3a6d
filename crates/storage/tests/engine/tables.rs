//! The number of tables, and what they hold, stays bounded; deletes disappear at the bottom.

use atoll_storage::{Batch, Budget, Options, Pending, Progress, Work};

use crate::harness::{content, delete, open, open_with, put, settle, tiny};
use crate::mem_disk::MemDisk;

/// A full cycle over the key space in an order that is not sorted.
fn scattered(index: usize) -> String {
    format!("key{:05}", index * 7_919 % 2_003)
}

#[test]
fn maintenance_bounds_the_number_of_tables() {
    let disk = MemDisk::default();
    let engine = open(&disk);
    for index in 0..12_000 {
        put(&engine, &scattered(index), &format!("value{index:06}")).unwrap();
        if index % 16 == 0 {
            engine.maintain(Budget { bytes: 4_000 }).unwrap();
        }
    }
    settle(&engine);
    let statistics = engine.statistics();
    assert_eq!(content(&engine.snapshot(), 500).len(), 2_003);
    assert!(statistics.tables_l0 < 3, "level 0 is below its trigger");
    // About 2 003 × 20 live bytes in tables of 2 000, some of them partly dead.
    assert!(statistics.tables < 120, "{statistics:?}");
    assert!(statistics.flushes > 100 && statistics.compactions > 100);
    assert_eq!(disk.named(".sst").len() as u64, statistics.tables);
    // The active segment, and perhaps one that was prepared ahead.
    assert!(disk.named(".wal").len() <= 2);
}

#[test]
fn writers_bound_the_tables_without_a_maintainer() {
    let disk = MemDisk::default();
    let engine = open(&disk);
    for index in 0..3_000 {
        put(&engine, &scattered(index), &format!("value{index:06}")).unwrap();
        let statistics = engine.statistics();
        assert!(statistics.tables_l0 <= 6, "{statistics:?}");
        assert!(statistics.memtables_sealed <= 3, "{statistics:?}");
    }
    assert!(engine.statistics().compactions > 0);
    assert_eq!(content(&engine.snapshot(), 500).len(), 2_003);
}

#[test]
fn a_unit_is_bounded_by_its_budget() {
    let options = Options { tables_l0_max: 100, ..tiny() };
    let engine = open_with(&MemDisk::default(), options).unwrap();
    for index in 0..2_000 {
        put(&engine, &scattered(index), &format!("value{index:06}")).unwrap();
    }
    loop {
        let before = engine.statistics();
        let progress = engine.maintain(Budget { bytes: 3_000 }).unwrap();
        let taken = engine.statistics().compaction_bytes - before.compaction_bytes;
        // One key beyond the budget, at most 3 + 6 entries of 20 bytes each from overlapping tables.
        assert!(taken <= 3_000 + 100 * 20, "{taken}");
        match progress {
            Progress::Worked { did: Work::Compaction, pending: Pending::Nothing } => break,
            Progress::Worked { .. } => {}
            Progress::Idle => panic!("the unit before said that more is pending"),
        }
    }
    assert_eq!(engine.maintain(Budget { bytes: 3_000 }).unwrap(), Progress::Idle);
    assert_eq!(content(&engine.snapshot(), 500).len(), 2_000);
}

#[test]
fn deleted_keys_disappear_at_the_bottom() {
    let options = Options { tables_l0_trigger: 1, ..tiny() };
    let disk = MemDisk::default();
    let engine = open_with(&disk, options.clone()).unwrap();
    for index in 0..500 {
        put(&engine, &scattered(index), "some value").unwrap();
    }
    for index in 0..500 {
        delete(&engine, &scattered(index)).unwrap();
    }
    engine.close().unwrap();
    drop(engine);
    let engine = open_with(&disk, options).unwrap();
    settle(&engine);
    assert!(content(&engine.snapshot(), 100).is_empty());
    // What level 1 and deeper still hold is not yet overlapped by newer tables; level 0 is empty.
    assert_eq!(engine.statistics().tables_l0, 0);
    assert_eq!(engine.statistics().tables, 0);
}

#[test]
fn a_batch_larger_than_a_memtable_is_one_group() {
    let engine = open(&MemDisk::default());
    let mut batch = Batch::new();
    for index in 0..1_000 {
        batch.put(scattered(index).as_bytes(), b"0123456789");
    }
    engine.write(batch).unwrap();
    put(&engine, "after", "1").unwrap();
    assert_eq!(engine.statistics().memtables_sealed, 1);
    settle(&engine);
    assert_eq!(content(&engine.snapshot(), 100).len(), 1_001);
}
