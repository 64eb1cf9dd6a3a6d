//! Separated values stay what they are: while they are relocated, when they are damaged, when the disk is full.

use atoll_storage::{Budget, Engine, Error, Options};

use crate::harness::{delete, get, merge, open_with, put, settle, tiny};
use crate::mem_disk::{Call, Loss, MemDisk};

/// Every value is separated, every level-0 table is compacted, nothing is answered from memory.
fn options() -> Options {
    Options { tables_l0_trigger: 1, cache_bytes: 0, ..tiny() }
}

fn reopened(disk: &MemDisk, engine: Engine) -> Engine {
    engine.close().unwrap();
    drop(engine);
    open_with(disk, options()).unwrap()
}

/// The file that holds `text`, and where.
fn find(disk: &MemDisk, text: &str) -> (String, usize) {
    let holds = |name: &String| {
        let bytes = disk.bytes(name);
        let at = bytes.windows(text.len()).position(|window| window == text.as_bytes())?;
        Some((name.clone(), at))
    };
    disk.names().iter().find_map(holds).unwrap()
}

#[test]
fn a_relocation_keeps_what_hides_or_joins_deeper_entries() {
    let options = || Options { level_bytes_base: 700, ..options() };
    let disk = MemDisk::default();
    let engine = open_with(&disk, options()).unwrap();
    put(&engine, "joined", "a base of its own|").unwrap();
    put(&engine, "deleted", "what shall not come back").unwrap();
    for index in 0..40 {
        put(&engine, &format!("small {index:02}"), "inline").unwrap();
    }
    let next = |engine: Engine| {
        engine.close().unwrap();
        drop(engine);
        let engine = open_with(&disk, options()).unwrap();
        settle(&engine);
        engine
    };
    let engine = next(engine);
    let tables = |engine: &Engine| engine.statistics().levels.iter().map(|l| l.tables).collect();
    let before: Vec<u64> = tables(&engine);
    assert!(before[1] == 0 && before[2] > 0, "the base is in level 2: {before:?}");
    merge(&engine, "joined", "an operand above it").unwrap();
    delete(&engine, "deleted").unwrap();
    put(&engine, "garbage", &"soon garbage ".repeat(300)).unwrap();
    let engine = next(engine);
    put(&engine, "garbage", "not much of it").unwrap();
    let engine = next(engine);
    let after: Vec<u64> = tables(&engine);
    assert!(engine.statistics().relocations > 0 && after[1] > 0 && after[2] > 0, "{after:?}");
    assert_eq!(get(&engine, "joined").as_deref(), Some("a base of its own|an operand above it"));
    assert_eq!(get(&engine, "deleted"), None);
    assert_eq!(get(&engine, "garbage").as_deref(), Some("not much of it"));
}

#[test]
fn a_relocation_leaves_damage_where_it_is() {
    let disk = MemDisk::default();
    let engine = open_with(&disk, options()).unwrap();
    put(&engine, "a", "a value that is separated").unwrap();
    put(&engine, "b", &"garbage ".repeat(100)).unwrap();
    put(&engine, "c", "another one next to it").unwrap();
    let engine = reopened(&disk, engine);
    settle(&engine);
    let (name, at) = find(&disk, "a value that is separated");
    disk.flip(&name, at);
    put(&engine, "b", &"fresh ".repeat(20)).unwrap();
    let engine = reopened(&disk, engine);
    settle(&engine);
    let statistics = engine.statistics();
    assert!(statistics.relocations > 0, "{statistics:?}");
    assert_eq!(statistics.damaged_values, 1, "{statistics:?}");
    let engine = reopened(&disk, engine);
    match engine.get(b"a") {
        Err(Error::Corrupt { file, .. }) => assert_eq!(file, name),
        other => panic!("{other:?}"),
    }
    assert_eq!(get(&engine, "b").unwrap(), "fresh ".repeat(20));
    assert_eq!(get(&engine, "c").as_deref(), Some("another one next to it"));
}

#[test]
fn a_flush_that_a_full_disk_stops_keeps_its_segment() {
    let disk = MemDisk::default();
    let engine = open_with(&disk, options()).unwrap();
    put(&engine, "a", &"separated ".repeat(300)).unwrap();
    put(&engine, "b", "seals the memtable of the first").unwrap();
    disk.fail(Call::Space, ".manifest", 0);
    let stopped = engine.maintain(Budget { bytes: 1 });
    assert!(matches!(stopped, Err(Error::Overloaded { .. })), "{stopped:?}");
    let after_a_crash = open_with(&disk.crash(Loss::Nothing), options()).unwrap();
    assert_eq!(get(&after_a_crash, "a").unwrap(), "separated ".repeat(300));
    disk.heal();
    settle(&engine);
    assert_eq!(get(&engine, "a").unwrap(), "separated ".repeat(300));
    let engine = reopened(&disk, engine);
    assert_eq!(get(&engine, "a").unwrap(), "separated ".repeat(300));
    assert_eq!(get(&engine, "b").as_deref(), Some("seals the memtable of the first"));
}
