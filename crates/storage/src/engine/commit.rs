//! The write path: what the leader of a group does.
//!
//! Entered through `Engine::write`; the queue decides who leads.
//!
//! 1. Take the log lock; refuse if closed, poisoned, or short of disk space.
//! 2. Make room: seal a full memtable, flush inline if too many are sealed, compact inline if level 0 is full.
//! 3. Gather the group; append it as one record; fsync (with `Durability::Fsync`).
//! 4. Insert it in the memtable; publish its sequence number: now it is visible.
//! 5. Hand leadership on and wake the group.
//!
//! Invariants
//! - Log before memtable: what a reader sees is in the log (and durable, with `Durability::Fsync`).
//! - An error before step 3 writes nothing. An error of the append or the fsync poisons the engine, except a full disk,
//!   which writes nothing either.
//! - Lock order: log, flushing, compacting, manifest, tree. No lock here is ever taken by a read but the last, briefly.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use atoll_seeded_bug::{Mutant, seeded_bug};

use crate::batch::{Batch, operations};
use crate::error::{Error, Limit};
use crate::files::{FileKind, temporary};
use crate::memtable::Memtable;
use crate::options::Durability;
use crate::wal::{Origin, Segment, Synced};

use super::queue::{Group, Ticket, Turn};
use super::view::Tree;
use super::{Budget, Engine};

impl Engine {
    pub(super) fn write_batch(&self, batch: Batch) -> Result<(), Error> {
        self.health.check_writable()?;
        self.check_sizes(&batch)?;
        if batch.is_empty() {
            return Ok(());
        }
        match self.queue.join(batch)? {
            Turn::Done(outcome) => outcome,
            Turn::Lead(mut group) => {
                let outcome = self.lead(&mut group);
                group.complete(outcome)
            }
        }
    }

    pub(super) fn sync_log(&self) -> Result<(), Error> {
        let mut log = self.log.lock();
        self.health.check_writable()?;
        self.sync_segment(&mut log)
    }

    /// Seals the active memtable, unless it is empty: syncs its segment and begins a new one.
    pub(super) fn seal(&self, log: &mut Segment) -> Result<(), Error> {
        let active = Arc::clone(&self.current_tree().active);
        if active.is_empty() {
            return Ok(());
        }
        assert!(active.segment_id() == log.file_id(), "one segment per memtable");
        self.sync_segment(log)?;
        let sequence = log.sequence_last();
        let file_id = self.file_ids.mint();
        let published = Segment::draft(&*self.disk, file_id, Origin::Fresh, sequence)
            .and_then(|draft| draft.publish(&*self.disk));
        if published.is_err() {
            // Best effort, so that a full disk does not collect drafts; the next open removes what stays.
            let _ = self.disk.remove(&temporary(&FileKind::Segment.name(file_id)));
        }
        *log = self.health.settle(published)?;
        self.wal_bytes.store(log.bytes(), Ordering::Relaxed);
        assert!(active.sequence_last() == sequence, "nothing is between log and memtable");
        let fresh = Arc::new(Memtable::new(log.file_id(), sequence));
        self.replace_tree(|tree| {
            let mut sealed = vec![active];
            sealed.extend_from_slice(&tree.sealed);
            Tree { active: fresh, sealed, version: Arc::clone(&tree.version) }
        });
        Ok(())
    }

    fn lead(&self, group: &mut Group<'_>) -> Result<(), Error> {
        let mut log = self.log.lock();
        self.health.check_writable()?;
        self.check_free_space()?;
        self.make_room(&mut log)?;
        self.commit(&mut log, group.gather())
    }

    fn commit(&self, log: &mut Segment, tickets: &[Arc<Ticket>]) -> Result<(), Error> {
        let count: u32 = tickets.iter().map(|ticket| ticket.operations).sum();
        let appended = log.append(tickets.iter().map(|ticket| &ticket.encoded), count);
        let sequence_first = self.health.settle(appended)?;
        assert!(sequence_first == self.sequence_visible.load(Ordering::Relaxed) + 1);
        if self.options.durability == Durability::Fsync && !seeded_bug(Mutant::AckBeforeFsync) {
            self.sync_segment(log)?;
        }
        let written = tickets.iter().flat_map(|ticket| operations(ticket.encoded.clone()));
        let written = written.map(|operation| operation.expect("a batch encodes what it decodes"));
        let tree = self.current_tree();
        assert!(tree.active.segment_id() == log.file_id(), "one memtable per segment");
        tree.active.insert(sequence_first, written, &*self.merge);
        assert!(tree.active.sequence_last() == log.sequence_last(), "log and memtable agree");
        self.wal_bytes.store(log.bytes(), Ordering::Relaxed);
        self.sequence_visible.store(log.sequence_last(), Ordering::Release);
        self.counters.groups.add(1);
        self.counters.entries.add(u64::from(count));
        Ok(())
    }

    fn make_room(&self, log: &mut Segment) -> Result<(), Error> {
        let active_bytes = self.current_tree().active.bytes();
        if active_bytes >= self.options.memtable_bytes_max
            || log.bytes() >= self.options.wal_segment_bytes_max
        {
            self.seal(log)?;
        }
        while self.current_tree().sealed.len() > self.options.memtables_sealed_max {
            let _flushing = self.flushing.lock();
            self.flush_oldest()?;
        }
        while self.current_tree().version.level(0).len() >= self.options.tables_l0_max {
            let _compacting = self.compacting.lock();
            self.compact_unit(Budget::default())?;
        }
        Ok(())
    }

    fn sync_segment(&self, log: &mut Segment) -> Result<(), Error> {
        self.health.check_readable()?; // a file whose fsync failed is never synced again
        let synced = log.sync();
        let synced =
            if synced.is_err() && seeded_bug(Mutant::FsyncRetried) { log.sync() } else { synced };
        if self.health.settle(synced)? == Synced::Now {
            self.counters.fsyncs.add(1);
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

    fn check_free_space(&self) -> Result<(), Error> {
        let limit = self.options.free_bytes_min;
        let free = self
            .disk
            .free_bytes()
            .map_err(|error| Error::disk("measure the space of", "/", error))?;
        if free < limit {
            return Err(Error::Overloaded { what: Limit::DiskFreeBytes, limit });
        }
        Ok(())
    }
}
