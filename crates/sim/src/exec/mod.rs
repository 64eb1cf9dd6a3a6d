//! The executor: one thread, virtual time, tasks picked by chance.
//!
//! 1. A task that was woken is ready; [`Exec::step`] polls one ready task, chosen at random, never in order.
//! 2. When nothing is ready, time jumps to the next event (a timer, a job, a delivery) and that event is carried out.
//! 3. Every task, timer and job belongs to one life of one process ([`Owner`]). A dead life's are dropped, a paused
//!    one's wait.
//!
//! Invariants
//! - Nothing here depends on anything but the seed and the order of calls.
//! - Time moves with every step, so that no two steps share an instant.
//! - A dead life is never polled again, and nothing that it does while it is being dropped reaches anybody.
//! - No lock is held while foreign code runs (polls, events, drops).
//!
//! Source: FoundationDB's simulator (Zhou et al., SIGMOD 2021) for the idea; the random pick follows
//! Burckhardt et al., "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010.

mod clock;
mod env;
mod process;
mod sleep;
mod trace;
mod unwind;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use atoll_protocol::time::MonoTime;
use atolldb::env::BoxFuture;
use parking_lot::Mutex;

use crate::prng::Prng;

pub use clock::ClockSetting;
pub use process::{Death, Owner, ProcessId};
pub use trace::{Notes, Trace};

use process::Process;

/// Virtual time of one poll.
const POLL_COST_NANOS: u64 = 2_000;

/// What is carried out at an instant.
type Action = Box<dyn FnOnce() + Send>;

/// The executor. Cheap to clone.
#[derive(Clone)]
pub struct Exec {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Tasks woken since the last step. A lock of its own: wakers are called from everywhere.
    woken: Mutex<Vec<u64>>,
    notes: Notes,
}

struct State {
    now: u64,
    next: u64,
    pick: Prng,
    tasks: BTreeMap<u64, Task>,
    ready: Vec<u64>,
    events: BTreeMap<(u64, u64), Event>,
    processes: Vec<Process>,
    deaths: Vec<Death>,
}

struct Task {
    owner: Owner,
    name: &'static str,
    waker: Arc<TaskWaker>,
    /// Taken out while it is being polled.
    future: Option<BoxFuture<'static, ()>>,
}

struct Event {
    owner: Option<Owner>,
    action: Action,
}

struct TaskWaker {
    id: u64,
    is_queued: AtomicBool,
    shared: std::sync::Weak<Shared>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::Relaxed)
            && let Some(shared) = self.shared.upgrade()
        {
            shared.woken.lock().push(self.id);
        }
    }
}

/// What a step did.
enum Work {
    Poll {
        id: u64,
        owner: Owner,
        future: BoxFuture<'static, ()>,
        waker: Arc<TaskWaker>,
    },
    Act {
        owner: Option<Owner>,
        action: Action,
    },
    /// Something was put aside; look again.
    Again,
    Nothing,
}

impl Exec {
    /// An executor without processes at time zero.
    pub fn new(seed: u64, trace: Trace) -> Self {
        unwind::install_hook();
        let state = State {
            now: 0,
            next: 0,
            pick: Prng::stream(seed, "sched"),
            tasks: BTreeMap::new(),
            ready: Vec::new(),
            events: BTreeMap::new(),
            processes: Vec::new(),
            deaths: Vec::new(),
        };
        let woken = Mutex::new(Vec::new());
        Self {
            shared: Arc::new(Shared { state: Mutex::new(state), woken, notes: Notes::new(trace) }),
        }
    }

    /// The world's time.
    pub fn now(&self) -> MonoTime {
        MonoTime::from_nanos(self.shared.state.lock().now)
    }

    /// Where events are noted.
    pub fn notes(&self) -> &Notes {
        &self.shared.notes
    }

    /// Carries out `action` after `delay`, unless the life of `owner` has ended by then; later if it is paused then.
    pub fn after(
        &self,
        delay: Duration,
        owner: Option<Owner>,
        action: impl FnOnce() + Send + 'static,
    ) {
        let delay = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        let mut state = self.shared.state.lock();
        let at = state.now.saturating_add(delay);
        state.schedule(at, Event { owner, action: Box::new(action) });
    }

    /// Runs `future` as a task of `owner`; drops it at once if that life has ended.
    pub fn spawn(&self, owner: Owner, name: &'static str, future: BoxFuture<'static, ()>) {
        let mut state = self.shared.state.lock();
        if !state.is_alive(owner) {
            drop(state);
            drop(future);
            return;
        }
        let id = state.number();
        let shared = Arc::downgrade(&self.shared);
        let waker = Arc::new(TaskWaker { id, is_queued: AtomicBool::new(true), shared });
        state.tasks.insert(id, Task { owner, name, waker, future: Some(future) });
        state.ready.push(id);
    }

    /// Does one thing; false if there is nothing left to do, ever.
    pub fn step(&self) -> bool {
        let work = self.choose();
        if self.shared.notes.is_printed() {
            self.shared.notes.set_now(self.now().as_nanos());
        }
        match work {
            Work::Poll { id, owner, future, waker } => self.poll(id, owner, future, waker),
            Work::Act { owner, action } => {
                let outcome = unwind::catch(action);
                self.settle(owner, outcome.err());
            }
            Work::Again => {}
            Work::Nothing => return false,
        }
        true
    }

    /// Runs `code` in the name of a life.
    ///
    /// # Errors
    /// Why it exited or panicked.
    pub fn run_as<T>(&self, owner: Owner, code: impl FnOnce() -> T) -> Result<T, String> {
        debug_assert!(self.is_alive(owner), "the dead do nothing");
        unwind::catch(code).map_err(|panic| match panic {
            unwind::Panic::Exit(reason) => reason,
            unwind::Panic::Message(text) => format!("panicked: {text}"),
        })
    }

    /// Drops what a dead process held.
    ///
    /// # Errors
    /// What its destructors panicked with.
    pub fn bury<T>(&self, remains: T) -> Result<(), String> {
        unwind::catch(move || drop(remains)).map_err(|panic| match panic {
            unwind::Panic::Exit(reason) => reason,
            unwind::Panic::Message(text) => text,
        })
    }

    /// Names and numbers of the tasks of a process that have not ended.
    pub fn tasks_of(&self, process: ProcessId) -> BTreeMap<&'static str, usize> {
        let state = self.shared.state.lock();
        let mut names = BTreeMap::new();
        for task in state.tasks.values().filter(|task| task.owner.process == process) {
            *names.entry(task.name).or_default() += 1;
        }
        names
    }

    fn choose(&self) -> Work {
        let mut state = self.shared.state.lock();
        let state = &mut *state;
        state.ready.append(&mut self.shared.woken.lock());
        if state.ready.is_empty() {
            return state.next_event();
        }
        let picked = state.pick.index(state.ready.len());
        let id = state.ready.swap_remove(picked);
        let Some(task) = state.tasks.get_mut(&id) else {
            return Work::Again;
        };
        let owner = task.owner;
        let Some(process) = state.processes.get_mut(owner.process.0) else {
            return Work::Again;
        };
        if process.is_paused {
            process.parked_tasks.push(id);
            return Work::Again;
        }
        if process.busy_until > state.now {
            let (at, shared) = (process.busy_until, task.waker.shared.clone());
            let again = move || {
                if let Some(shared) = shared.upgrade() {
                    shared.woken.lock().push(id);
                }
            };
            state.schedule(at, Event { owner: Some(owner), action: Box::new(again) });
            return Work::Again;
        }
        let cost = POLL_COST_NANOS * u64::from(process.slowness.max(1));
        process.busy_until = state.now + cost - POLL_COST_NANOS;
        state.now += POLL_COST_NANOS;
        task.waker.is_queued.store(false, Ordering::Relaxed);
        match task.future.take() {
            Some(future) => Work::Poll { id, owner, future, waker: task.waker.clone() },
            None => Work::Again,
        }
    }

    fn poll(
        &self,
        id: u64,
        owner: Owner,
        mut future: BoxFuture<'static, ()>,
        waker: Arc<TaskWaker>,
    ) {
        self.shared.notes.count(id);
        let waker = Waker::from(waker);
        let polled = unwind::catch(|| future.as_mut().poll(&mut Context::from_waker(&waker)));
        let mut state = self.shared.state.lock();
        let (ended, trouble) = match polled {
            Ok(Poll::Pending) => {
                if let Some(task) = state.tasks.get_mut(&id) {
                    task.future = Some(future);
                    return self.settle_locked(&mut state, Some(owner), None);
                }
                // Killed meanwhile.
                (None, None)
            }
            Ok(Poll::Ready(())) => (state.tasks.remove(&id), None),
            Err(panic) => (state.tasks.remove(&id), Some(panic)),
        };
        self.settle_locked(&mut state, Some(owner), trouble);
        drop(state);
        drop((ended, future));
    }

    fn settle(&self, owner: Option<Owner>, panic: Option<unwind::Panic>) {
        self.settle_locked(&mut self.shared.state.lock(), owner, panic);
    }

    /// Turns an exit or a panic of `owner` into a death that the world will hear of.
    fn settle_locked(&self, state: &mut State, owner: Option<Owner>, panic: Option<unwind::Panic>) {
        let Some(owner) = owner else {
            if let Some(unwind::Panic::Message(text)) = panic {
                state
                    .deaths
                    .push(Death { owner: None, reason: format!("the simulator panicked: {text}") });
            }
            return;
        };
        let reason = match panic {
            Some(unwind::Panic::Message(text)) => Some(format!("panicked: {text}")),
            Some(unwind::Panic::Exit(reason)) => Some(reason),
            None => None,
        };
        if let Some(reason) = reason
            && state.is_alive(owner)
        {
            self.shared
                .notes
                .note("death", [owner.process.0 as u64, owner.life, 0, 0], || reason.clone());
            state.deaths.push(Death { owner: Some(owner), reason });
        }
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn schedule(&mut self, at: u64, event: Event) {
        let number = self.number();
        self.events.insert((at.max(self.now), number), event);
    }

    fn is_alive(&self, owner: Owner) -> bool {
        self.processes.get(owner.process.0).is_some_and(|process| process.life == Some(owner.life))
    }

    fn next_event(&mut self) -> Work {
        let Some(((at, _), event)) = self.events.pop_first() else {
            return Work::Nothing;
        };
        self.now = self.now.max(at) + 1;
        let Some(owner) = event.owner else {
            return Work::Act { owner: None, action: event.action };
        };
        if !self.is_alive(owner) {
            // Dropped by the caller, after the lock is gone.
            return Work::Act { owner: None, action: Box::new(move || drop(event.action)) };
        }
        match self.processes.get_mut(owner.process.0) {
            Some(process) if process.is_paused => {
                process.parked_events.push(event);
                Work::Again
            }
            _ => Work::Act { owner: Some(owner), action: event.action },
        }
    }
}

#[cfg(test)]
mod tests;
