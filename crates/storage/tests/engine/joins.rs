//! What was joined once is known: reads do not join it again, and never answer with what does not hold any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use atoll_storage::{Engine, KeyRange, MergeError, MergeOperator, Options, Salvaged, Survey};
use bytes::Bytes;

use crate::harness::{CloneDisk, get, merge, put, settle, tiny};
use crate::mem_disk::MemDisk;

/// The highest of all, handed back as it is; counts how often it was asked.
#[derive(Clone, Default)]
struct Highest(Arc<AtomicUsize>);

impl MergeOperator for Highest {
    fn merge(
        &self,
        _key: &[u8],
        existing: Option<&Bytes>,
        operands: &[Bytes],
    ) -> Result<Bytes, MergeError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let highest = existing.into_iter().chain(operands).max();
        highest.cloned().ok_or_else(|| MergeError::new("nothing"))
    }
}

/// Nothing is flushed or folded unless it is asked for.
fn roomy() -> Options {
    Options {
        memtable_bytes_max: 1 << 20,
        wal_segment_bytes_max: 1 << 20,
        cache_bytes: 1 << 20,
        ..tiny()
    }
}

/// What `key` comes to, and how many joins that took.
fn read(engine: &Engine, joins: &Highest, key: &str) -> (Option<String>, usize) {
    let before = joins.0.load(Ordering::Relaxed);
    let value = engine.get(key.as_bytes()).unwrap();
    let value = value.map(|value| String::from_utf8(value.to_vec()).unwrap());
    (value, joins.0.load(Ordering::Relaxed) - before)
}

#[test]
fn what_has_not_changed_is_joined_once() {
    let (disk, joins) = (MemDisk::default(), Highest::default());
    let engine = Engine::open(disk.shared(), roomy(), Arc::new(joins.clone())).unwrap();
    let read = || read(&engine, &joins, "k");
    put(&engine, "k", "b").unwrap();
    assert_eq!(read(), (Some("b".into()), 0));
    for (operand, value) in [("c", "c"), ("a", "c"), ("d", "d")] {
        merge(&engine, "k", operand).unwrap();
        assert_eq!(read(), (Some(value.into()), 1), "after {operand}");
        assert_eq!(read(), (Some(value.into()), 0), "after {operand}");
    }
    let before = engine.snapshot();
    put(&engine, "k", "a").unwrap();
    assert_eq!(read(), (Some("a".into()), 0), "a base hides what was joined");
    assert_eq!(before.get(b"k").unwrap().as_deref(), Some(&b"d"[..]));
}

#[test]
fn what_lies_in_tables_is_joined_once() {
    let (disk, joins) = (MemDisk::default(), Highest::default());
    let open = || Engine::open(disk.shared(), roomy(), Arc::new(joins.clone())).unwrap();
    for operand in ["short", "a value of its own", "of its own, too"] {
        let engine = open();
        merge(&engine, "k", operand).unwrap();
        // Flushes.
        engine.close().unwrap();
    }
    let engine = open();
    assert!(engine.statistics().tables > 1, "{:?}", engine.statistics());
    assert_eq!(read(&engine, &joins, "k"), (Some("short".into()), 1));
    assert_eq!(read(&engine, &joins, "k"), (Some("short".into()), 0));
    settle(&engine);
    let (value, _) = read(&engine, &joins, "k");
    assert_eq!(value.as_deref(), Some("short"));
}

#[test]
fn without_a_cache_everything_is_joined_again() {
    let (disk, joins) = (MemDisk::default(), Highest::default());
    let options = Options { cache_bytes: 0, ..roomy() };
    let engine = Engine::open(disk.shared(), options, Arc::new(joins.clone())).unwrap();
    merge(&engine, "k", "a").unwrap();
    merge(&engine, "k", "b").unwrap();
    assert_eq!(read(&engine, &joins, "k"), (Some("b".into()), 1));
    assert_eq!(read(&engine, &joins, "k"), (Some("b".into()), 1));
}

/// One byte: the highest first one of all.
struct Initial;

impl MergeOperator for Initial {
    fn merge(
        &self,
        _key: &[u8],
        existing: Option<&Bytes>,
        operands: &[Bytes],
    ) -> Result<Bytes, MergeError> {
        let initial = existing.into_iter().chain(operands).filter_map(|value| value.first()).max();
        Ok(initial.into_iter().copied().collect())
    }
}

#[test]
fn what_was_joined_with_something_left_out_since_is_joined_anew() {
    // The older operand does not fit into the cache, what both come to does.
    let older = "z".repeat(100_000);
    let options = Options { cache_bytes: 64_000, ..roomy() };
    let disk = MemDisk::default();
    let open = || Engine::open(disk.shared(), options.clone(), Arc::new(Initial)).unwrap();
    let engine = open();
    merge(&engine, "k", &older).unwrap();
    engine.close().unwrap();
    drop(engine);
    let engine = open();
    merge(&engine, "k", "b").unwrap();
    // A cache that thinks itself full takes it in the second time.
    (0..2).for_each(|_| assert_eq!(get(&engine, "k").as_deref(), Some("z")));
    let place = |file: &String| disk.bytes(file).windows(4).position(|bytes| bytes == b"zzzz");
    let file = disk.names().into_iter().find(|file| place(file).is_some()).unwrap();
    disk.flip(&file, place(&file).unwrap());
    assert_eq!(engine.get_in_memory(b"k").unwrap().as_deref(), Some(&b"z"[..]), "it is known");
    let all = KeyRange { first: Bytes::from_static(b"k"), last: Bytes::from_static(b"k") };
    assert_eq!(engine.survey(&file, &mut |_| {}).unwrap(), Survey::Lost(vec![all.clone()]));
    while engine.salvage(&file, std::slice::from_ref(&all)).unwrap() != Salvaged::Done {}
    assert_eq!(get(&engine, "k").as_deref(), Some("b"));
    engine.close().unwrap();
    drop(engine);
    assert_eq!(get(&open(), "k").as_deref(), Some("b"), "as after a restart");
}
