//! Subcompactions: one unit of compaction shared by the threads that are in `maintain`.
//!
//! Used by `compact.rs` for merges. The engine has no threads: those that call `maintain` while a unit runs take pieces.
//!
//! 1. Calls that found the compacting lock taken are counted; the next unit is cut into so many pieces more, at partition
//!    boundaries (`split`).
//! 2. The unit's owner offers the pieces; it and whoever else calls `maintain` take them one by one.
//! 3. The owner waits for the last piece, and commits all of them as one edit.
//!
//! Invariants
//! - A unit with one maintaining thread has one piece, and does what it would do without this module.
//! - Every piece has exactly one result, also if who took it panics (the engine is then poisoned).
//! - Nothing of a unit with a failed piece is committed; its files are removed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{Condvar, Mutex};

use crate::compaction::pick::Inputs;
use crate::compaction::{Outcome, Part, Piece, combine, merge_piece, split};
use crate::error::Error;
use crate::sstable::Table;
use crate::version::Version;

use super::compact::Compacting;
use super::{Budget, Engine};

/// A unit that is offered to others.
pub(super) struct Shared {
    version: Arc<Version>,
    inputs: Inputs,
    leaving: BTreeSet<u64>,
    budget: Budget,
    pieces: Vec<Piece>,
    progress: Mutex<Vec<Stage>>,
    /// Rings when a piece is done.
    done: Condvar,
}

/// How far a piece is.
enum Stage {
    Waiting,
    Taken,
    Done(Result<Part, Error>),
}

impl Engine {
    /// Merges `inputs`, with the help of others if there are any.
    pub(super) fn merge_shared(
        &self,
        compacting: &Compacting,
        version: &Arc<Version>,
        inputs: &Inputs,
        budget: Budget,
    ) -> Result<Outcome, Error> {
        let helpers = self.helpers_seen.swap(0, Ordering::Relaxed);
        let pieces_max = (1 + helpers).min(self.options.subcompactions_max);
        let pieces = split(version, inputs, pieces_max, self.unit_bytes(budget));
        assert!(!pieces.is_empty());
        let progress = Mutex::new(pieces.iter().map(|_| Stage::Waiting).collect());
        let shared = Arc::new(Shared {
            version: Arc::clone(version),
            inputs: inputs.clone(),
            leaving: compacting.leaving.clone(),
            budget,
            pieces,
            progress,
            done: Condvar::new(),
        });
        if shared.pieces.len() > 1 {
            *self.offered.lock() = Some(Arc::clone(&shared));
        }
        while self.take_piece(&shared) {}
        *self.offered.lock() = None;
        let parts = self.collect(&shared)?;
        Ok(combine(version, inputs, parts))
    }

    /// Takes a piece of a unit that somebody else owns, if there is one.
    pub(super) fn help(&self) -> bool {
        self.helpers_seen.fetch_add(1, Ordering::Relaxed);
        let offered = self.offered.lock().clone();
        let helped = offered.is_some_and(|shared| self.take_piece(&shared));
        self.counters.subcompactions.add(u64::from(helped));
        helped
    }

    /// Whether there was a piece to take.
    fn take_piece(&self, shared: &Shared) -> bool {
        let mut progress = shared.progress.lock();
        let Some(number) = progress.iter().position(|stage| matches!(stage, Stage::Waiting)) else {
            return false;
        };
        if let Some(stage) = progress.get_mut(number) {
            *stage = Stage::Taken;
        }
        drop(progress);
        let mut taken = Taken { engine: self, shared, number, result: None };
        taken.result = Some(self.run_piece(shared, number));
        true
    }

    fn run_piece(&self, shared: &Shared, number: usize) -> Result<Part, Error> {
        let reading = self.reading(&shared.version);
        let job = self.job(&reading, &shared.leaving, shared.budget);
        let piece = shared.pieces.get(number).expect("pieces and stages are as many");
        merge_piece(&job, &shared.version, &shared.inputs, piece)
    }

    /// Waits for all pieces; if one failed, removes what the others made.
    fn collect(&self, shared: &Shared) -> Result<Vec<Part>, Error> {
        let mut progress = shared.progress.lock();
        while progress.iter().any(|stage| matches!(stage, Stage::Taken)) {
            shared.done.wait(&mut progress);
        }
        let (mut parts, mut failed) = (Vec::new(), None);
        for stage in progress.drain(..) {
            match stage {
                Stage::Done(Ok(part)) => parts.push(part),
                Stage::Done(Err(error)) => failed = failed.or(Some(error)),
                Stage::Waiting | Stage::Taken => unreachable!("every piece was waited for"),
            }
        }
        let Some(error) = failed else {
            return Ok(parts);
        };
        let tables = parts.into_iter().flat_map(|part| part.finished.tables);
        let tables: Vec<Arc<Table>> = tables.collect();
        self.remove_unused(&tables);
        Err(error)
    }
}

/// A piece in somebody's hands.
struct Taken<'a> {
    engine: &'a Engine,
    shared: &'a Shared,
    number: usize,
    result: Option<Result<Part, Error>>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let result = self.result.take().unwrap_or_else(|| {
            let cause = "a thread panicked during a compaction";
            self.engine.health.poison(cause);
            Err(Error::Poisoned { cause: cause.to_owned() })
        });
        if let Some(stage) = self.shared.progress.lock().get_mut(self.number) {
            *stage = Stage::Done(result);
        }
        self.shared.done.notify_all();
    }
}
