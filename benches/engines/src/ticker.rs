//! The periodic sync: somebody makes the log durable every second while writers do not wait for it.
//!
//! It runs beside every engine alike, because "at most one second is lost in a power failure" is a promise that costs
//! something, and rates without it are not comparable.

use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::Outcome;
use crate::engine::Engine;

/// Does `work` on this thread while another one syncs `engine` every `interval`, or never if that is zero.
pub(crate) fn while_syncing<T>(
    engine: &dyn Engine,
    interval: Duration,
    work: impl FnOnce() -> Outcome<T>,
) -> Outcome<T> {
    if interval.is_zero() {
        return work();
    }
    let stop = Stop::default();
    thread::scope(|scope| {
        let ticker = scope.spawn(|| stop.tick(engine, interval));
        let result = work();
        stop.now();
        ticker.join().map_err(|_| "the ticker has panicked")??;
        result
    })
}

#[derive(Default)]
struct Stop {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ticking,
    Stopped,
}

impl Stop {
    fn now(&self) {
        *self.state.lock() = State::Stopped;
        self.changed.notify_all();
    }

    fn tick(&self, engine: &dyn Engine, interval: Duration) -> Outcome<()> {
        loop {
            let mut state = self.state.lock();
            if *state == State::Ticking {
                self.changed.wait_for(&mut state, interval);
            }
            if *state == State::Stopped {
                return Ok(());
            }
            drop(state);
            engine.sync()?;
        }
    }
}
