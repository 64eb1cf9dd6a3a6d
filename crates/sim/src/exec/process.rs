//! Processes: what lives, stands still, and dies together.

use atolldb::env::Env;

use super::clock::Clock;
use super::{ClockSetting, Event, Exec, State, env};
use crate::prng::Prng;

/// A process: a node's or a client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessId(pub usize);

/// One life of a process, from a start to a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The process.
    pub process: ProcessId,
    /// Which of its lives.
    pub life: u64,
}

/// A process that ended itself, or panicked.
#[derive(Clone, Debug)]
pub struct Death {
    /// Who; `None` if it was the simulator itself.
    pub owner: Option<Owner>,
    /// Its last words.
    pub reason: String,
}

pub(super) struct Process {
    /// `None` while it is not running.
    pub(super) life: Option<u64>,
    pub(super) lives: u64,
    pub(super) clock: Clock,
    pub(super) chance: Prng,
    pub(super) is_paused: bool,
    pub(super) slowness: u32,
    pub(super) busy_until: u64,
    /// Extra time of calls that wait for the disk, at most.
    pub(super) stall_nanos: u64,
    pub(super) parked_tasks: Vec<u64>,
    pub(super) parked_events: Vec<Event>,
}

impl Exec {
    /// Adds a process that does not run yet.
    pub fn add_process(&self, clock: ClockSetting, chance: Prng) -> ProcessId {
        let mut state = self.shared.state.lock();
        let id = ProcessId(state.processes.len());
        state.processes.push(Process {
            life: None,
            lives: 0,
            clock: Clock::new(clock),
            chance,
            is_paused: false,
            slowness: 1,
            busy_until: 0,
            stall_nanos: 0,
            parked_tasks: Vec::new(),
            parked_events: Vec::new(),
        });
        id
    }

    /// Processes so far.
    pub fn processes(&self) -> usize {
        self.shared.state.lock().processes.len()
    }

    /// Begins a new life of a process that is not running, and gives its environment.
    ///
    /// # Panics
    /// If it is running.
    pub fn start_process(&self, id: ProcessId) -> (Owner, Env) {
        let mut state = self.shared.state.lock();
        let now = state.now;
        let process = state.processes.get_mut(id.0);
        let Some(process) = process.filter(|process| process.life.is_none()) else {
            panic!("{id:?} does not exist or is running already");
        };
        process.lives += 1;
        process.life = Some(process.lives);
        process.clock.boot(now);
        process.busy_until = 0;
        let owner = Owner { process: id, life: process.lives };
        drop(state);
        (owner, Env::new(std::sync::Arc::new(env::SimEnv::new(self.clone(), owner))))
    }

    /// Ends the life of a process: its tasks and what it was waiting for are dropped.
    pub fn kill(&self, id: ProcessId) {
        let mut state = self.shared.state.lock();
        let Some(process) = state.processes.get_mut(id.0) else { return };
        process.life = None;
        process.is_paused = false;
        process.parked_tasks.clear();
        let parked = std::mem::take(&mut process.parked_events);
        let mut dropped = Vec::new();
        let ids: Vec<u64> = state
            .tasks
            .iter()
            .filter(|(_, task)| task.owner.process == id)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            dropped.extend(state.tasks.remove(&id));
        }
        drop(state);
        // Foreign destructors: no lock may be held, and what they panic with concerns nobody any more.
        for task in dropped {
            let _ = super::unwind::catch(move || drop(task));
        }
        let _ = super::unwind::catch(move || drop(parked));
    }

    /// Whether this life goes on.
    pub fn is_alive(&self, owner: Owner) -> bool {
        self.shared.state.lock().is_alive(owner)
    }

    /// Stops a process from running: SIGSTOP.
    pub fn pause(&self, id: ProcessId) {
        if let Some(process) = self.shared.state.lock().processes.get_mut(id.0) {
            process.is_paused = true;
        }
    }

    /// Lets a paused process go on: SIGCONT.
    pub fn resume(&self, id: ProcessId) {
        let mut state = self.shared.state.lock();
        let state = &mut *state;
        let Some(process) = state.processes.get_mut(id.0) else { return };
        process.is_paused = false;
        let tasks = std::mem::take(&mut process.parked_tasks);
        let events = std::mem::take(&mut process.parked_events);
        state.ready.extend(tasks);
        let now = state.now;
        for event in events {
            state.schedule(now, event);
        }
    }

    /// Whether a process stands still.
    pub fn is_paused(&self, id: ProcessId) -> bool {
        let state = self.shared.state.lock();
        state.processes.get(id.0).is_some_and(|process| process.is_paused)
    }

    /// Makes every poll of a process so many times slower.
    pub fn set_slowness(&self, id: ProcessId, factor: u32) {
        if let Some(process) = self.shared.state.lock().processes.get_mut(id.0) {
            process.slowness = factor;
        }
    }

    /// Makes every call of a process that waits for its disk take up to so much longer.
    pub fn set_stall(&self, id: ProcessId, longest: std::time::Duration) {
        if let Some(process) = self.shared.state.lock().processes.get_mut(id.0) {
            process.stall_nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        }
    }

    /// Moves a process's wall clock.
    pub fn jump_clock(&self, id: ProcessId, by_ms: i64) {
        if let Some(process) = self.shared.state.lock().processes.get_mut(id.0) {
            process.clock.jump(by_ms);
        }
    }

    /// A process's wall clock.
    pub fn wall(&self, id: ProcessId) -> atoll_protocol::time::WallTime {
        let state = self.shared.state.lock();
        state.wall(id)
    }

    /// Deaths since the last call, in order.
    pub fn take_deaths(&self) -> Vec<Death> {
        std::mem::take(&mut self.shared.state.lock().deaths)
    }
}

impl State {
    pub(super) fn wall(&self, id: ProcessId) -> atoll_protocol::time::WallTime {
        let clock = self.processes.get(id.0).map(|process| &process.clock);
        clock.map_or(atoll_protocol::time::WallTime::from_micros(0), |clock| clock.wall(self.now))
    }
}
