//! fjall, with its values inline or in value-log files.
//!
//! Configuration: its defaults, which are a memtable of 64 MiB, blocks of 4 KiB, LZ4 from level 2 down (and for
//! separated values), filters of 0.01 % at level 0 and of 10 bits below; with our cache size and two workers.
//! Separated values from 512 bytes on.
//!
//! A durable write is an insert and a `persist`, which is how its manual does it; it has no group commit.

use std::thread;
use std::time::Duration;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};

use crate::Outcome;

use super::{Durability, Engine, MEMTABLE_BYTES, Setup, WORKERS, Writes};

/// Time between two looks at the background work.
const LOOK: Duration = Duration::from_millis(10);

/// Looks in a row that must find nothing: flushes queue compactions, and nothing says that one is queued.
const CALM_LOOKS: u32 = 20;

/// An open fjall.
pub(super) struct Fjall {
    // Dropped before the database that it belongs to.
    keyspace: Keyspace,
    database: Database,
    durability: Durability,
}

impl Fjall {
    /// Opens it, with values of at least `separate_from` bytes stored apart.
    pub(super) fn open(setup: Setup<'_>, separate_from: Option<u32>) -> Outcome<Fjall> {
        let database = Database::builder(setup.directory)
            .cache_size(setup.cache_bytes)
            .worker_threads(WORKERS)
            .open()?;
        let separation =
            separate_from.map(|bytes| KvSeparationOptions::default().separation_threshold(bytes));
        let keyspace = database.keyspace("bench", || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES as u64)
                .with_kv_separation(separation)
        })?;
        Ok(Fjall { keyspace, database, durability: setup.durability })
    }

    fn is_calm(&self) -> bool {
        self.database.outstanding_flushes() == 0
            && self.database.active_compactions() == 0
            && self.keyspace.sealed_memtable_count() == 0
    }
}

impl Writes for Fjall {
    fn put(&self, key: &[u8], value: &[u8]) -> Outcome<()> {
        self.keyspace.insert(key, value)?;
        match self.durability {
            Durability::Periodic => Ok(()),
            Durability::Synced => Ok(self.database.persist(PersistMode::SyncData)?),
        }
    }
}

impl Engine for Fjall {
    fn get(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Outcome<()> {
        if let Some(value) = self.keyspace.get(key)? {
            visit(&value);
        }
        Ok(())
    }

    fn scan_pairs(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()> {
        for pair in self.keyspace.iter() {
            let (key, value) = pair.into_inner()?;
            visit(&key, &value);
        }
        Ok(())
    }

    fn sync(&self) -> Outcome<()> {
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    fn settle(&self) -> Outcome<()> {
        let mut calm_looks = 0;
        let mut completed = self.database.compactions_completed();
        while calm_looks < CALM_LOOKS {
            // bounded poll: ends when the finite background work of a store that nobody writes does.
            thread::sleep(LOOK);
            let now = self.database.compactions_completed();
            calm_looks = if self.is_calm() && now == completed { calm_looks + 1 } else { 0 };
            completed = now;
        }
        Ok(())
    }

    fn notes(&self) -> String {
        format!(
            "tables={} l0={} blob_files={} journals={} compactions={}",
            self.keyspace.table_count(),
            self.keyspace.l0_table_count(),
            self.keyspace.blob_file_count(),
            self.database.journal_count(),
            self.database.compactions_completed(),
        )
    }

    fn close(self: Box<Self>) -> Outcome<()> {
        let Fjall { keyspace, database, .. } = *self;
        drop(keyspace);
        drop(database);
        Ok(())
    }
}
