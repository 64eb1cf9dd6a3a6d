//! The times of a run, in nanoseconds since its warm-up began.

use std::time::Instant;

use crate::clock;
use crate::measure::Phase;
use crate::plan::{Extent, Plan};
use crate::units::{self, NANOS};

/// The times of one run; every process has the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeline {
    begin: Instant,
    warmup: u64,
    end: Option<u64>,
}

impl Timeline {
    /// The times of `plan`, whose warm-up begins at `begin`.
    pub(crate) fn new(plan: &Plan, begin: Instant) -> Self {
        let warmup = units::floor(plan.warmup_seconds * NANOS);
        let end = match plan.extent {
            Extent::Seconds(seconds) => Some(warmup + units::floor(seconds * NANOS)),
            Extent::Ops(_) => None,
        };
        Self { begin, warmup, end }
    }

    /// Now; 0 before the beginning.
    pub(crate) fn now(&self) -> u64 {
        units::nanos(clock::now().saturating_duration_since(self.begin))
    }

    /// The moment of `nanos`.
    pub(crate) fn instant(&self, nanos: u64) -> Instant {
        self.begin + std::time::Duration::from_nanos(nanos)
    }

    /// When the measured phase begins.
    pub(crate) fn warmup(&self) -> u64 {
        self.warmup
    }

    /// When no more requests are due, if a clock says so.
    pub(crate) fn end(&self) -> Option<u64> {
        self.end
    }

    /// The phase of what is due at `due`.
    pub(crate) fn phase(&self, due: u64) -> Phase {
        if due < self.warmup { Phase::Warmup } else { Phase::Measured }
    }
}
