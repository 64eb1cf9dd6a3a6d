//! Many writers, few fsyncs, and every bound of the write path.

use std::sync::Barrier;

use atoll_storage::{Batch, Durability, Engine, Error, Limit, Options, RealDisk, Status};

use crate::harness::{content, get, open, open_with, put, tiny};
use crate::mem_disk::{Loss, MemDisk};

const WRITERS: usize = 16;

/// All writers at once, each reading what it wrote: `writes` each.
fn write_from_many_threads(engine: &Engine, writes: usize) {
    let start = Barrier::new(WRITERS);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                for index in 0..writes {
                    let key = format!("{writer:02}-{index:03}");
                    put(engine, &key, &key).unwrap();
                    assert_eq!(get(engine, &key).as_deref(), Some(key.as_str()), "visible");
                }
            });
        }
    });
    let statistics = engine.statistics();
    assert_eq!(statistics.entries, (WRITERS * writes) as u64);
    assert_eq!(statistics.sequence_visible, (WRITERS * writes) as u64);
}

#[test]
fn writers_share_fsyncs_and_all_writes_survive() {
    const WRITES: usize = 60;
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path());
    let engine = open_with(&disk, Options::default()).unwrap();
    write_from_many_threads(&engine, WRITES);
    let statistics = engine.statistics();
    assert_eq!(statistics.fsyncs, statistics.groups);
    assert!(statistics.fsyncs < (WRITERS * WRITES) as u64, "groups formed");
    drop(engine);
    let reopened = open_with(&disk, Options::default()).unwrap();
    assert_eq!(content(&reopened.snapshot(), 100).len(), WRITERS * WRITES);
}

/// Some get the log lock at once, one waits for it, and the others queue.
#[test]
fn writers_that_do_not_wait_for_fsyncs_lose_nothing_to_each_other() {
    const WRITES: usize = 2_000;
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path());
    let periodic = Options { durability: Durability::Periodic, ..Options::default() };
    let engine = open_with(&disk, periodic.clone()).unwrap();
    write_from_many_threads(&engine, WRITES);
    assert_eq!(engine.statistics().fsyncs, 0);
    engine.close().unwrap();
    drop(engine);
    let reopened = open_with(&disk, periodic).unwrap();
    assert_eq!(content(&reopened.snapshot(), 1_000).len(), WRITERS * WRITES);
}

/// It takes what costs no more than an append, and gives back everything else unwritten.
#[test]
fn a_write_that_would_wait_is_given_back() {
    let batch = |key: &str| {
        let mut batch = Batch::new();
        batch.put(key.as_bytes(), b"value");
        batch
    };
    let durable = open(&MemDisk::default());
    let given_back = durable.try_write(batch("a")).unwrap().unwrap_err();
    assert_eq!(get(&durable, "a"), None);
    durable.write(given_back).unwrap();
    assert_eq!(get(&durable, "a").as_deref(), Some("value"));

    let disk = MemDisk::default();
    let periodic = Options { durability: Durability::Periodic, ..tiny() };
    let engine = open_with(&disk, periodic.clone()).unwrap();
    let keys = (0..10_000).map(|number| format!("{number:05}"));
    let full = keys.clone().find_map(|key| {
        let given_back = engine.try_write(batch(&key)).unwrap().err()?;
        Some((key, given_back))
    });
    let (key, given_back) = full.expect("a memtable is full at some time");
    assert_eq!(get(&engine, &key), None);
    engine.write(given_back).unwrap();
    assert_eq!(engine.try_write(batch("zzz")).unwrap().err().map(|_| ()), None, "there is room");
    let written = content(&engine.snapshot(), 100);
    assert_eq!(written.len(), keys.take_while(|of| *of <= key).count() + 1);
    engine.close().unwrap();
    drop(engine);
    assert_eq!(content(&open_with(&disk, periodic).unwrap().snapshot(), 100), written);
}

#[test]
fn writers_and_maintainers_do_not_disturb_each_other() {
    let disk = MemDisk::default();
    let engine = open(&disk);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let engine = &engine;
            scope.spawn(move || {
                for index in 0..150 {
                    let key = format!("{writer}-{index:03}");
                    put(engine, &key, &key.repeat(4)).unwrap();
                    let back = format!("{writer}-{:03}", index / 2);
                    assert_eq!(get(engine, &back), Some(back.repeat(4)));
                }
            });
        }
        for _ in 0..2 {
            let engine = &engine;
            scope.spawn(move || {
                for _ in 0..200 {
                    engine.maintain(atoll_storage::Budget { bytes: 1 }).unwrap();
                    let page = content(&engine.snapshot(), 64);
                    assert!(page.iter().all(|(key, value)| *value == key.repeat(4)));
                }
            });
        }
    });
    let expected = content(&engine.snapshot(), 100);
    assert_eq!(expected.len(), 600);
    assert_eq!(content(&open(&disk.crash(Loss::Everything)).snapshot(), 100), expected);
}

#[test]
fn oversized_writes_are_refused_with_their_limit() {
    let options = Options { key_bytes_max: 8, value_bytes_max: 16, batch_bytes_max: 64, ..tiny() };
    let engine = open_with(&MemDisk::default(), options).unwrap();
    let refused = |batch: Batch| match engine.write(batch) {
        Err(Error::TooLarge { what, limit, got }) => {
            assert!(got > limit);
            what
        }
        other => panic!("{other:?}"),
    };
    let mut batch = Batch::new();
    batch.put(b"123456789", b"");
    assert_eq!(refused(batch), Limit::KeyBytes);
    let mut batch = Batch::new();
    batch.merge(b"1", &[0; 17]);
    assert_eq!(refused(batch), Limit::ValueBytes);
    let mut batch = Batch::new();
    (0..5).for_each(|_| batch.put(b"12345678", &[0; 16]));
    assert_eq!(refused(batch), Limit::BatchBytes);
    assert_eq!(engine.statistics().entries, 0);
    engine.write(Batch::new()).unwrap();
    assert_eq!(engine.statistics().fsyncs, 0);
}

#[test]
fn free_space_is_kept() {
    let options = Options { free_bytes_min: u64::MAX, ..tiny() };
    let dir = tempfile::tempdir().unwrap();
    let engine = open_with(&RealDisk::new(dir.path()), options).unwrap();
    let error = put(&engine, "a", "1").unwrap_err();
    let expected = Limit::DiskFreeBytes;
    assert!(matches!(error, Error::Overloaded { what, .. } if what == expected));
    assert!(!error.may_have_applied());
}

#[test]
fn a_closed_engine_reads_but_does_not_write() {
    let disk = MemDisk::default();
    let engine = open(&disk);
    put(&engine, "a", "1").unwrap();
    engine.close().unwrap();
    engine.close().unwrap();
    assert!(matches!(put(&engine, "b", "2"), Err(Error::Closed)));
    assert!(matches!(engine.maintain(atoll_storage::Budget::default()), Err(Error::Closed)));
    assert_eq!(get(&engine, "a").as_deref(), Some("1"));
    let statistics = engine.statistics();
    assert_eq!((statistics.status, statistics.tables), (Status::Closed, 1));
    assert_eq!(statistics.memtable_bytes, 0);
    drop(engine);
    assert_eq!(get(&open(&disk), "a").as_deref(), Some("1"));
}
