//! [`Engine`]: the facade of the storage crate.
//!
//! Opened once by the node, shared by all its threads; the only way in and out of the store.
//!
//! 1. Writes go through `commit.rs`: group commit, log, memtable.
//! 2. Reads (`read.rs`) go through `view.rs`: a view of one moment, without locks; `scan.rs` cuts pages, `snapshot.rs` keeps views.
//! 3. Background work goes through `maintain.rs`, one bounded unit per call: `flush.rs`, `compact.rs`; both install what
//!    they made through `install.rs`; `removal.rs` unlinks what is left over.
//! 4. `scrub.rs` finds damaged files, `salvage.rs` gets rid of them.
//! 5. `recovery.rs` opens, `health.rs` says whether the engine still serves.
//!
//! Invariants
//! - Lock order: `writing`, `inserting`, `spare`, `flushing`, `compacting`, `syncing`, `manifest`, `tree_change`, `removals`; a thread
//!   takes them only downwards.
//! - The current tree is replaced as a whole; whoever has taken it keeps a consistent one.
//! - No thread, clock or timer is used; every bound is in [`Options`].

mod recovery;

mod commit;

mod maintain;

mod drop;

mod flush;

mod compact;

mod install;

mod removal;

mod share;

mod warm;

mod reserve;

mod scrub;

mod salvage;

mod snapshot;

mod view;

mod read;

mod scan;

mod queue;

mod statistics;

mod progress;

mod health;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::batch::Batch;
use crate::cache::Cache;
use crate::compaction::FileIds;
use crate::disk::{Disk, Lock};
use crate::error::Error;
use crate::files::FileKind;
use crate::manifest::Manifest;
use crate::merge::MergeOperator;
use crate::options::Options;
use crate::value_log::ValueFiles;
use crate::version::LEVELS;
use crate::wal::{Durable, Segment};

pub use health::Status;
pub use progress::{Budget, Pending, Progress, Work};
pub(crate) use recovery::{live_segments, refuse_headless_store};
pub use salvage::{Salvaged, Survey};
pub use scan::{DigestPage, ScanLimit, ScanPage};
pub use scrub::{ScrubPosition, ScrubStep};
pub use snapshot::Snapshot;
pub use statistics::{LevelShape, Statistics};

use commit::Writing;
use compact::Compacting;
use health::Health;
use queue::CommitQueue;
use removal::Removal;
use reserve::Reserve;
use share::Shared;
use statistics::Counters;
use view::{Tree, View};

/// A key-value store in one directory.
pub struct Engine {
    disk: Arc<dyn Disk>,
    options: Options,
    merge: Arc<dyn MergeOperator>,
    health: Arc<Health>,
    queue: CommitQueue,
    /// The log; held by the leader of a group.
    writing: Mutex<Writing>,
    /// Whether a writer tries to get `writing` without sleeping; one at a time does.
    spinning: AtomicBool,
    /// Held while a group is inserted in the memtable; taken before the log is let go of.
    inserting: Mutex<()>,
    /// An empty segment for when the active one is full.
    spare: Mutex<Option<Segment>>,
    /// Held while a memtable is flushed.
    flushing: Mutex<()>,
    /// Held while a unit of compaction runs.
    compacting: Mutex<Compacting>,
    /// Pieces of a unit of compaction that others may take.
    offered: Mutex<Option<Arc<Shared>>>,
    /// Calls of maintenance that found a compaction running, since the last one began.
    helpers_seen: AtomicUsize,
    /// Held while segments of the log are synced.
    syncing: Mutex<()>,
    /// What of the log is durable.
    durable: Arc<Durable>,
    manifest: Mutex<Manifest>,
    /// Held while the tree is replaced.
    tree_change: Mutex<()>,
    tree: ArcSwap<Tree>,
    sequence_visible: AtomicU64,
    /// What was visible when maintenance was called last, and calls since something became visible.
    sequence_maintained: AtomicU64,
    calm_calls: AtomicU64,
    /// Bytes of the active log segment.
    wal_bytes: AtomicU64,
    file_ids: FileIds,
    value_files: ValueFiles,
    cache: Arc<Cache>,
    /// Tables that were read into the cache ahead of their use.
    warmed: Mutex<BTreeSet<u64>>,
    removals: Mutex<Vec<Removal>>,
    reserve: Reserve,
    counters: Counters,
    /// Released last.
    _lock: Box<dyn Lock>,
}

impl Engine {
    /// Opens the store at the root of `disk`, creating it if there is none.
    ///
    /// After a crash the log is replayed and logged again; every acknowledged write is there, and whatever else is
    /// there is a prefix of what was being written.
    ///
    /// Cost: reads the log, and filters and top index of every table; writes the log again. On a full disk the reserve is
    /// given up for that.
    ///
    /// # Errors
    /// [`Error::Locked`] if another engine has it open. [`Error::Corrupt`] if anything that was durable is damaged or
    /// missing: nothing is changed then. [`Error::InvalidOptions`]; [`Error::Disk`]; [`Error::Poisoned`] if a sync
    /// failed (open again, on a sound disk).
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        merge: Arc<dyn MergeOperator>,
    ) -> Result<Engine, Error> {
        let opened = recovery::open(Arc::clone(&disk), options.clone(), Arc::clone(&merge));
        let engine = match opened {
            Err(error) if Reserve::default().give_up(&*disk, &error) => {
                recovery::open(disk, options, merge)
            }
            opened => opened,
        }?;
        engine.reserve.ensure(&*engine.disk, &engine.options);
        Ok(engine)
    }

    /// Appends `batch` to the log and makes it visible to reads, as a whole.
    ///
    /// With [`Durability::Fsync`](crate::Durability::Fsync) it returns once the batch is durable: after the first fsync
    /// that starts after this call, shared with every batch that queued while the previous one ran; no delay is added.
    /// Blocks the calling thread. Concurrent writers are committed in the order in which they queued. With
    /// [`Durability::Periodic`](crate::Durability::Periodic) it returns after the append.
    ///
    /// Back-pressure: if more than `memtables_sealed_max` memtables wait for a flush, or level 0 has `tables_l0_max`
    /// tables, the writer flushes or compacts itself first. So nothing grows without bound, and nothing deadlocks, even
    /// if nobody calls [`maintain`](Engine::maintain).
    ///
    /// Cost: one log append of `batch.encoded_len()` bytes, no reads.
    ///
    /// # Errors
    /// Nothing was written: [`Error::Overloaded`] (retry later), [`Error::TooLarge`], [`Error::Closed`],
    /// [`Error::Disk`] and [`Error::Corrupt`] (from inline flush or compaction). [`Error::Poisoned`]: unknown, see
    /// [`Error::may_have_applied`].
    pub fn write(&self, batch: Batch) -> Result<(), Error> {
        self.write_batch(batch)
    }

    /// The same, if nothing has to be waited for; otherwise gives the batch back, of which nothing was written then.
    ///
    /// That is so with [`Durability::Periodic`](crate::Durability::Periodic) while nobody else writes and neither a flush nor a compaction is due: an
    /// append to a file then costs less than handing the batch to another thread.
    ///
    /// # Errors
    /// As [`write`](Engine::write).
    pub fn try_write(&self, batch: Batch) -> Result<Result<(), Batch>, Error> {
        self.try_write_batch(batch)
    }

    /// Drops everything that was written so far for keys in `start..end`: a partition that has moved away. Durable on
    /// return; snapshots taken before still see it; what is written later stays.
    ///
    /// Cost: one edit of the manifest, whatever the range holds, after running flushes and compactions have ended.
    /// Disk space of tables in the range is free at once, the rest when maintenance has rewritten what holds a part of it.
    ///
    /// # Errors
    /// Nothing is dropped: [`Error::Closed`], [`Error::Overloaded`], [`Error::Disk`]. Unknown: [`Error::Poisoned`].
    pub fn drop_range(&self, range: Range<&[u8]>) -> Result<(), Error> {
        self.drop_keys(range)
    }

    /// Does one bounded unit of flush, compaction or relocation; the caller repeats it from a thread while there is work.
    ///
    /// A flush writes one memtable, whatever the budget; a compaction takes about `budget` bytes from its inputs, and
    /// at least one output table's worth; a relocation counts the values that it copies, too. Several threads may call it: one flushes while another compacts, and
    /// [`Progress::Idle`] also means that others are already at it.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::Overloaded`] and [`Error::Corrupt`]: nothing changed, try again later.
    /// [`Error::Closed`], [`Error::Poisoned`]: stop.
    pub fn maintain(&self, budget: Budget) -> Result<Progress, Error> {
        match self.maintain_once(budget) {
            Err(error) if self.reserve.give_up(&*self.disk, &error) => self.maintain_once(budget),
            Ok(Progress::Idle) => {
                self.reserve.ensure(&*self.disk, &self.options);
                Ok(Progress::Idle)
            }
            progress => progress,
        }
    }

    /// Makes every write that has returned durable; for [`Durability::Periodic`](crate::Durability::Periodic), called
    /// on the interval. Writers go on meanwhile.
    ///
    /// # Errors
    /// [`Error::Poisoned`] if the sync fails, now or ever before; [`Error::Closed`].
    pub fn sync(&self) -> Result<(), Error> {
        self.sync_log()
    }

    /// Reads one live table or value file again, from the disk and not from the cache, and checks all of it.
    ///
    /// A cycle begins at [`ScrubPosition::default`] and ends when a step has no `next`; files that come and go meanwhile are
    /// checked in this cycle or the next. `on_read` is called with the bytes of every block and record after it was read;
    /// it may block, to keep the scrub below a rate.
    ///
    /// Cost: one file, of a table at most about `table_bytes`, of a value file about `wal_segment_bytes_max`; memory for one
    /// block or record. Holds no lock; the file stays as long as it is read.
    ///
    /// # Errors
    /// [`Error::Poisoned`]. Damage, and a file that cannot be read, are no errors but in the step.
    pub fn scrub(
        &self,
        from: ScrubPosition,
        on_read: &mut dyn FnMut(u64),
    ) -> Result<ScrubStep, Error> {
        self.scrub_file(from, on_read)
    }

    /// Counters and sizes, each of its own moment. Waits for nobody's I/O, except a running removal of files and the
    /// making of a log segment ahead of its use.
    pub fn statistics(&self) -> Statistics {
        let tree = self.current_tree();
        let memtables = std::iter::once(&tree.active).chain(&tree.sealed);
        let shape = |level| {
            let tables = tree.version.level(level);
            let bytes = tables.iter().map(|live| live.table.meta().bytes).sum();
            LevelShape { tables: tables.len() as u64, bytes }
        };
        let levels: Vec<LevelShape> = (0..LEVELS).map(shape).collect();
        let values = tree.version.values();
        Statistics {
            status: self.health.status(),
            sequence_visible: self.sequence_visible.load(Ordering::Acquire),
            tables: levels.iter().map(|level| level.tables).sum(),
            tables_l0: tree.version.level(0).len() as u64,
            table_bytes: levels.iter().map(|level| level.bytes).sum(),
            levels,
            dropped_ranges: tree.version.dropped().len() as u64,
            value_files: values.len() as u64,
            value_file_bytes: values.values().map(|live| live.file.bytes()).sum(),
            value_live_bytes: values.values().map(|live| live.live_bytes).sum(),
            memtable_bytes: memtables.map(|memtable| memtable.bytes()).sum(),
            memtables_sealed: tree.sealed.len() as u64,
            wal_bytes: self.wal_bytes.load(Ordering::Relaxed),
            spare_segments: u8::from(self.spare.lock().is_some()),
            removals_pending: self.removals.lock().len() as u64,
            cache: self.cache.statistics(),
            ..self.counters.collect()
        }
    }

    /// Refuses further writes, flushes every memtable and leaves everything durable. Reads go on working; the
    /// directory stays locked until the engine is dropped. Closing twice is no error.
    ///
    /// # Errors
    /// As a flush; the engine is closed all the same, and what was not flushed is still in the log.
    pub fn close(&self) -> Result<(), Error> {
        let mut writing = self.writing.lock();
        self.health.check_readable()?;
        self.health.close();
        self.seal(&mut writing.log)?;
        let _flushing = self.flushing.lock();
        while self.flush_oldest()?.is_some() {}
        assert!(self.current_tree().sealed.is_empty());
        assert!(self.current_tree().active.is_empty());
        if let Some(spare) = self.spare.lock().take() {
            self.removals.lock().push(Removal::unread(FileKind::Segment.name(spare.file_id())));
        }
        self.sweep();
        Ok(())
    }

    /// The view of this moment; `tree` was taken just now.
    fn view<'a>(&'a self, tree: &'a Tree) -> View<'a> {
        // The tree came first: everything below its active memtable is then covered by the sequence number.
        let sequence = self.sequence_visible.load(Ordering::Acquire);
        debug_assert!(tree.sealed.iter().all(|memtable| memtable.sequence_last() <= sequence));
        View { tree, sequence, cache: &self.cache, merge: &*self.merge }
    }

    fn current_tree(&self) -> Arc<Tree> {
        self.tree.load_full()
    }

    fn replace_tree(&self, change: impl FnOnce(&Tree) -> Tree) {
        let _changing = self.tree_change.lock();
        let next = change(&self.tree.load());
        self.tree.store(Arc::new(next));
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("status", &self.health.status()).finish_non_exhaustive()
    }
}
