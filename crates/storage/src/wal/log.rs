//! [`Log`]: the segment that takes writes, and [`Durable`]: what of the log an fsync has confirmed.
//!
//! The log is behind the lock of writers; what is durable has a lock of its own, so that a sync outside of the writers'
//! lock can be noted, and a flush can ask for the syncs that it needs.
//!
//! 1. [`Log::append`] adds a record to the active segment; the record says what was durable then.
//! 2. [`Log::roll`] makes a segment that was prepared ahead the active one; nothing is written or synced.
//! 3. [`Log::plan_sync`] and [`Durable::plan_sealed`] name the files to sync, oldest first; [`Durable::confirm`] takes
//!    note of each that was.
//!
//! Invariants
//! - A record vouches for earlier segments only once all of them are durable.
//! - Plans are carried out one at a time (the engine's syncing lock), and a file whose sync failed is never synced again.

use std::sync::Arc;

use atoll_seeded_bug::{Mutant, seeded_bug};
use parking_lot::Mutex;

use crate::batch::Part;
use crate::disk::SyncError;
use crate::error::Error;
use crate::files::StoreFile;

use super::segment::{Appended, Segment};

/// The log of a running engine.
pub(crate) struct Log {
    active: Segment,
    durable: Arc<Durable>,
}

/// What an fsync has confirmed.
pub(crate) struct Durable {
    marks: Mutex<Marks>,
}

struct Marks {
    /// Segments before the active one that are not durable, oldest first.
    sealed: Vec<SyncStep>,
    active_id: u64,
    active_bytes: u64,
}

/// A file to sync.
#[derive(Clone)]
pub(crate) struct SyncStep {
    file_id: u64,
    file: StoreFile,
    /// What was written when the sync was planned.
    bytes: u64,
}

impl SyncStep {
    /// Syncs the file.
    pub(crate) fn run(&self) -> Result<(), SyncError> {
        self.file.sync()
    }
}

impl Log {
    /// The log whose only segment, durable so far, is `active`.
    pub(crate) fn new(active: Segment) -> Log {
        let (active_id, active_bytes) = (active.file_id(), active.bytes());
        let marks = Marks { sealed: Vec::new(), active_id, active_bytes };
        Log { active, durable: Arc::new(Durable { marks: Mutex::new(marks) }) }
    }

    /// Appends one record of the operations of all `parts`; a long one that is alone is taken, not copied. See
    /// [`Segment::append`].
    pub(crate) fn append(
        &mut self,
        parts: &mut [Part],
        operations: u32,
    ) -> Result<Appended, Error> {
        let vouched = self.durable.vouched_bytes(self.active.file_id());
        let whole = match parts {
            [only] => only.take_long_record(),
            _ => None,
        };
        match whole {
            Some(record) => self.active.append_record(record, operations, vouched),
            None => self.active.append(parts.iter().map(Part::operations), operations, vouched),
        }
    }

    /// Goes on in `next`, which is empty and has its name.
    pub(crate) fn roll(&mut self, mut next: Segment) {
        assert!(next.file_id() > self.active.file_id(), "segments are in order of their ids");
        next.begin_after(self.active.sequence_last());
        let last = std::mem::replace(&mut self.active, next);
        let mut marks = self.durable.marks.lock();
        assert!(marks.active_id == last.file_id());
        if marks.active_bytes < last.bytes() && !seeded_bug(Mutant::SealedSegmentForgotten) {
            marks.sealed.push(step(&last));
        }
        marks.active_id = self.active.file_id();
        marks.active_bytes = self.active.bytes();
    }

    /// What has to be synced, in this order, so that everything appended so far is durable.
    pub(crate) fn plan_sync(&self) -> Vec<SyncStep> {
        let marks = self.durable.marks.lock();
        let mut steps = marks.sealed.clone();
        if marks.active_bytes < self.active.bytes() {
            steps.push(step(&self.active));
        }
        steps
    }

    /// The segment that takes writes.
    pub(crate) fn active(&self) -> &Segment {
        &self.active
    }

    /// What is durable.
    pub(crate) fn durable(&self) -> &Arc<Durable> {
        &self.durable
    }
}

impl Durable {
    /// What has to be synced so that sealed segment `file_id` and those before it are durable.
    pub(crate) fn plan_sealed(&self, file_id: u64) -> Vec<SyncStep> {
        let marks = self.marks.lock();
        assert!(file_id < marks.active_id, "the segment is sealed");
        marks.sealed.iter().filter(|step| step.file_id <= file_id).cloned().collect()
    }

    /// Bytes of the active segment, which is `bytes` long, that are not durable.
    pub(crate) fn unsynced_bytes(&self, bytes: u64) -> u64 {
        bytes.saturating_sub(self.marks.lock().active_bytes)
    }

    /// Whether `step` was confirmed by somebody since it was planned.
    pub(crate) fn covers(&self, step: &SyncStep) -> bool {
        let marks = self.marks.lock();
        if marks.active_id == step.file_id {
            return marks.active_bytes >= step.bytes;
        }
        marks.sealed.iter().all(|unsynced| unsynced.file_id != step.file_id)
    }

    /// `step` was synced.
    pub(crate) fn confirm(&self, step: &SyncStep) {
        let mut marks = self.marks.lock();
        if marks.active_id == step.file_id {
            marks.active_bytes = marks.active_bytes.max(step.bytes);
        }
        marks
            .sealed
            .retain(|unsynced| unsynced.file_id != step.file_id || unsynced.bytes > step.bytes);
    }

    /// Bytes of active segment `file_id` that a record may vouch for; 0 if an earlier segment is not durable.
    fn vouched_bytes(&self, file_id: u64) -> u64 {
        let marks = self.marks.lock();
        debug_assert!(marks.active_id == file_id);
        if seeded_bug(Mutant::RecordsVouchForNothing) {
            return 0;
        }
        let all_durable = marks.sealed.is_empty() || seeded_bug(Mutant::UnsyncedVouchedFor);
        if all_durable { marks.active_bytes } else { 0 }
    }
}

fn step(segment: &Segment) -> SyncStep {
    SyncStep { file_id: segment.file_id(), file: segment.file().clone(), bytes: segment.bytes() }
}
