//! The life of one node under the supervisor: what is wanted, what is, and what to do next. Pure.
//!
//! Driven by `supervisor.rs`, which carries out the [`Deed`]s; reads no clock and touches no process.
//!
//! ```text
//!              start                 exited, wanted up
//!      Down ───────────▶ Up ─────────────────────────────▶ Resting ──(two seconds)──▶ Up
//!       ▲                │ kill, stop                          │ kill, stop
//!       │    exited      ▼                                     ▼
//!       └──────────── Leaving ◀─(start: comes up again)      Down
//! ```
//!
//! Invariants
//! - A node that was killed or stopped on request stays down until it is started on request.
//! - A node that died by itself comes back after [`REST`], unless restarts are off; then it is down.
//! - At most one process of a node exists: [`Deed::Spawn`] is only said when there is none.

use std::time::Duration;

use atoll_protocol::time::MonoTime;
use serde::{Deserialize, Serialize};

/// Pause before a node that died is started again: long enough for others to notice, and for a broken node not to
/// spin.
pub(super) const REST: Duration = Duration::from_secs(2);

/// Whether nodes that die are started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Two seconds later.
    AfterPause,
    /// Never by itself (`--no-restart`).
    Never,
}

/// What `atoll dev kill|start|stop` asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// SIGKILL, and keep it down.
    Kill,
    /// SIGTERM, and keep it down.
    Stop,
    /// Bring it up again.
    Start,
}

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Somebody asked.
    Order(Verb),
    /// Its process ended, or could not be started.
    Exited,
    /// Time passed.
    Tick,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Start a process.
    Spawn,
    /// Ask its process to end.
    Terminate,
    /// End its process.
    Kill,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No process, and none will come by itself.
    Down,
    /// A process.
    Up,
    /// A process that was asked to end.
    Leaving,
    /// No process until then.
    Resting { until: MonoTime },
}

/// The life of one node.
#[derive(Clone, Debug)]
pub(super) struct NodeLife {
    restart: Restart,
    phase: Phase,
    /// Whether it comes up again once it has left.
    returns: bool,
    deaths: u32,
}

impl NodeLife {
    /// A node that is down.
    pub(super) fn new(restart: Restart) -> Self {
        Self { restart, phase: Phase::Down, returns: false, deaths: 0 }
    }

    /// Takes note of `input` at `now` and says what to do.
    pub(super) fn handle(&mut self, now: MonoTime, input: Input) -> Option<Deed> {
        match input {
            Input::Order(Verb::Start) => self.on_start(),
            Input::Order(Verb::Stop) => self.on_leave(Deed::Terminate),
            Input::Order(Verb::Kill) => self.on_leave(Deed::Kill),
            Input::Exited => self.on_exit(now),
            Input::Tick => self.on_tick(now),
        }
    }

    /// When [`Input::Tick`] will have an effect.
    pub(super) fn wakes_at(&self) -> Option<MonoTime> {
        match self.phase {
            Phase::Resting { until } => Some(until),
            Phase::Down | Phase::Up | Phase::Leaving => None,
        }
    }

    /// True unless an order is still being carried out.
    pub(super) fn is_settled(&self) -> bool {
        self.phase != Phase::Leaving
    }

    /// Times that it died without being asked to.
    pub(super) fn deaths(&self) -> u32 {
        self.deaths
    }

    /// The state as people see it.
    pub(super) fn shown(&self) -> RunState {
        match self.phase {
            Phase::Down => RunState::Down,
            Phase::Up => RunState::Running,
            Phase::Leaving => RunState::Leaving,
            Phase::Resting { .. } => RunState::Restarting,
        }
    }

    fn on_start(&mut self) -> Option<Deed> {
        match self.phase {
            Phase::Up => None,
            Phase::Leaving => {
                self.returns = true;
                None
            }
            Phase::Down | Phase::Resting { .. } => self.spawn(),
        }
    }

    fn on_leave(&mut self, deed: Deed) -> Option<Deed> {
        self.returns = false;
        match self.phase {
            Phase::Down => None,
            Phase::Resting { .. } => {
                self.phase = Phase::Down;
                None
            }
            // Leaving already: a kill overtakes a stop, and a second stop does no harm.
            Phase::Up | Phase::Leaving => {
                self.phase = Phase::Leaving;
                Some(deed)
            }
        }
    }

    fn on_exit(&mut self, now: MonoTime) -> Option<Deed> {
        match self.phase {
            Phase::Leaving if self.returns => self.spawn(),
            Phase::Leaving => {
                self.phase = Phase::Down;
                None
            }
            Phase::Up => {
                self.deaths += 1;
                self.phase = match self.restart {
                    Restart::AfterPause => Phase::Resting { until: now.after(REST) },
                    Restart::Never => Phase::Down,
                };
                None
            }
            Phase::Down | Phase::Resting { .. } => {
                debug_assert!(false, "a node without a process cannot exit");
                None
            }
        }
    }

    fn on_tick(&mut self, now: MonoTime) -> Option<Deed> {
        match self.phase {
            Phase::Resting { until } if until <= now => self.spawn(),
            Phase::Resting { .. } | Phase::Down | Phase::Up | Phase::Leaving => None,
        }
    }

    fn spawn(&mut self) -> Option<Deed> {
        self.returns = false;
        self.phase = Phase::Up;
        Some(Deed::Spawn)
    }
}

/// The state of a node as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// It has a process.
    Running,
    /// Its process was asked to end.
    Leaving,
    /// It died and will be started again.
    Restarting,
    /// It stays down until it is started.
    Down,
}

impl std::fmt::Display for RunState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Leaving => "leaving",
            Self::Restarting => "restarting",
            Self::Down => "down",
        })
    }
}
