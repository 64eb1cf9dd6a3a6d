//! When requests are due, decided before anybody knows how fast the answers are.
//!
//! 1. `constant`: request `i` is due at `i / rate`; process `a` of `n` has every `n`th, so that together they are even.
//! 2. `poisson`: exponential gaps with mean `1 / rate`; the sum of the processes' streams is again a Poisson process.
//!
//! Invariants
//! - Due times never decrease, and do not depend on any answer: that is what makes the load open.
//! - After `i` constant arrivals the error is below a nanosecond, however many there were: time is computed, not summed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::chance::Chance;
use crate::units::NANOS;

#[cfg(test)]
mod tests;

/// How arrivals are spaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Spacing {
    /// Evenly.
    #[default]
    Constant,
    /// At random, as many independent callers do.
    Poisson,
}

/// The due times of one process.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals {
    spacing: Spacing,
    /// Mean gap in nanoseconds.
    gap: f64,
    /// Due time of the first constant arrival, in gaps.
    phase: f64,
    count: u64,
    /// Nanoseconds since the start of the last Poisson arrival.
    last: f64,
    chance: Chance,
}

impl Arrivals {
    /// The arrivals of process `agent` of `agents`, `rate` per second among all of them.
    pub(crate) fn new(
        spacing: Spacing,
        rate: f64,
        (agent, agents): (u64, u64),
        chance: Chance,
    ) -> Self {
        assert!(rate > 0.0 && agents > agent, "a rate above zero, and an agent among the agents");
        let gap = NANOS * agents as f64 / rate;
        let phase = agent as f64 / agents as f64;
        Self { spacing, gap, phase, count: 0, last: 0.0, chance }
    }

    /// When the next request is due, in nanoseconds since the start.
    pub(crate) fn next(&mut self) -> u64 {
        let due = match self.spacing {
            Spacing::Constant => (self.count as f64 + self.phase) * self.gap,
            Spacing::Poisson => {
                // `1 - unit` is never zero, so the logarithm is finite.
                self.last -= (1.0 - self.chance.unit()).ln() * self.gap;
                self.last
            }
        };
        self.count += 1;
        crate::units::floor(due)
    }
}

impl fmt::Display for Spacing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Constant => "constant",
            Self::Poisson => "poisson",
        })
    }
}

impl FromStr for Spacing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "constant" => Ok(Self::Constant),
            "poisson" => Ok(Self::Poisson),
            _ => Err(format!("`{text}` is not a spacing of arrivals: use constant or poisson")),
        }
    }
}
