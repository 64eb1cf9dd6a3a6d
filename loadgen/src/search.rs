//! The search for the highest rate that meets the objectives: first in steps, then by bisection. Pure.
//!
//! 1. Rates of the range, from the lowest on, until one misses.
//! 2. Between the highest that met and the lowest that missed, the geometric middle, until the two are within the
//!    resolution of each other.
//!
//! Invariants
//! - It ends: every step raises the lower end, lowers the upper one, or was the last rate of the range.
//! - What it reports was measured: the knee is a rate that met every objective.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::units;

#[cfg(test)]
mod tests;

/// Steps of a range; more would take hours at the least length of a step.
const STEPS_MAX: usize = 200;

/// `1k..200k:x1.25` or `10k..50k:+5k`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Range {
    first: u64,
    last: u64,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    Times(f64),
    Plus(u64),
}

/// Whether a rate met the objectives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Judgement {
    Met,
    Missed,
}

impl Range {
    /// The rate to measure next, after those that were; `None` at the end.
    ///
    /// `resolution` is the ratio of a missed to a met rate, less 1, that is close enough.
    pub(crate) fn next(&self, measured: &[(u64, Judgement)], resolution: f64) -> Option<u64> {
        let met = knee(measured);
        let missed = measured.iter().filter(|(_, judgement)| *judgement == Judgement::Missed);
        let Some(missed) = missed.map(|(rate, _)| *rate).min() else {
            return match measured.iter().map(|(rate, _)| *rate).max() {
                None => Some(self.first),
                Some(highest) if highest >= self.last => None,
                Some(highest) => Some(self.after(highest)),
            };
        };
        let met = met.filter(|met| *met < missed)?;
        if missed as f64 / met as f64 <= 1.0 + resolution {
            return None;
        }
        let middle = units::floor((met as f64 * missed as f64).sqrt().round());
        (middle > met && middle < missed).then_some(middle)
    }

    /// Rates of the steps, at most.
    pub(crate) fn rates(&self) -> Vec<u64> {
        let mut rates = vec![self.first];
        while let Some(last) = rates.last().copied().filter(|last| *last < self.last) {
            rates.push(self.after(last));
            if rates.len() > STEPS_MAX {
                break;
            }
        }
        rates
    }

    fn after(&self, rate: u64) -> u64 {
        let next = match self.step {
            Step::Times(factor) => units::floor((rate as f64 * factor).round()),
            Step::Plus(more) => rate.saturating_add(more),
        };
        next.max(rate + 1).min(self.last)
    }
}

/// The highest rate that met, below every one that missed.
pub(crate) fn knee(measured: &[(u64, Judgement)]) -> Option<u64> {
    let of = |wanted| {
        measured.iter().filter(move |(_, judgement)| *judgement == wanted).map(|(rate, _)| *rate)
    };
    let missed = of(Judgement::Missed).min().unwrap_or(u64::MAX);
    of(Judgement::Met).filter(|rate| *rate < missed).max()
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || {
            format!(
                "`{text}` is not a range of rates; write one such as 1k..200k:x1.25 or 10k..50k:+5k"
            )
        };
        let (ends, step) = text.split_once(':').unwrap_or((text, "x1.25"));
        let (first, last) = ends.split_once("..").ok_or_else(form)?;
        let (first, last) = (units::count(first)?, units::count(last)?);
        if first > last {
            return Err(format!("`{text}` begins above its end; turn it around"));
        }
        let step = if let Some(factor) = step.strip_prefix('x') {
            let factor = factor.parse::<f64>().ok().filter(|f| f.is_finite() && *f > 1.0);
            Step::Times(factor.ok_or_else(form)?)
        } else if let Some(more) = step.strip_prefix('+') {
            Step::Plus(units::count(more)?)
        } else {
            return Err(form());
        };
        let range = Self { first, last, step };
        if range.rates().len() > STEPS_MAX {
            return Err(format!("`{text}` has more than {STEPS_MAX} steps; make them larger"));
        }
        Ok(range)
    }
}
