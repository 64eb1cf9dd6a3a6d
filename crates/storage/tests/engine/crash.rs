//! Crashes at any moment: acknowledged writes survive, and what survives is a prefix.

use std::sync::{Arc, Mutex};

use atoll_storage::{Batch, Budget, Durability, Error, Options, Progress};
use bytes::Bytes;

use crate::harness::{content, get, merge, open, open_with, put, settle, tiny};
use crate::mem_disk::{Call, Loss, MemDisk};

const LOSSES: [Loss; 7] = [
    Loss::Nothing,
    Loss::Everything,
    Loss::TornTail(1),
    Loss::TornTail(500),
    Loss::TornTail(999),
    Loss::Sectors(0x5555_aaaa_0f0f_3333),
    Loss::Sectors(u64::MAX - 1),
];

#[test]
fn every_acknowledged_write_survives_every_crash() {
    let disk = MemDisk::default();
    let engine = open(&disk);
    for index in 0..120 {
        put(&engine, &format!("key{:03}", index % 40), &format!("value{index}")).unwrap();
        merge(&engine, "log", &format!("{index},")).unwrap();
        if index % 3 == 0 {
            engine.maintain(Budget { bytes: 1 }).unwrap();
        }
        let expected = content(&engine.snapshot(), 50);
        for loss in LOSSES {
            let image = disk.crash(loss);
            let reopened = open(&image);
            assert_eq!(content(&reopened.snapshot(), 50), expected, "{loss:?} after {index}");
            // Crash again right after recovery, and once more.
            drop(reopened);
            let again = image.crash(loss);
            assert_eq!(content(&open(&again).snapshot(), 50), expected);
        }
    }
}

#[test]
fn unsynced_writes_of_periodic_durability_survive_as_a_prefix() {
    let options = Options { durability: Durability::Periodic, ..tiny() };
    for synced in [0, 7, 20] {
        let disk = MemDisk::default();
        let engine = open_with(&disk, options.clone()).unwrap();
        for index in 0..20 {
            if index == synced {
                engine.sync().unwrap();
            }
            merge(&engine, "log", &format!("{index:02}")).unwrap();
            put(&engine, &format!("key{index:02}"), "v").unwrap();
        }
        let all: String = (0..20).map(|index| format!("{index:02}")).collect();
        for seed in 0..200u64 {
            let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            for loss in [Loss::TornTail(seed % 1_000), Loss::Sectors(seed), Loss::Everything] {
                let reopened = open_with(&disk.crash(loss), options.clone()).unwrap();
                let log = get(&reopened, "log").unwrap_or_default();
                assert!(all.starts_with(&log), "a hole: {log}");
                let synced = if synced == 20 { 0 } else { synced };
                assert!(log.len() >= synced * 2, "synced writes are there");
                let count = log.len() / 2;
                let puts = content(&reopened.snapshot(), 50).len() - usize::from(count > 0);
                assert!(puts == count || puts + 1 == count, "puts are of the same prefix");
            }
        }
    }
}

#[test]
fn a_group_is_found_whole_or_not_at_all() {
    let disk = MemDisk::default();
    let engine = open(&disk);
    put(&engine, "a", "1").unwrap();
    let before = disk.crash(Loss::Nothing);
    let mut batch = Batch::new();
    for index in 0..30 {
        batch.put(format!("b{index:02}").as_bytes(), &[7; 30]);
    }
    engine.write(batch).unwrap();
    let name = before.named(".wal").pop().unwrap();
    let (old, new) = (before.bytes(&name).len(), disk.bytes(&name));
    for cut in (old..new.len()).step_by(13) {
        let image = disk.crash(Loss::Nothing);
        image.put(&name, new[..cut].to_vec());
        let reopened = open(&image);
        assert_eq!(content(&reopened.snapshot(), 50).len(), 1, "cut at {cut}");
        assert_eq!(reopened.statistics().torn_bytes, (cut - old) as u64);
    }
}

#[test]
fn a_crash_at_every_call_of_recovery_loses_nothing() {
    let disk = MemDisk::default();
    let engine = open(&disk);
    for index in 0..60 {
        put(&engine, &format!("key{:02}", index % 20), &format!("value{index}")).unwrap();
    }
    let expected = content(&engine.snapshot(), 50);
    for (call, calls) in [(Call::Sync, 4), (Call::SyncDir, 4), (Call::Write, 40)] {
        for after in 0..calls {
            for loss in LOSSES {
                let image = disk.crash(Loss::Nothing);
                image.fail(call, "", after);
                let failed = open_with(&image, tiny());
                drop(failed);
                let reopened = open(&image.crash(loss));
                assert_eq!(
                    content(&reopened.snapshot(), 50),
                    expected,
                    "{call:?} {after} {loss:?}"
                );
            }
        }
    }
}

#[test]
fn a_relog_on_top_of_a_lost_manifest_edit_is_abandoned() {
    let disk = MemDisk::default();
    let engine = open(&disk);
    for index in 0..60 {
        put(&engine, &format!("key{index:02}"), "some value").unwrap();
    }
    let expected = content(&engine.snapshot(), 50);
    // The flush dies before its edit is durable. The next process reads the edit all the same, relogs on top of it,
    // durably, and dies before its own manifest is. Then the power goes, and with it the edit.
    disk.fail(Call::Sync, ".manifest", 0);
    assert!(matches!(engine.maintain(Budget::default()), Err(Error::Poisoned { .. })));
    drop(engine);
    assert!(matches!(open_with(&disk, tiny()), Err(Error::Poisoned { .. })));
    for loss in LOSSES {
        let image = disk.crash(loss);
        assert_eq!(content(&open(&image).snapshot(), 50), expected, "{loss:?}");
        assert_eq!(content(&open(&image.crash(loss)).snapshot(), 50), expected, "{loss:?}");
    }
}

#[test]
fn a_failed_log_sync_poisons_for_good() {
    let disk = MemDisk::default();
    let engine = open(&disk);
    put(&engine, "a", "1").unwrap();
    disk.fail(Call::Sync, ".wal", 0);
    let error = put(&engine, "b", "2").unwrap_err();
    assert!(matches!(error, Error::Poisoned { .. }) && error.may_have_applied());
    disk.heal();
    let syncs = disk.syncs();
    assert!(matches!(put(&engine, "c", "3"), Err(Error::Poisoned { .. })));
    assert!(matches!(engine.get(b"a"), Err(Error::Poisoned { .. })));
    assert!(matches!(engine.snapshot().get(b"a"), Err(Error::Poisoned { .. })));
    assert!(matches!(engine.sync(), Err(Error::Poisoned { .. })));
    assert!(matches!(engine.maintain(Budget::default()), Err(Error::Poisoned { .. })));
    assert!(matches!(engine.close(), Err(Error::Poisoned { .. })));
    assert_eq!(disk.syncs(), syncs, "nothing is synced after a failed sync");
    let reopened = open(&disk.crash(Loss::Everything));
    assert_eq!((get(&reopened, "a").as_deref(), get(&reopened, "c")), (Some("1"), None));
}

#[test]
fn every_failing_sync_of_maintenance_poisons_and_loses_nothing() {
    for (call, name) in [(Call::Sync, ".sst"), (Call::Sync, ".manifest"), (Call::SyncDir, "")] {
        let disk = MemDisk::default();
        let engine = open(&disk);
        for index in 0..60 {
            put(&engine, &format!("key{index:02}"), "some value").unwrap();
        }
        let expected = content(&engine.snapshot(), 50);
        disk.fail(call, name, 0);
        assert!(
            matches!(engine.maintain(Budget::default()), Err(Error::Poisoned { .. })),
            "{name}"
        );
        assert!(matches!(put(&engine, "x", "y"), Err(Error::Poisoned { .. })));
        for loss in LOSSES {
            assert_eq!(content(&open(&disk.crash(loss)).snapshot(), 50), expected);
        }
    }
}

#[test]
fn a_failed_table_write_is_no_harm() {
    let disk = MemDisk::default();
    let engine = open(&disk);
    for index in 0..60 {
        put(&engine, &format!("key{index:02}"), "some value").unwrap();
    }
    disk.fail(Call::Write, ".sst", 0);
    assert!(matches!(engine.maintain(Budget::default()), Err(Error::Disk { .. })));
    disk.heal();
    let tables = disk.named(".sst").len();
    assert!(matches!(engine.maintain(Budget::default()), Ok(Progress::Worked { .. })));
    assert_eq!(disk.named(".sst").len(), tables + 1, "the failed table is gone");
    assert_eq!(content(&engine.snapshot(), 50).len(), 60);
}

#[test]
fn a_full_disk_refuses_and_heals() {
    let disk = MemDisk::default();
    let engine = open(&disk);
    put(&engine, "a", "1").unwrap();
    for name in [".wal", ".manifest", ".sst"] {
        let mut refused = 0;
        for index in 0..200 {
            // The log's and the tables' first writes are headers or go through; an edit is one write.
            disk.fail(Call::Space, name, u64::from(name != ".manifest"));
            let outcome = put(&engine, &format!("{name}{index:03}"), &"x".repeat(1_500));
            let outcome = outcome.and(engine.maintain(Budget::default()).map(|_| ()));
            if let Err(error) = outcome {
                assert!(matches!(error, Error::Overloaded { .. }), "{error}");
                refused += 1;
            }
            disk.heal();
        }
        assert!(refused > 0, "{name}");
    }
    settle(&engine);
    put(&engine, "z", "26").unwrap();
    let expected = content(&engine.snapshot(), 50);
    drop(engine);
    let reopened = open(&disk.crash(Loss::Everything));
    assert_eq!(content(&reopened.snapshot(), 50), expected);
}

#[test]
fn a_panic_of_the_operator_in_a_leader_reaches_every_follower() {
    struct Panics;
    impl atoll_storage::MergeOperator for Panics {
        fn merge(
            &self,
            _key: &[u8],
            _existing: Option<&Bytes>,
            _operands: &[Bytes],
        ) -> Result<Bytes, atoll_storage::MergeError> {
            panic!("a bug in the operator");
        }
    }
    let disk: Arc<dyn atoll_storage::Disk> = Arc::new(MemDisk::default());
    let engine = atoll_storage::Engine::open(disk, Options::default(), Arc::new(Panics)).unwrap();
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let write = || merge(&engine, "hot", "+");
                    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(write));
                    outcomes.lock().unwrap().push(outcome.ok());
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_none()).count(), 1, "one panics");
    let poisoned = |outcome: &&Option<_>| matches!(outcome, Some(Err(Error::Poisoned { .. })));
    assert!(outcomes.iter().filter(poisoned).count() >= 60, "the others are told");
}

#[test]
fn a_full_disk_never_prevents_a_start() {
    let disk = MemDisk::default();
    let options = Options { reserve_bytes: 1_000, free_bytes_min: 0, ..tiny() };
    let engine = open_with(&disk, options.clone()).unwrap();
    for index in 0..30 {
        put(&engine, &format!("key{index:02}"), "some value").unwrap();
    }
    let expected = content(&engine.snapshot(), 50);
    drop(engine);
    assert!(disk.names().contains(&"RESERVE".to_owned()));
    for name in [".wal", ".manifest"] {
        let image = disk.crash(Loss::Nothing);
        // Somebody else has filled the disk; room is only where the reserve was.
        image.fail(Call::Space, name, 0);
        let engine = open_with(&image, options.clone()).unwrap();
        assert_eq!(content(&engine.snapshot(), 50), expected, "{name}");
        put(&engine, "after", "1").unwrap();
        // There is room again: the reserve is made anew.
        while engine.maintain(Budget::default()).unwrap() != Progress::Idle {}
        assert!(image.names().contains(&"RESERVE".to_owned()));
    }
    // Without a reserve it is an error that says so, and nothing is lost.
    let image = disk.crash(Loss::Nothing);
    atoll_storage::Disk::remove(&image, "RESERVE").unwrap();
    image.fail(Call::Space, ".wal", 0);
    assert!(matches!(open_with(&image, options.clone()), Err(Error::Overloaded { .. })));
    image.heal();
    assert_eq!(content(&open_with(&image, options).unwrap().snapshot(), 50), expected);
}

#[test]
fn maintenance_gives_the_reserve_up_before_it_gives_up() {
    let disk = MemDisk::default();
    let options = Options { reserve_bytes: 1_000, free_bytes_min: 0, ..tiny() };
    let engine = open_with(&disk, options).unwrap();
    for index in 0..60 {
        put(&engine, &format!("key{index:02}"), "some value").unwrap();
    }
    disk.fail(Call::Space, ".sst", 0);
    assert!(matches!(engine.maintain(Budget::default()), Ok(Progress::Worked { .. })));
    assert!(engine.statistics().flushes > 0);
}
