//! Atoll's storage engine: a log-structured merge tree over [`Disk`] that knows only bytes.
//!
//! The node opens one [`Engine`] and shares it between threads; the simulator opens the same engine over its own
//! [`Disk`]. `src/replica` is the only module that turns records into the keys and values stored here.
//!
//! 1. [`Engine::write`] appends a [`Batch`] to the write-ahead log (group commit), then inserts it in the memtable.
//! 2. A full memtable is sealed; [`Engine::maintain`] flushes it to an SSTable in level 0.
//!    Large values stay where the log has put them; the table points to them.
//! 3. `maintain` also merges level 0 into deeper levels, so that the number of tables stays bounded, and copies values out
//!    of files that are mostly garbage.
//! 4. [`Engine::get`] and [`Engine::scan`] gather the entries of a key from newest to oldest and join merge operands
//!    lazily with the [`MergeOperator`].
//! 5. [`Engine::open`] after a crash replays the log, logs it again into a new synced segment, and only then serves.
//!
//! Invariants
//! - An acknowledged write survives kill −9 and power loss ([`Durability::Fsync`]).
//! - A damaged block is [`Error::Corrupt`], never "not found".
//! - After a failed fsync the engine is poisoned: nothing is synced, written or read any more.
//! - The engine starts no thread, reads no clock, runs no timer, knows no async.
//!
//! Modules are listed in layer order: each uses only modules listed below itself.
//! Formats are drawn in `docs/formats-storage.md`.
//!
//! Source: O'Neil et al., "The Log-Structured Merge-Tree", 1996; LevelDB and RocksDB for words and file roles;
//! Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020, for the fail-stop rule.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;

mod inspect;

mod engine;

mod compaction;

mod levels;

mod version;

mod run;

mod manifest;

mod sstable;

mod cache;

mod memtable;

mod value_log;

mod wal;

mod fold;

mod batch;

mod entry;

mod dropped;

#[cfg(any(test, feature = "fuzzing"))]
mod harness;

mod options;

mod files;

mod codec;

mod checksum;

mod finding;

mod error;

mod merge;

mod disk;

pub use batch::Batch;
pub use cache::{CacheStatistics, CacheUsage};
pub use disk::{Disk, DiskFile, Lock, LockError, OpenHow, RealDisk, SyncError};
pub use engine::{
    Budget, DigestPage, Engine, LevelShape, Pending, Progress, Salvaged, ScanLimit, ScanPage,
    ScrubPosition, ScrubStep, Snapshot, Statistics, Status, Survey, Work,
};
pub use error::{Error, Limit};
pub use finding::{Damage, Field, Item, KeyRange, Note};
pub use inspect::{Checked, FileFormat, InspectError, StoreReport, dump_file, verify_store};
pub use merge::{MergeError, MergeOperator};
pub use options::{Compression, Durability, Options};
