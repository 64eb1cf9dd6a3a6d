//! The queue of writers behind group commit: one leads, the others wait.
//!
//! Used by `commit.rs`; knows nothing of logs.
//!
//! 1. A writer adds its batch to the last group in the queue, or begins a new one, which it will lead.
//! 2. If nobody leads, it leads at once. Otherwise the first of a group waits for its turn, the others for the outcome.
//! 3. The leader closes its group as late as possible: what queued during the previous fsync is there by itself, without
//!    a timer.
//! 4. When the group is decided, the next group's first writer is told to lead, and then all followers are woken at once:
//!    one call to the system for each, however many they are.
//!
//! Invariants
//! - At most one leader; its group is at the front of the queue until it is closed.
//! - Every group gets exactly one outcome, also if its leader panics (the engine is then poisoned).
//! - The queue holds at most `waiting_max` writers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::batch::{Batch, Part};
use crate::error::{Error, Limit};

use super::health::Health;

/// Bytes after which a group takes no more followers: a write this long costs more than its fsync (about 0.6 ms
/// against 0.4 ms), so that waiting for the next group is no loss.
const GROUP_BYTES_MAX: usize = 1_024 * 1_024;

pub(super) struct CommitQueue {
    state: Mutex<State>,
    waiting_max: usize,
    /// Writers in the queue, and those that commit alone.
    waiting: AtomicUsize,
    health: Arc<Health>,
}

struct State {
    /// Groups that are not closed, in the order in which they will be committed.
    forming: VecDeque<Arc<Forming>>,
    leadership: Leadership,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Leadership {
    Vacant,
    Taken,
}

/// A group that writers may join until its leader closes it.
struct Forming {
    parts: Mutex<Parts>,
    /// Set when its first writer is to lead.
    turn: OnceLock<()>,
    outcome: OnceLock<Result<(), Error>>,
}

#[derive(Default)]
struct Parts {
    parts: Vec<Part>,
    bytes: usize,
}

/// What became of a writer that queued.
pub(super) enum Turn<'a> {
    /// It leads this group.
    Lead(Group<'a>),
    /// Another writer led.
    Done(Result<(), Error>),
}

/// Which part of its group a writer is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The first: it leads, at once or when its turn comes.
    First,
    Follower,
}

impl CommitQueue {
    pub(super) fn new(waiting_max: usize, health: Arc<Health>) -> CommitQueue {
        let state = State { forming: VecDeque::new(), leadership: Leadership::Vacant };
        let waiting = AtomicUsize::new(0);
        CommitQueue { state: Mutex::new(state), waiting_max, waiting, health }
    }

    /// Counts a writer as waiting, as long as it holds what it is given.
    pub(super) fn enter(&self) -> Result<Entered<'_>, Error> {
        let entered = Entered { queue: self };
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.waiting_max {
            let limit = self.waiting_max as u64;
            return Err(Error::Overloaded { what: Limit::WritersQueued, limit });
        }
        Ok(entered)
    }

    /// Queues `batch` and waits until it is this writer's turn, or its batch was committed by another.
    pub(super) fn join(&self, batch: Batch) -> Turn<'_> {
        let mut state = self.state.lock();
        let (group, role) = state.add(batch.into_part());
        let leads = role == Role::First && state.leadership == Leadership::Vacant;
        if leads {
            assert!(state.forming.len() == 1, "nobody waits without a leader");
            state.leadership = Leadership::Taken;
        }
        drop(state);
        match role {
            Role::Follower => Turn::Done(group.outcome.wait().clone()),
            Role::First => {
                if !leads {
                    group.turn.wait();
                }
                Turn::Lead(Group { queue: self, group, outcome: None })
            }
        }
    }
}

impl State {
    /// Adds a part to the last group if it fits, or to a new one.
    fn add(&mut self, part: Part) -> (Arc<Forming>, Role) {
        let bytes = part.operations().len();
        if let Some(last) = self.forming.back() {
            let mut parts = last.parts.lock();
            if parts.bytes.saturating_add(bytes) <= GROUP_BYTES_MAX {
                parts.bytes += bytes;
                parts.parts.push(part);
                drop(parts);
                return (Arc::clone(last), Role::Follower);
            }
        }
        let parts = Mutex::new(Parts { parts: vec![part], bytes });
        let (turn, outcome) = (OnceLock::new(), OnceLock::new());
        let group = Arc::new(Forming { parts, turn, outcome });
        self.forming.push_back(Arc::clone(&group));
        (group, Role::First)
    }
}

/// The place of a writer in the queue.
pub(super) struct Entered<'a> {
    queue: &'a CommitQueue,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.queue.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A group in the hands of its leader.
pub(super) struct Group<'a> {
    queue: &'a CommitQueue,
    group: Arc<Forming>,
    outcome: Option<Result<(), Error>>,
}

impl Group<'_> {
    /// Closes the group: the leader's batch, and those that joined it.
    pub(super) fn close(&mut self) -> Vec<Part> {
        let mut state = self.queue.state.lock();
        let closed = state.forming.pop_front();
        assert!(closed.is_some_and(|closed| Arc::ptr_eq(&closed, &self.group)), "it is in front");
        drop(state);
        let parts = std::mem::take(&mut self.group.parts.lock().parts);
        assert!(!parts.is_empty(), "the leader's own batch is in it");
        parts
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
        // Failed before it was closed: the outcome is that of all who joined so far.
        state.forming.retain(|forming| !Arc::ptr_eq(forming, &self.group));
        match state.forming.front() {
            Some(next) => next.turn.set(()).expect("a group's turn comes once"),
            None => state.leadership = Leadership::Vacant,
        }
        drop(state);
        self.group.outcome.set(outcome).expect("a group has one outcome");
    }
}
