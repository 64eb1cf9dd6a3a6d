//! The threads that do Atoll's background work: the engine has none of its own.
//!
//! 1. Each thread calls [`StorageEngine::maintain`] again while that has work, and parks for a moment when it is idle.
//! 2. [`Maintainers::wait_until_idle`] waits until several calls in a row found nothing while nobody was working.
//! 3. [`Maintainers::stop`] ends and joins them; their first error is its error.
//!
//! Invariant: what the threads do is what the node's maintenance task does, `maintain(Budget::default())` in a loop.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use atoll_storage::{Budget, Engine as StorageEngine, Error, Progress};
use parking_lot::{Condvar, Mutex};

use crate::Outcome;

/// How long an idle thread looks away. A sealed memtable waits half of that on average; writers go on meanwhile.
const PARK: Duration = Duration::from_millis(2);

/// Idle calls in a row after which there is nothing left: several per thread.
const CALM_CALLS: u32 = 8;

/// Running maintenance threads.
pub(super) struct Maintainers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Result<(), Error>>>,
}

struct Shared {
    engine: Arc<StorageEngine>,
    state: Mutex<State>,
    /// Rings when a thread found nothing to do.
    idle: Condvar,
    /// Rings when the threads are to end. Apart from `idle`, or idle threads would keep each other awake.
    stop: Condvar,
}

#[derive(Default)]
struct State {
    working: u32,
    idle_calls: u32,
    phase: Phase,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Running,
    Stopping,
}

impl Maintainers {
    /// Starts `count` threads for `engine`.
    pub(super) fn start(engine: &Arc<StorageEngine>, count: usize) -> Outcome<Maintainers> {
        let shared = Arc::new(Shared {
            engine: Arc::clone(engine),
            state: Mutex::default(),
            idle: Condvar::new(),
            stop: Condvar::new(),
        });
        let threads = (0..count)
            .map(|number| {
                let shared = Arc::clone(&shared);
                let name = format!("maintain-{number}");
                thread::Builder::new().name(name).spawn(move || shared.run())
            })
            .collect::<Result<_, _>>()?;
        Ok(Maintainers { shared, threads })
    }

    /// Waits until there is nothing to do.
    pub(super) fn wait_until_idle(&self) -> Outcome<()> {
        let mut state = self.shared.state.lock();
        state.idle_calls = 0;
        while state.idle_calls < CALM_CALLS {
            if self.threads.iter().any(JoinHandle::is_finished) {
                return Err("a maintenance thread has ended".into());
            }
            self.shared.idle.wait_for(&mut state, 10 * PARK);
        }
        Ok(())
    }

    /// Ends the threads, after the unit that each has begun.
    pub(super) fn stop(mut self) -> Outcome<()> {
        self.join()
    }

    fn join(&mut self) -> Outcome<()> {
        self.shared.state.lock().phase = Phase::Stopping;
        self.shared.stop.notify_all();
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| "a maintenance thread has panicked")??;
        }
        Ok(())
    }
}

impl Drop for Maintainers {
    /// Whoever wants to know of errors calls [`Maintainers::stop`].
    fn drop(&mut self) {
        let _ = self.join();
    }
}

impl Shared {
    fn run(&self) -> Result<(), Error> {
        loop {
            self.state.lock().working += 1;
            let progress = self.engine.maintain(Budget::default());
            let mut state = self.state.lock();
            state.working -= 1;
            match progress? {
                Progress::Worked { .. } => state.idle_calls = 0,
                Progress::Idle => {
                    state.idle_calls += u32::from(state.working == 0);
                    self.idle.notify_all();
                    if state.phase == Phase::Running {
                        self.stop.wait_for(&mut state, PARK);
                    }
                }
            }
            if state.phase == Phase::Stopping {
                return Ok(());
            }
        }
    }
}
