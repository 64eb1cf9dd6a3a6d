//! Damaged, missing, misplaced and locked files: always an error, never "not found".

use atoll_storage::{Error, RealDisk};

use crate::harness::{content, get, open, open_with, put, settle, tiny};
use crate::mem_disk::MemDisk;

/// A closed store with tables.
fn stored() -> MemDisk {
    let disk = MemDisk::default();
    let engine = open(&disk);
    for index in 0..150 {
        put(&engine, &format!("key{index:03}"), &format!("value{index}")).unwrap();
    }
    settle(&engine);
    engine.close().unwrap();
    disk
}

#[test]
fn a_flip_in_any_block_of_any_table_is_corrupt() {
    let disk = stored();
    assert!(disk.named(".sst").len() > 1);
    for name in disk.named(".sst") {
        for position in (0..disk.bytes(&name).len()).step_by(37) {
            disk.flip(&name, position);
            let mut corrupt = 0;
            match open_with(&disk, tiny()) {
                Err(Error::Corrupt { file, .. }) => {
                    assert_eq!(file, name);
                    corrupt += 1;
                }
                Err(other) => panic!("{other}"),
                Ok(engine) => {
                    for index in 0..150 {
                        match engine.get(format!("key{index:03}").as_bytes()) {
                            Ok(value) => {
                                assert_eq!(value.unwrap(), format!("value{index}").as_bytes());
                            }
                            Err(Error::Corrupt { file, .. }) => {
                                assert_eq!(file, name);
                                corrupt += 1;
                            }
                            Err(other) => panic!("{other}"),
                        }
                    }
                }
            }
            assert!(corrupt > 0, "a flip at {position} of {name} went unnoticed");
            disk.flip(&name, position);
        }
    }
    assert_eq!(content(&open(&disk).snapshot(), 50).len(), 150);
}

#[test]
fn a_record_damaged_before_others_refuses_to_open() {
    let disk = MemDisk::default();
    let engine = open(&disk);
    for index in 0..10 {
        put(&engine, &format!("key{index}"), "value").unwrap();
    }
    drop(engine);
    let name = disk.named(".wal").pop().unwrap();
    disk.flip(&name, 70);
    let before = disk.names();
    match open_with(&disk, tiny()) {
        Err(Error::Corrupt { file, offset, .. }) => {
            assert_eq!((file, offset), (name.clone(), 32));
        }
        other => panic!("{:?}", other.map(|_| ())),
    }
    for name in before {
        assert!(disk.names().contains(&name), "a refused open removes nothing");
    }
    disk.flip(&name, 70);
    assert_eq!(content(&open(&disk).snapshot(), 50).len(), 10);
}

#[test]
fn a_relogged_record_is_vouched_for() {
    let disk = MemDisk::default();
    let engine = open(&disk);
    for index in 0..3 {
        put(&engine, &format!("key{index}"), "value").unwrap();
    }
    drop(engine);
    drop(open(&disk));
    let name = disk.named(".wal").pop().unwrap();
    disk.flip(&name, 80);
    assert!(matches!(open_with(&disk, tiny()), Err(Error::Corrupt { .. })));
}

#[test]
fn every_missing_file_is_corrupt() {
    let disk = stored();
    let engine = open(&disk);
    put(&engine, "in the log", "1").unwrap();
    drop(engine);
    // The reserve holds nothing.
    for name in disk.names().into_iter().filter(|name| name != "RESERVE") {
        let image = disk.crash(crate::mem_disk::Loss::Nothing);
        atoll_storage::Disk::remove(&image, &name).unwrap();
        match open_with(&image, tiny()) {
            Err(Error::Corrupt { .. }) => {}
            other => panic!("without {name}: {:?}", other.map(|_| ())),
        }
    }
}

#[test]
fn swapped_tables_are_corrupt() {
    let disk = stored();
    let names = disk.named(".sst");
    let (left, right) = (disk.bytes(&names[0]), disk.bytes(&names[1]));
    disk.put(&names[0], right);
    disk.put(&names[1], left);
    assert!(matches!(open_with(&disk, tiny()), Err(Error::Corrupt { .. })));
}

#[test]
fn orphans_are_removed_at_open() {
    let disk = stored();
    let live = disk.named(".sst");
    disk.put("900000.sst", vec![1; 10]);
    disk.put("900001.wal.tmp", vec![1; 10]);
    disk.put("000000.manifest", vec![1; 10]);
    disk.put("foreign.txt", vec![1; 10]);
    let engine = open(&disk);
    assert_eq!(disk.named(".sst"), live);
    assert!(disk.named(".tmp").is_empty());
    assert_eq!((disk.named(".manifest").len(), disk.named(".wal").len()), (1, 1));
    assert!(disk.names().contains(&"foreign.txt".to_owned()));
    put(&engine, "a", "1").unwrap();
    let newest = disk.named(".wal").pop().unwrap();
    assert!(newest.as_str() > "900001.wal", "ids are never used twice");
}

#[test]
fn a_locked_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(&dir.path().join("store"));
    let engine = open(&disk);
    match open_with(&disk, tiny()) {
        Err(Error::Locked { path }) => assert!(path.contains("store") && path.ends_with("LOCK")),
        other => panic!("{:?}", other.map(|_| ())),
    }
    put(&engine, "a", "1").unwrap();
    drop(engine);
    assert_eq!(get(&open(&disk), "a").as_deref(), Some("1"));
}

#[test]
fn an_open_that_died_before_the_first_write_is_repeated() {
    for (call, calls) in [(crate::mem_disk::Call::Sync, 3), (crate::mem_disk::Call::SyncDir, 3)] {
        for after in 0..calls {
            let disk = MemDisk::default();
            disk.fail(call, "", after);
            assert!(open_with(&disk, tiny()).is_err(), "{call:?} {after}");
            disk.heal();
            let engine = open(&disk);
            put(&engine, "a", "1").unwrap();
            assert_eq!(get(&engine, "a").as_deref(), Some("1"));
        }
    }
}
