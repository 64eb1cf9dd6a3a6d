//! The queue of writers behind group commit: one leads, the others wait.
//!
//! Used by `commit.rs`; knows nothing of logs.
//!
//! 1. A writer queues its batch. If nobody leads, it leads; otherwise it sleeps on its own ticket.
//! 2. The leader takes the front of the queue as its group, as late as possible: what queued during the previous
//!    fsync is there by itself, without a timer.
//! 3. When the group is decided, the next writer in the queue is made leader, then the followers are woken, each on its
//!    own ticket (no thundering herd).
//!
//! Invariants
//! - At most one leader; its own ticket is at the front of the queue until it takes its group.
//! - Every ticket gets exactly one outcome, also if the leader panics (the engine is then poisoned).
//! - The queue holds at most `waiting_max` writers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use crate::batch::Batch;
use crate::error::{Error, Limit};

use super::commit::Part;
use super::health::Health;

/// Bytes after which a group takes no more followers: a write this long costs more than its fsync (about 0.6 ms
/// against 0.4 ms), so that waiting for the next group is no loss.
const GROUP_BYTES_MAX: usize = 1_024 * 1_024;

pub(super) struct CommitQueue {
    state: Mutex<State>,
    waiting_max: usize,
    /// Writers that wait for the log without a ticket.
    entered: AtomicUsize,
    health: Arc<Health>,
}

struct State {
    waiting: VecDeque<Arc<Ticket>>,
    leadership: Leadership,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Leadership {
    Vacant,
    Taken,
}

/// A queued batch.
struct Ticket {
    operations: u32,
    encoded: Bytes,
    slot: Mutex<Slot>,
    wake: Condvar,
}

enum Slot {
    Waiting,
    Lead,
    Done(Result<(), Error>),
}

/// What became of a writer that queued.
pub(super) enum Turn<'a> {
    /// It leads this group.
    Lead(Group<'a>),
    /// Another writer led.
    Done(Result<(), Error>),
}

impl CommitQueue {
    pub(super) fn new(waiting_max: usize, health: Arc<Health>) -> CommitQueue {
        let state = State { waiting: VecDeque::new(), leadership: Leadership::Vacant };
        CommitQueue { state: Mutex::new(state), waiting_max, entered: AtomicUsize::new(0), health }
    }

    /// Counts a writer that commits alone, as long as it holds what it is given.
    pub(super) fn enter(&self) -> Result<Entered<'_>, Error> {
        let entered = Entered { queue: self };
        if self.entered.fetch_add(1, Ordering::Relaxed) >= self.waiting_max {
            let limit = self.waiting_max as u64;
            return Err(Error::Overloaded { what: Limit::WritersQueued, limit });
        }
        Ok(entered)
    }

    /// Queues `batch` and waits until it is this writer's turn, or its batch was committed by another.
    pub(super) fn join(&self, batch: Batch) -> Result<Turn<'_>, Error> {
        let ticket = Arc::new(Ticket {
            operations: u32::try_from(batch.len()).expect("a batch counts in 32 bits"),
            encoded: batch.into_encoded(),
            slot: Mutex::new(Slot::Waiting),
            wake: Condvar::new(),
        });
        {
            let mut state = self.state.lock();
            if state.waiting.len() >= self.waiting_max {
                let limit = self.waiting_max as u64;
                return Err(Error::Overloaded { what: Limit::WritersQueued, limit });
            }
            state.waiting.push_back(Arc::clone(&ticket));
            if state.leadership == Leadership::Vacant {
                assert!(state.waiting.len() == 1, "nobody waits without a leader");
                state.leadership = Leadership::Taken;
                return Ok(Turn::Lead(Group { queue: self, tickets: Vec::new(), outcome: None }));
            }
        }
        Ok(match ticket.wait() {
            Some(outcome) => Turn::Done(outcome),
            None => Turn::Lead(Group { queue: self, tickets: Vec::new(), outcome: None }),
        })
    }
}

impl Ticket {
    /// Sleeps until there is an outcome, or (`None`) until this writer is to lead.
    fn wait(&self) -> Option<Result<(), Error>> {
        let mut slot = self.slot.lock();
        loop {
            match &*slot {
                Slot::Waiting => self.wake.wait(&mut slot),
                Slot::Lead => return None,
                Slot::Done(outcome) => return Some(outcome.clone()),
            }
        }
    }

    fn tell(&self, news: Slot) {
        *self.slot.lock() = news;
        self.wake.notify_one();
    }
}

/// The place of a writer that commits alone.
pub(super) struct Entered<'a> {
    queue: &'a CommitQueue,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.queue.entered.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The batches that are committed together, held by their leader.
pub(super) struct Group<'a> {
    queue: &'a CommitQueue,
    /// The leader's own first; empty until gathered.
    tickets: Vec<Arc<Ticket>>,
    outcome: Option<Result<(), Error>>,
}

impl Group<'_> {
    /// Takes the front of the queue: the leader's batch, and followers while they fit.
    pub(super) fn gather(&mut self) -> Vec<Part> {
        assert!(self.tickets.is_empty(), "a group is gathered once");
        let mut state = self.queue.state.lock();
        let mut bytes = 0usize;
        while let Some(ticket) = state.waiting.front() {
            bytes = bytes.saturating_add(ticket.encoded.len());
            if !self.tickets.is_empty() && bytes > GROUP_BYTES_MAX {
                break;
            }
            self.tickets.extend(state.waiting.pop_front());
        }
        drop(state);
        assert!(!self.tickets.is_empty(), "the leader's own ticket is at the front");
        self.tickets.iter().map(|ticket| (ticket.encoded.clone(), ticket.operations)).collect()
    }

    /// Hands leadership on, wakes the followers, and returns the outcome for the leader itself.
    pub(super) fn complete(mut self, outcome: Result<(), Error>) -> Result<(), Error> {
        self.outcome = Some(outcome.clone());
        outcome
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| {
            let cause = "a writer panicked while it led a group";
            self.queue.health.poison(cause);
            Err(Error::Poisoned { cause: cause.to_owned() })
        });
        let mut state = self.queue.state.lock();
        if self.tickets.is_empty() {
            // Failed before gathering: the outcome is the leader's alone.
            state.waiting.pop_front();
        }
        match state.waiting.front() {
            Some(next) => next.tell(Slot::Lead),
            None => state.leadership = Leadership::Vacant,
        }
        drop(state);
        for follower in self.tickets.iter().skip(1) {
            follower.tell(Slot::Done(outcome.clone()));
        }
    }
}
