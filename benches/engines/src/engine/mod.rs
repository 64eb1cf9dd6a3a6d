//! What every engine under test can do, and how each is opened.
//!
//! 1. `atoll.rs`, `rocks.rs` and `fjall.rs` adapt one engine each; their configuration is drawn at its head.
//! 2. `bare.rs` is no engine: the smallest durable log, as a ceiling for durable writes.
//! 3. [`EngineName::open`] is the one place that knows them all.
//!
//! Invariant: all engines get the same cache, the same number of background threads, and the same durability.

mod atoll;

mod maintainers;

mod rocks;

mod fjall;

mod bare;

pub(crate) use atoll::LastOperand;

use std::path::Path;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::Outcome;

use bare::{BareLog, Space};
use rocks::Blobs;

/// Bytes of a memtable, for every engine.
const MEMTABLE_BYTES: usize = 64 * 1_024 * 1_024;

/// Background threads of every engine.
const WORKERS: usize = 2;

/// Values from here on are stored apart by the engines that do so.
const SEPARATION_BYTES: u32 = 512;

/// Something that takes durable writes.
pub(crate) trait Writes: Send + Sync {
    /// Stores `value` under `key`; durable on return if it was opened with [`Durability::Synced`].
    fn put(&self, key: &[u8], value: &[u8]) -> Outcome<()>;
}

/// A store under test.
pub(crate) trait Engine: Writes {
    /// Shows the value of `key` to `visit`, which is not called if there is none.
    fn get(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Outcome<()>;

    /// Shows every pair, in key order.
    fn scan_pairs(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()>;

    /// Shows every key with a digest that changes when its value does: what comparing two replicas needs.
    ///
    /// An engine that keeps no digests reads its values.
    fn scan_digests(&self, visit: &mut dyn FnMut(&[u8], u64)) -> Outcome<()> {
        self.scan_pairs(&mut |key, value| visit(key, xxh3_64(value)))
    }

    /// Makes everything written so far durable.
    fn sync(&self) -> Outcome<()>;

    /// Waits until no background work is left. What is in the memtable stays there.
    fn settle(&self) -> Outcome<()>;

    /// The engine's own words about its state, for the raw results.
    fn notes(&self) -> String;

    /// Ends background work and lets go of the directory.
    fn close(self: Box<Self>) -> Outcome<()>;
}

/// When a write returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// After the append to the log; somebody calls [`Engine::sync`] now and then.
    Periodic,
    /// After the log is on the device.
    Synced,
}

/// How an engine is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup<'a> {
    /// Its directory; an earlier store in it is opened again.
    pub(crate) directory: &'a Path,
    /// Bytes of its cache.
    pub(crate) cache_bytes: u64,
    /// When its writes return.
    pub(crate) durability: Durability,
    /// Bytes from which Atoll separates values, if not by its default.
    pub(crate) separate_from: Option<u64>,
}

/// An engine or a ceiling, by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EngineName {
    /// Atoll's storage engine
    Atoll,
    /// RocksDB, values in its tables
    Rocksdb,
    /// RocksDB with blob files
    RocksdbBlob,
    /// fjall, values in its tables
    Fjall,
    /// fjall with key-value separation
    FjallKv,
    /// Ceiling for durable writes: group commit onto a file that grows
    BareAppend,
    /// Ceiling for durable writes: group commit into a file that is already written
    BareOverwrite,
}

impl EngineName {
    /// Whether it only marks what the device can do.
    pub(crate) fn is_ceiling(self) -> bool {
        matches!(self, EngineName::BareAppend | EngineName::BareOverwrite)
    }

    /// Opens the engine; a ceiling is none.
    pub(crate) fn open(self, setup: Setup<'_>) -> Outcome<Box<dyn Engine>> {
        Ok(match self {
            EngineName::Atoll => Box::new(atoll::Atoll::open(setup)?),
            EngineName::Rocksdb => Box::new(rocks::Rocks::open(setup, Blobs::Inline)?),
            EngineName::RocksdbBlob => Box::new(rocks::Rocks::open(setup, Blobs::Separate)?),
            EngineName::Fjall => Box::new(fjall::Fjall::open(setup, None)?),
            EngineName::FjallKv => Box::new(fjall::Fjall::open(setup, Some(SEPARATION_BYTES))?),
            EngineName::BareAppend | EngineName::BareOverwrite => {
                return Err(format!("{self} only takes durable writes").into());
            }
        })
    }

    /// Opens anything for durable writes.
    pub(crate) fn open_synced(self, setup: Setup<'_>) -> Outcome<Box<dyn Writes>> {
        Ok(match self {
            EngineName::BareAppend => Box::new(BareLog::create(setup.directory, Space::Grows)?),
            EngineName::BareOverwrite => {
                Box::new(BareLog::create(setup.directory, Space::Recycled)?)
            }
            EngineName::Atoll
            | EngineName::Rocksdb
            | EngineName::RocksdbBlob
            | EngineName::Fjall
            | EngineName::FjallKv => self.open(setup)?,
        })
    }
}

impl std::fmt::Display for EngineName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            EngineName::Atoll => "atoll",
            EngineName::Rocksdb => "rocksdb",
            EngineName::RocksdbBlob => "rocksdb-blob",
            EngineName::Fjall => "fjall",
            EngineName::FjallKv => "fjall-kv",
            EngineName::BareAppend => "bare-append",
            EngineName::BareOverwrite => "bare-overwrite",
        })
    }
}
