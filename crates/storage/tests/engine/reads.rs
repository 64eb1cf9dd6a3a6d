//! Gets, pages and snapshots across memtables and tables, and operators that fail.

use atoll_storage::{Batch, Budget, Error, ScanLimit};

use crate::harness::{content, delete, get, merge, open, put, settle};
use crate::mem_disk::MemDisk;

const LIMIT: ScanLimit = ScanLimit { entries_max: 10, bytes_max: 1 << 20 };

#[test]
fn operands_join_across_memtable_and_tables() {
    let disk = MemDisk::default();
    let engine = open(&disk);
    put(&engine, "k", "base").unwrap();
    let mut expected = "base".to_owned();
    for index in 0..40 {
        merge(&engine, "k", &format!(".{index}")).unwrap();
        expected.push_str(&format!(".{index}"));
        put(&engine, &format!("filler{index}"), &"x".repeat(300)).unwrap();
        if index % 2 == 0 {
            engine.maintain(Budget { bytes: 1 }).unwrap();
        }
        assert_eq!(get(&engine, "k"), Some(expected.clone()));
    }
    delete(&engine, "k").unwrap();
    assert_eq!(get(&engine, "k"), None);
    merge(&engine, "k", "new").unwrap();
    settle(&engine);
    assert_eq!(get(&engine, "k").as_deref(), Some("new"));
    engine.close().unwrap();
    assert_eq!(get(&engine, "k").as_deref(), Some("new"));
}

#[test]
fn what_memory_does_not_know_is_read_with_patience_only() {
    let disk = MemDisk::default();
    let engine = open(&disk);
    for index in 0..60 {
        put(&engine, &format!("key{index:02}"), "a value that is kept apart").unwrap();
    }
    settle(&engine);
    engine.close().unwrap();
    drop(engine);

    let engine = open(&disk);
    let in_memory = |key: &str| match engine.get_in_memory(key.as_bytes()) {
        Ok(value) => Some(value.is_some()),
        Err(error) => {
            assert!(matches!(error, Error::NotInMemory), "{error}");
            None
        }
    };
    let misses = || {
        let cache = engine.statistics().cache;
        (cache.blocks.misses, cache.values.misses)
    };
    let before = misses();
    assert_eq!(in_memory("key07"), None, "nothing is cached yet");
    assert_eq!(misses(), before, "what is only asked for is no miss");
    put(&engine, "key07", "newer").unwrap();
    assert_eq!(in_memory("key07"), Some(true), "the memtable knows");
    assert_eq!(in_memory("key08"), None);
    assert_eq!(get(&engine, "key08").as_deref(), Some("a value that is kept apart"));
    assert!(misses() > before);
    assert_eq!(in_memory("key08"), Some(true), "the cache knows");
    assert_eq!(in_memory("zebra"), Some(false), "no table has it");
}

#[test]
fn a_batch_applies_in_order() {
    let engine = open(&MemDisk::default());
    let mut batch = Batch::new();
    batch.put(b"k", b"a");
    batch.merge(b"k", b"b");
    batch.delete(b"gone");
    batch.put(b"gone", b"back");
    batch.delete(b"k2");
    engine.write(batch).unwrap();
    assert_eq!(get(&engine, "k").as_deref(), Some("ab"));
    assert_eq!(get(&engine, "gone").as_deref(), Some("back"));
}

#[test]
fn pages_are_bounded_resume_and_respect_their_range() {
    let engine = open(&MemDisk::default());
    for index in 0..100 {
        put(&engine, &format!("key{index:03}"), "0123456789").unwrap();
    }
    let first = engine.scan(b"key010"..b"key090", LIMIT).unwrap();
    assert_eq!(first.entries.len(), 10);
    assert_eq!(first.entries[0].0, "key010");
    assert_eq!(first.next.as_deref(), Some(&b"key020"[..]));
    let last = engine.scan(b"key085"..b"key090", LIMIT).unwrap();
    assert_eq!((last.entries.len(), last.next), (5, None));
    let by_bytes = ScanLimit { entries_max: 100, bytes_max: 40 };
    let page = engine.scan(b"key"..b"kez", by_bytes).unwrap();
    assert_eq!(page.entries.len(), 3, "the entry that reaches the limit is the last");
    let one = ScanLimit { entries_max: 0, bytes_max: 0 };
    assert_eq!(engine.scan(b"key"..b"kez", one).unwrap().entries.len(), 1);
    let backwards = engine.scan(b"z"..b"a", LIMIT).unwrap();
    assert_eq!((backwards.entries.len(), backwards.next), (0, None));
}

#[test]
fn a_page_over_deleted_keys_ends() {
    let engine = open(&MemDisk::default());
    let mut batch = Batch::new();
    for index in 0..1_000 {
        batch.delete(format!("key{index:04}").as_bytes());
    }
    batch.put(b"zzz", b"1");
    engine.write(batch).unwrap();
    let page = engine.scan(b"a"..b"zzzz", LIMIT).unwrap();
    assert!(page.entries.is_empty() && page.next.is_some());
    assert_eq!(content(&engine.snapshot(), 10).len(), 1);
}

#[test]
fn a_snapshot_stays_while_everything_below_it_is_rewritten() {
    let disk = MemDisk::default();
    let engine = open(&disk);
    for index in 0..100 {
        put(&engine, &format!("key{index:03}"), "old").unwrap();
    }
    engine.maintain(Budget { bytes: 1 }).unwrap();
    let snapshot = engine.snapshot();
    let expected = content(&snapshot, 30);
    for round in 0..10 {
        for index in 0..100 {
            merge(&engine, &format!("key{index:03}"), &format!("+{round}")).unwrap();
        }
        delete(&engine, "key050").unwrap();
        settle(&engine);
        assert_eq!(content(&snapshot, 30), expected);
        assert_eq!(snapshot.get(b"key050").unwrap().as_deref(), Some(&b"old"[..]));
    }
    assert!(engine.statistics().removals_pending > 0, "pinned tables stay on disk");
    let pinned = disk.named(".sst").len();
    drop(snapshot);
    settle(&engine);
    assert_eq!(engine.statistics().removals_pending, 0);
    assert!(disk.named(".sst").len() < pinned);
    assert_eq!(disk.named(".sst").len() as u64, engine.statistics().tables);
}

#[test]
fn a_refused_operand_fails_its_key_only_and_is_never_lost() {
    let disk = MemDisk::default();
    let engine = open(&disk);
    put(&engine, "bad", "base").unwrap();
    merge(&engine, "bad", "!").unwrap();
    for index in 0..100 {
        merge(&engine, "bad", &format!(".{index}")).unwrap();
        put(&engine, &format!("key{index:03}"), &"x".repeat(100)).unwrap();
    }
    settle(&engine);
    engine.close().unwrap();
    assert!(matches!(engine.get(b"bad"), Err(Error::Merge { .. })));
    assert_eq!(get(&engine, "key007").map(|value| value.len()), Some(100));
    assert!(engine.statistics().merge_failures > 0);
    drop(engine);
    let engine = open(&disk);
    assert!(matches!(engine.get(b"bad"), Err(Error::Merge { .. })));
    put(&engine, "bad", "mended").unwrap();
    assert_eq!(get(&engine, "bad").as_deref(), Some("mended"));
}
