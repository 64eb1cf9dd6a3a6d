//! redb on the simulated disk: a committed transaction survives every crash.

use atoll_storage::Disk;
use std::collections::BTreeMap;

use atoll_protocol::ids::Incarnation;
use atolldb::meta::{LastStop, Meta};
use redb::{Database, ReadableDatabase, TableDefinition};

use super::MIB;
use crate::disk::{DiskFaults, Loss, SimDisk, Space};
use crate::prng::Prng;

const COUNTS: TableDefinition<'_, &str, u64> = TableDefinition::new("counts");

const BALLAST: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("ballast");

fn open(disk: &SimDisk) -> Result<Database, redb::Error> {
    let backend = disk.backend("meta.redb")?;
    let builder = Database::builder().set_cache_size(1 << 20).create_with_backend(backend);
    Ok(builder?)
}

fn commit(database: &Database, count: u64) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(COUNTS)?.insert("count", count)?;
    transaction.commit()?;
    Ok(())
}

fn count(database: &Database) -> u64 {
    let transaction = database.begin_read().unwrap();
    match transaction.open_table(COUNTS) {
        Ok(table) => table.get("count").unwrap().map_or(0, |guard| guard.value()),
        Err(redb::TableError::TableDoesNotExist(_)) => 0,
        Err(error) => panic!("{error}"),
    }
}

/// A database whose name is durable and that holds 1.
fn started(seed: u64) -> (SimDisk, Database) {
    let disk = SimDisk::new(Prng::stream(seed, "disk"), 64 * MIB);
    let database = open(&disk).unwrap();
    disk.sync_dir("").unwrap();
    commit(&database, 1).unwrap();
    (disk, database)
}

#[test]
fn a_committed_transaction_is_there_after_every_power_loss() {
    for seed in 0..300 {
        let (disk, database) = started(seed);
        let mut prng = Prng::stream(seed, "test");
        disk.halt_after(prng.between(1, 120));
        let mut acknowledged = 1;
        while commit(&database, acknowledged + 1).is_ok() {
            acknowledged += 1;
        }
        let image = disk.crash(Loss::PowerLost);
        // Redb recovers by writing: it may be interrupted there as well.
        image.halt_after(prng.between(1, 40));
        let _interrupted = open(&image);
        let image = image.crash(Loss::PowerLost);
        let found = count(&open(&image).unwrap());
        assert!(found == acknowledged || found == acknowledged + 1, "seed {seed}: {found}");
        drop(database);
    }
}

/// Replaces one value by one of another size, so that redb's file grows and shrinks.
fn replace(database: &Database, count: u64, prng: &mut Prng) -> Result<(), redb::Error> {
    let ballast = vec![7; prng.index(64 << 10)];
    let transaction = database.begin_write()?;
    transaction.open_table(BALLAST)?.insert("ballast", ballast.as_slice())?;
    transaction.open_table(COUNTS)?.insert("count", count)?;
    transaction.commit()?;
    Ok(())
}

#[test]
fn a_file_that_grows_and_shrinks_opens_after_every_power_loss() {
    for seed in 0..400 {
        let (disk, database) = started(seed);
        let mut prng = Prng::stream(seed, "test");
        disk.halt_after(prng.between(1, 300));
        let mut acknowledged = 1;
        while replace(&database, acknowledged + 1, &mut prng).is_ok() {
            acknowledged += 1;
        }
        // Redb shrinks its file when it is closed, too.
        let image = disk.crash(Loss::PowerLost);
        image.halt_after(prng.between(1, 60));
        drop(open(&image));
        let found = count(&open(&image.crash(Loss::PowerLost)).unwrap());
        assert!(found == acknowledged || found == acknowledged + 1, "seed {seed}: {found}");
    }
}

#[test]
fn failed_syncs_are_reported_and_earlier_commits_survive() {
    for seed in 0..100 {
        let (disk, database) = started(seed);
        disk.set_faults(DiskFaults { sync_per_mille: 1_000, ..DiskFaults::default() });
        commit(&database, 2).unwrap_err();
        let found = count(&open(&disk.crash(Loss::PowerLost)).unwrap());
        assert!(found == 1 || found == 2, "seed {seed}: {found}");
    }
}

#[test]
fn a_database_is_open_once_and_dead_after_a_crash() {
    let (disk, database) = started(1);
    assert!(matches!(open(&disk), Err(redb::Error::DatabaseAlreadyOpen)));
    commit(&database, 2).unwrap();
    let next = disk.crash(Loss::ProcessKilled);
    commit(&database, 3).unwrap_err();
    drop(database);
    assert_eq!(count(&open(&next).unwrap()), 2);
}

#[test]
fn node_metadata_opens_on_it() {
    let disk = SimDisk::new(Prng::stream(5, "disk"), 64 * MIB);
    let meta = open_meta(&disk);
    assert!(meta.topology().unwrap().is_none());
    drop(meta);
    open_meta(&disk);
}

fn open_meta(disk: &SimDisk) -> Meta {
    let disk = disk.clone();
    Meta::open_on(move || disk.backend("meta.redb")).unwrap()
}

#[test]
fn metadata_works_again_once_a_full_disk_has_room() {
    let disk = SimDisk::new(Prng::stream(1, "disk"), 1 << 24);
    let meta = open_meta(&disk);
    meta.begin_life(Incarnation(1), Some(0)).unwrap();
    disk.set_faults(DiskFaults { space: Space::Full, ..DiskFaults::default() });
    let refused = meta.end_life(Incarnation(1), &BTreeMap::new(), 0).unwrap_err();
    assert!(refused.is_full(), "{refused}");
    disk.set_faults(DiskFaults::default());
    meta.end_life(Incarnation(1), &BTreeMap::new(), 0).unwrap();
    assert_eq!(meta.begin_life(Incarnation(2), Some(0)).unwrap().last_stop, LastStop::Clean);
}
