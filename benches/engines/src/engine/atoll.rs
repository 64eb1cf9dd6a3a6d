//! Atoll's storage engine, as the node runs it: two maintenance threads, and somebody who calls `sync` every second.
//!
//! Configuration: memtables of 64 MiB, the cache of everybody, everything else [`Options::default`].

use std::sync::Arc;

use atoll_storage::{
    Batch, Durability as LogDurability, Engine as StorageEngine, MergeError, MergeOperator,
    Options, RealDisk, ScanLimit,
};
use bytes::Bytes;

use crate::Outcome;

use super::maintainers::Maintainers;
use super::{Durability, Engine, MEMTABLE_BYTES, Setup, WORKERS, Writes};

/// A page of a scan. Long enough that seeking to its start does not matter, short enough to stay in the CPU's cache.
const PAGE: ScanLimit = ScanLimit { entries_max: 4_096, bytes_max: 1_024 * 1_024 };

/// Above every key of 16 bytes.
const END: [u8; 17] = [0xff; 17];

/// The engine with the threads that it needs.
pub(super) struct Atoll {
    engine: Arc<StorageEngine>,
    maintainers: Maintainers,
}

impl Atoll {
    pub(super) fn open(setup: Setup<'_>) -> Outcome<Atoll> {
        let disk = RealDisk::new(setup.directory);
        let engine = StorageEngine::open(Arc::new(disk), options(setup), Arc::new(LastOperand))?;
        let engine = Arc::new(engine);
        let maintainers = Maintainers::start(&engine, WORKERS)?;
        Ok(Atoll { engine, maintainers })
    }
}

fn options(setup: Setup<'_>) -> Options {
    let shipped = Options::default();
    Options {
        cache_bytes: setup.cache_bytes,
        memtable_bytes_max: MEMTABLE_BYTES as u64,
        wal_segment_bytes_max: 2 * MEMTABLE_BYTES as u64,
        durability: match setup.durability {
            Durability::Periodic => LogDurability::Periodic,
            Durability::Synced => LogDurability::Fsync,
        },
        value_separation_bytes: setup.separate_from.unwrap_or(shipped.value_separation_bytes),
        ..shipped
    }
}

impl Writes for Atoll {
    fn put(&self, key: &[u8], value: &[u8]) -> Outcome<()> {
        let mut batch = Batch::new();
        batch.put(key, value);
        Ok(self.engine.write(batch)?)
    }
}

impl Engine for Atoll {
    fn get(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Outcome<()> {
        if let Some(value) = self.engine.get(key)? {
            visit(&value);
        }
        Ok(())
    }

    fn scan_pairs(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()> {
        let snapshot = self.engine.snapshot();
        let mut start = Some(Vec::new());
        while let Some(from) = start {
            let page = snapshot.scan(&from[..]..&END[..], PAGE)?;
            page.entries.iter().for_each(|(key, value)| visit(key, value));
            start = page.next;
        }
        Ok(())
    }

    fn scan_digests(&self, visit: &mut dyn FnMut(&[u8], u64)) -> Outcome<()> {
        let mut start = Some(Vec::new());
        while let Some(from) = start {
            let page = self.engine.scan_digests(&from[..]..&END[..], PAGE)?;
            page.entries.iter().for_each(|(key, digest)| visit(key, *digest));
            start = page.next;
        }
        Ok(())
    }

    fn sync(&self) -> Outcome<()> {
        Ok(self.engine.sync()?)
    }

    fn settle(&self) -> Outcome<()> {
        self.maintainers.wait_until_idle()
    }

    fn notes(&self) -> String {
        format!("{:?}", self.engine.statistics())
    }

    fn close(self: Box<Self>) -> Outcome<()> {
        self.maintainers.stop()?;
        Ok(self.engine.close()?)
    }
}

/// No workload merges; the engine wants an operator all the same.
pub(crate) struct LastOperand;

impl MergeOperator for LastOperand {
    fn merge(
        &self,
        _key: &[u8],
        _existing: Option<&Bytes>,
        operands: &[Bytes],
    ) -> Result<Bytes, MergeError> {
        operands.last().cloned().ok_or_else(|| MergeError::new("no operand"))
    }
}
