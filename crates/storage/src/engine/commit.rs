//! The write path: from a batch to the log and the memtable.
//!
//! Entered through `Engine::write`. With `Durability::Fsync` the queue decides who leads a group. With
//! `Durability::Periodic` a writer that finds the log lock free, or is the only one to wait for it and gets it soon, commits
//! its own batch: handing a batch to another thread and waiting to be woken costs more than appending it. All others
//! queue: threads that fight for the lock cost more than both.
//!
//! 1. Take the log lock; refuse if closed, poisoned, or short of disk space.
//! 2. Make room: seal a full memtable; if too many are sealed or level 0 is full, flush or compact first.
//! 3. Append the group as one record; fsync (with `Durability::Fsync`).
//! 4. Let others append; insert it in the memtable; publish its sequence number: now it is visible.
//! 5. Hand leadership on and wake the group.
//!
//! Invariants
//! - Log before memtable: what a reader sees is in the log (and durable, with `Durability::Fsync`).
//! - An error before step 3 writes nothing. An error of the append or the fsync poisons the engine, except a full disk,
//!   which writes nothing either.
//! - A panic between append and insert poisons the engine: log and memtable would disagree.
//! - Lock order: see `engine/mod.rs`. No lock here is ever taken by a read, but a memtable's shard, briefly.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use atoll_seeded_bug::{Mutant, seeded_bug};
use parking_lot::MutexGuard;

use crate::batch::{Batch, Part, operations};
use crate::codec::length_u32;
use crate::compaction::Demand;
use crate::error::{Error, Limit};
use crate::files::{FileKind, temporary};
use crate::memtable::Memtable;
use crate::options::Durability;
use crate::wal::{Log, Origin, Segment, SyncStep};

use super::health::Health;
use super::queue::{Group, Turn};
use super::view::Tree;
use super::{Budget, Engine};

/// Bytes of log between two looks at the free space of the disk: a look costs about as much as an append.
const FREE_SPACE_EVERY_BYTES: u64 = 1_024 * 1_024;

/// Times that a writer tries to get the log lock before it queues: with the pauses below about 40 µs, a few appends of
/// 10 KiB.
const LOCK_TRIES: u32 = 256;

/// Pauses of the processor between two tries, about 20 ns each.
const PAUSES_PER_TRY: u32 = 8;

/// What the log lock guards.
pub(super) struct Writing {
    pub(super) log: Log,
    /// Bytes that may be appended before the free space is looked at again.
    unchecked_bytes_left: u64,
}

impl Writing {
    pub(super) fn new(log: Log) -> Writing {
        Writing { log, unchecked_bytes_left: 0 }
    }
}

impl Engine {
    pub(super) fn write_batch(&self, batch: Batch) -> Result<(), Error> {
        self.health.check_writable()?;
        self.check_sizes(&batch)?;
        if batch.is_empty() {
            return Ok(());
        }
        let _place = self.queue.enter()?;
        if self.options.durability == Durability::Periodic
            && let Some(writing) = self.try_writing()
        {
            return self.commit_alone(writing, batch);
        }
        match self.queue.join(batch) {
            Turn::Done(outcome) => outcome,
            Turn::Lead(mut group) => {
                let outcome = self.lead(&mut group);
                group.complete(outcome)
            }
        }
    }

    /// Commits `batch` if nothing has to be waited for; gives it back otherwise.
    pub(super) fn try_write_batch(&self, batch: Batch) -> Result<Result<(), Batch>, Error> {
        self.health.check_writable()?;
        self.check_sizes(&batch)?;
        if batch.is_empty() {
            return Ok(Ok(()));
        }
        if self.options.durability != Durability::Periodic {
            return Ok(Err(batch));
        }
        let Some(writing) = self.writing.try_lock().filter(|writing| self.has_room(&writing.log))
        else {
            return Ok(Err(batch));
        };
        let _place = self.queue.enter()?;
        self.commit_alone(writing, batch).map(Ok)
    }

    /// Whether a write needs no flush, no compaction and no new segment first.
    fn has_room(&self, log: &Log) -> bool {
        let tree = self.tree.load();
        tree.active.bytes() < self.options.memtable_bytes_max
            && log.active().bytes() < self.options.wal_segment_bytes_max
            && tree.sealed.len() <= self.options.memtables_sealed_max
            && tree.version.level(0).len() < self.options.tables_l0_max
    }

    /// Makes every write that has returned durable. Writers go on meanwhile.
    pub(super) fn sync_log(&self) -> Result<(), Error> {
        self.health.check_writable()?;
        let plan = self.writing.lock().log.plan_sync();
        self.run_syncs(&plan)
    }

    /// Carries out a plan of the log, oldest first; one plan at a time.
    pub(super) fn run_syncs(&self, plan: &[SyncStep]) -> Result<(), Error> {
        let _syncing = self.syncing.lock();
        for step in plan {
            self.health.check_readable()?; // a file whose fsync failed is never synced again
            if self.durable.covers(step) {
                continue;
            }
            let mut synced = step.run();
            if synced.is_err() && seeded_bug(Mutant::FsyncRetried) {
                synced = step.run();
            }
            self.health.settle(synced.map_err(Error::from))?;
            self.durable.confirm(step);
            self.counters.fsyncs.add(1);
        }
        Ok(())
    }

    /// Seals the active memtable, unless it is empty, and begins a new one in a new segment.
    pub(super) fn seal(&self, log: &mut Log) -> Result<(), Error> {
        // What was appended is inserted first; nothing is appended meanwhile.
        drop(self.inserting.lock());
        self.health.check_readable()?;
        let active = Arc::clone(&self.current_tree().active);
        if active.is_empty() {
            return Ok(());
        }
        assert!(active.segment_id() == log.active().file_id(), "one segment per memtable");
        // Held until there is one: maintenance must not prepare another with a smaller id meanwhile.
        let mut spare = self.spare.lock();
        let next = match spare.take() {
            Some(next) => next,
            None => self.prepare_segment()?,
        };
        drop(spare);
        log.roll(next);
        let sequence = log.active().sequence_last();
        self.wal_bytes.store(log.active().bytes(), Ordering::Relaxed);
        assert!(active.sequence_last() == sequence, "nothing is between log and memtable");
        let fresh = Arc::new(Memtable::new(log.active().file_id(), sequence));
        self.replace_tree(|tree| {
            let mut sealed = vec![active];
            sealed.extend_from_slice(&tree.sealed);
            Tree { active: fresh, sealed, version: Arc::clone(&tree.version) }
        });
        Ok(())
    }

    /// An empty segment with its name.
    pub(super) fn prepare_segment(&self) -> Result<Segment, Error> {
        let file_id = self.file_ids.mint();
        let published = Segment::draft(&*self.disk, file_id, Origin::Fresh, 0)
            .and_then(|draft| draft.publish(&*self.disk));
        if published.is_err() {
            // Best effort, so that a full disk does not collect drafts; the next open removes what stays.
            let _ = self.disk.remove(&temporary(&FileKind::Segment.name(file_id)));
        }
        self.health.settle(published)
    }

    fn lead(&self, group: &mut Group<'_>) -> Result<(), Error> {
        let mut writing = self.writing.lock();
        self.prepare_commit(&mut writing)?;
        self.commit(writing, &mut group.close())
    }

    fn commit_alone(
        &self,
        mut writing: MutexGuard<'_, Writing>,
        batch: Batch,
    ) -> Result<(), Error> {
        self.prepare_commit(&mut writing)?;
        self.commit(writing, &mut [batch.into_part()])
    }

    /// The log lock, if it is free, or within microseconds and nobody else waits for that: sooner than a thread that
    /// sleeps would be woken.
    fn try_writing(&self) -> Option<MutexGuard<'_, Writing>> {
        if let Some(writing) = self.writing.try_lock() {
            return Some(writing);
        }
        if self.spinning.swap(true, Ordering::Relaxed) {
            return None;
        }
        let writing = (0..LOCK_TRIES).find_map(|_| {
            (0..PAUSES_PER_TRY).for_each(|_| std::hint::spin_loop());
            self.writing.try_lock()
        });
        self.spinning.store(false, Ordering::Relaxed);
        writing
    }

    fn prepare_commit(&self, writing: &mut Writing) -> Result<(), Error> {
        self.health.check_writable()?;
        self.check_free_space(writing)?;
        self.make_room(&mut writing.log)
    }

    /// Appends and inserts; others may append while this inserts.
    fn commit(
        &self,
        mut writing: MutexGuard<'_, Writing>,
        parts: &mut [Part],
    ) -> Result<(), Error> {
        let log = &mut writing.log;
        let count = length_u32(parts.iter().map(|part| part.digests.len()).sum());
        let appended = log.append(parts, count);
        let appended = self.health.settle(appended)?;
        if self.options.durability == Durability::Fsync && !seeded_bug(Mutant::AckBeforeFsync) {
            self.run_syncs(&log.plan_sync())?;
        }
        let bytes = appended.operations.len() as u64;
        self.wal_bytes.store(log.active().bytes(), Ordering::Relaxed);
        let tree = self.tree.load();
        assert!(tree.active.segment_id() == log.active().file_id(), "one memtable per segment");
        writing.unchecked_bytes_left = writing.unchecked_bytes_left.saturating_sub(bytes);
        // Taken before the log is let go of: inserts are in the order of appends.
        let _inserting = self.inserting.lock();
        drop(writing);
        let guard = PoisonOnPanic { health: Some(&self.health) };
        assert!(appended.sequence_first == self.sequence_visible.load(Ordering::Relaxed) + 1);
        let digests = parts.iter().flat_map(|part| part.digests.iter().copied());
        let written = operations(appended.operations).zip(digests).map(|(operation, digest)| {
            let operation = operation.expect("a batch encodes what it decodes");
            operation.into_logged(appended.begin, digest)
        });
        tree.active.insert(appended.sequence_first, written, &*self.merge);
        let sequence_last = appended.sequence_first + u64::from(count) - 1;
        assert!(tree.active.sequence_last() == sequence_last, "log and memtable agree");
        self.sequence_visible.store(sequence_last, Ordering::Release);
        guard.disarm();
        self.counters.groups.add(1);
        self.counters.entries.add(u64::from(count));
        self.counters.written_bytes.add(bytes);
        Ok(())
    }

    fn make_room(&self, log: &mut Log) -> Result<(), Error> {
        let tree = self.tree.load();
        if tree.active.bytes() >= self.options.memtable_bytes_max
            || log.active().bytes() >= self.options.wal_segment_bytes_max
        {
            drop(tree);
            self.seal(log)?;
        }
        while self.tree.load().sealed.len() > self.options.memtables_sealed_max {
            self.counters.stalls.add(1);
            let _flushing = self.flushing.lock();
            self.flush_oldest()?;
        }
        while self.tree.load().version.level(0).len() >= self.options.tables_l0_max {
            self.counters.stalls.add(1);
            let mut compacting = self.compacting.lock();
            self.compact_unit(&mut compacting, Budget::default(), Demand::Busy)?;
        }
        Ok(())
    }

    fn check_sizes(&self, batch: &Batch) -> Result<(), Error> {
        let sizes = [
            (Limit::KeyBytes, batch.key_bytes_longest(), self.options.key_bytes_max),
            (Limit::ValueBytes, batch.value_bytes_longest(), self.options.value_bytes_max),
            (Limit::BatchBytes, batch.encoded_len(), self.options.batch_bytes_max),
        ];
        match sizes.into_iter().find(|(_, got, limit)| got > limit) {
            Some((what, got, limit)) => {
                Err(Error::TooLarge { what, limit: limit as u64, got: got as u64 })
            }
            None => Ok(()),
        }
    }

    fn check_free_space(&self, writing: &mut Writing) -> Result<(), Error> {
        if writing.unchecked_bytes_left > 0 {
            return Ok(());
        }
        let limit = self.options.free_bytes_min;
        let free = self
            .disk
            .free_bytes()
            .map_err(|error| Error::disk("measure the space of", "/", error))?;
        if free < limit {
            return Err(Error::Overloaded { what: Limit::DiskFreeBytes, limit });
        }
        writing.unchecked_bytes_left = FREE_SPACE_EVERY_BYTES;
        Ok(())
    }
}

/// Poisons the engine unless it is disarmed: a writer panicked.
struct PoisonOnPanic<'a> {
    health: Option<&'a Health>,
}

impl PoisonOnPanic<'_> {
    fn disarm(mut self) {
        self.health = None;
    }
}

impl Drop for PoisonOnPanic<'_> {
    fn drop(&mut self) {
        if let Some(health) = self.health {
            health.poison("a writer panicked while it wrote");
        }
    }
}
