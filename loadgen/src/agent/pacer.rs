//! The open loop: a thread that sleeps until the next request is due, and begins all that are.
//!
//! Timers of the runtime are a millisecond coarse, so this thread has its own: `park_timeout` wakes within some 60 µs,
//! less with the timer slack set to a nanosecond. It never spins, and sleeps for a tenth of a millisecond at least.
//!
//! A request begins on this thread: it is polled here for the first time, which leaves it with the SDK, and goes to the
//! runtime only to wait for its answer. Who is busy with answers thus delays no request.
//!
//! 1. Begin every request that is due, oldest first; those that waited for room come before them.
//! 2. Hand them to the runtime: one by itself, several as one task that starts one for each; one wake-up in any case.
//! 3. Where too many are under way, requests wait; where as many wait again, they are dropped. Both are counted.
//! 4. Sleep until the next one is due, or there is room.
//!
//! Invariants
//! - A request is due when its time has come, whatever became of earlier ones.
//! - Every request that was due is begun or counted as dropped.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::execute::Executor;
use super::inflight::{Inflight, Slot};
use super::precedence::raise_pacer;
use crate::arrivals::Arrivals;
use crate::draws::{Draws, Request};
use crate::measure::Wait;

/// Requests begun before they are handed over: the first one's answer is not looked at before, and so many take about
/// half a millisecond.
const BATCH_MAX: usize = 64;

/// Shortest sleep. A wake-up costs some 30 µs of processor time here and in the runtime, whatever it is for: above 10 000
/// requests a second, those that fall into one pause share it.
const PAUSE_LEAST: Duration = Duration::from_micros(100);

/// Longest sleep while requests wait for room: a wake-up that was missed costs no more.
const ROOM_POLL: Duration = Duration::from_millis(5);

/// What the thread works with.
pub(crate) struct Pacer {
    pub(crate) arrivals: Arrivals,
    pub(crate) draws: Draws,
    pub(crate) executor: Arc<Executor>,
    pub(crate) inflight: Arc<Inflight>,
    pub(crate) runtime: Handle,
    pub(crate) tasks: TaskTracker,
    /// Requests of the measured phase, if their number ends the run.
    pub(crate) ops: Option<u64>,
    /// Requests that may wait for room.
    pub(crate) waiting_max: usize,
    /// How long those are waited for when no more are due, in nanoseconds.
    pub(crate) patience: u64,
}

/// A request and when it is due.
type Due = (Request, u64);

/// A request that has begun, and is not over.
type Begun = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Pacer {
    /// Runs until no more requests are due. Blocks its thread.
    pub(crate) fn run(mut self) {
        // Nobody else says it.
        let _ = self.executor.pacer.set(raise_pacer());
        let runtime = self.runtime.clone();
        // Timers and tasks of the SDK belong to the runtime, wherever a request is polled.
        let _guard = runtime.enter();
        let mut waiting: VecDeque<Due> = VecDeque::new();
        let mut next = self.arrivals.next();
        let mut measured = 0;
        loop {
            let now = self.executor.timeline.now();
            let mut batch = Vec::new();
            let mut taken = self.refill(&mut waiting, &mut batch);
            while next <= now && self.is_due(next, measured) && taken < BATCH_MAX {
                measured += u64::from(next >= self.executor.timeline.warmup());
                self.admit(next, &mut waiting, &mut batch);
                next = self.arrivals.next();
                taken += 1;
            }
            let is_full = taken >= BATCH_MAX;
            self.hand_over(batch);
            let is_over = !self.is_due(next, measured);
            if is_over && (waiting.is_empty() || now > next.saturating_add(self.patience)) {
                break;
            }
            if !is_full {
                let until = if is_over { u64::MAX } else { next };
                self.sleep(until, &waiting);
            }
        }
        self.give_up(&waiting);
    }

    /// True if a request at `due` is part of the run, after `measured` others of the measured phase.
    fn is_due(&self, due: u64, measured: u64) -> bool {
        let in_time = self.executor.timeline.end().is_none_or(|end| due < end);
        in_time && self.ops.is_none_or(|ops| measured < ops)
    }

    /// Begins those that waited for room and have it; says how many.
    fn refill(&self, waiting: &mut VecDeque<Due>, batch: &mut Vec<Begun>) -> usize {
        let mut taken = 0;
        while taken < BATCH_MAX && !waiting.is_empty() {
            let Some(slot) = self.inflight.take() else { break };
            if let Some((request, due)) = waiting.pop_front() {
                batch.extend(self.begin(request, (due, Wait::ForRoom), slot));
                taken += 1;
            }
        }
        taken
    }

    fn admit(&mut self, due: u64, waiting: &mut VecDeque<Due>, batch: &mut Vec<Begun>) {
        let request = self.draws.next(self.executor.insertions.ended());
        let room = if waiting.is_empty() { self.inflight.take() } else { None };
        if let Some(slot) = room {
            batch.extend(self.begin(request, (due, Wait::Unasked), slot));
        } else if waiting.len() < self.waiting_max {
            waiting.push_back((request, due));
        } else {
            self.drop_request(request, due);
        }
    }

    /// Begins a request; `None` if that is all there was to it.
    fn begin(&self, request: Request, due: (u64, Wait), slot: Slot) -> Option<Begun> {
        let executor = Arc::clone(&self.executor);
        let mut begun: Begun = Box::pin(async move {
            executor.run(request, due).await;
            drop(slot);
        });
        // The runtime polls it again at once, and then it has somebody to wake.
        let mut nobody = Context::from_waker(Waker::noop());
        begun.as_mut().poll(&mut nobody).is_pending().then_some(begun)
    }

    fn hand_over(&self, mut batch: Vec<Begun>) {
        if batch.len() <= 1 {
            batch.pop().map(|begun| self.tasks.spawn_on(begun, &self.runtime));
            return;
        }
        let tasks = self.tasks.clone();
        let start = async move {
            let runtime = Handle::current();
            for begun in batch {
                tasks.spawn_on(begun, &runtime);
            }
        };
        self.tasks.spawn_on(start, &self.runtime);
    }

    fn sleep(&self, until: u64, waiting: &VecDeque<Due>) {
        let left = until.saturating_sub(self.executor.timeline.now());
        let mut left = Duration::from_nanos(left);
        if waiting.is_empty() {
            self.inflight.forget_room();
        } else {
            self.inflight.await_room();
            left = left.min(ROOM_POLL);
        }
        if !left.is_zero() {
            thread::park_timeout(left.max(PAUSE_LEAST));
        }
    }

    /// Counts what still waits as dropped.
    fn give_up(&self, waiting: &VecDeque<Due>) {
        self.inflight.forget_room();
        for (request, due) in waiting {
            self.drop_request(*request, *due);
        }
    }

    fn drop_request(&self, request: Request, due: u64) {
        self.executor.shards.dropped(self.executor.timeline.phase(due), 1);
        if let Some(insertion) = request.insertion {
            self.executor.insertions.note_end(insertion);
        }
    }
}
