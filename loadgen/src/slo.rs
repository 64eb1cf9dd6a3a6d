//! Service level objectives: `p99<10ms`, `get.p99.9<=20ms`, `errors<0.1%`, `late<1%`, `stale<=0`.
//!
//! | name | unit | of |
//! |---|---|---|
//! | `p50` `p90` `p99` `p99.9` `p99.99` (any `pN`), `max`, `mean` | span | latency since due, all series; `get.` and so on: of one operation |
//! | `scheduling.p99.9` (any `pN`, `max`) | span | scheduling error: how late the generator began requests |
//! | `errors` | percent | failures per ended request; takes an operation, too |
//! | `late` | percent | requests begun late or never, per request that was due |
//! | `stale`, `corrupt`, `siblings` | count | answers |
//!
//! Invariants
//! - An objective on an operation that did not occur is missed, not met: nothing was shown.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::measure::Sample;
use crate::units;
use crate::workload::mix::Op;

#[cfg(test)]
mod tests;

/// One objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Objective {
    text: String,
    op: Option<Op>,
    metric: Metric,
    comparison: Comparison,
    /// In the metric's unit: nanoseconds, a fraction, or a count.
    limit: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Metric {
    Quantile(f64),
    Mean,
    Scheduling(f64),
    Errors,
    Late,
    Stale,
    Corrupt,
    Siblings,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Below,
    AtMost,
}

impl Objective {
    /// Judges the measured phase: `None` if it is met, else what was seen instead.
    pub(crate) fn missed(&self, total: &Sample) -> Option<String> {
        let tally = total.sum(self.op);
        if tally.total() == 0 {
            return Some(format!("{}: no such request was measured", self.text));
        }
        let (value, shown) = match self.metric {
            Metric::Quantile(_) | Metric::Mean if tally.latency.is_empty() => {
                return Some(format!("{}: no request succeeded", self.text));
            }
            Metric::Quantile(quantile) => {
                let nanos = tally.latency.at(quantile);
                (nanos as f64, format!("{} ms", units::millis(nanos)))
            }
            Metric::Mean => {
                let nanos = tally.latency.mean();
                (nanos, format!("{} ms", units::millis(units::floor(nanos))))
            }
            Metric::Scheduling(quantile) => {
                let nanos = total.scheduling.at(quantile);
                (nanos as f64, format!("{} ms", units::millis(nanos)))
            }
            Metric::Errors => fraction(tally.failed(), tally.total()),
            Metric::Late => fraction(total.late + total.dropped, total.arrivals),
            Metric::Stale => counted(tally.facts.stale),
            Metric::Corrupt => counted(tally.facts.corrupt),
            Metric::Siblings => counted(tally.facts.siblings),
        };
        let is_met = match self.comparison {
            Comparison::Below => value < self.limit,
            Comparison::AtMost => value <= self.limit,
        };
        (!is_met).then(|| format!("{}: {shown}", self.text))
    }
}

fn fraction(part: u64, whole: u64) -> (f64, String) {
    let share = units::share(part, whole);
    (share, units::percentage(share))
}

fn counted(count: u64) -> (f64, String) {
    (count as f64, count.to_string())
}

impl FromStr for Objective {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || {
            format!(
                "`{text}` is not an objective; write one such as p99<10ms, get.p99.9<=20ms, errors<0.1% or stale<=0"
            )
        };
        let at = text.find('<').ok_or_else(form)?;
        let (left, right) = text.split_at_checked(at).ok_or_else(form)?;
        let right = right.strip_prefix('<').unwrap_or(right);
        let (comparison, limit) = match right.strip_prefix('=') {
            Some(limit) => (Comparison::AtMost, limit.trim()),
            None => (Comparison::Below, right.trim()),
        };
        let (op, name) = operation(left.trim());
        let metric = metric(name).ok_or_else(form)?;
        let limit = match metric {
            Metric::Quantile(_) | Metric::Mean | Metric::Scheduling(_) => {
                units::nanos(units::positive_span(limit)?) as f64
            }
            Metric::Errors | Metric::Late => units::percent(limit)?,
            Metric::Stale | Metric::Corrupt | Metric::Siblings => {
                limit.parse::<u32>().map(f64::from).map_err(|_| form())?
            }
        };
        let is_of_all = matches!(metric, Metric::Late | Metric::Scheduling(_));
        if is_of_all && op.is_some() {
            return Err(format!(
                "`{text}`: being late is no matter of an operation; write late<1% or scheduling.p99.9<1ms"
            ));
        }
        Ok(Self { text: text.to_owned(), op, metric, comparison, limit })
    }
}

/// Splits `get.p99` into the operation and the rest.
fn operation(name: &str) -> (Option<Op>, &str) {
    let Some((first, rest)) = name.split_once('.') else { return (None, name) };
    match Op::ALL.into_iter().find(|op| op.name() == first) {
        Some(op) => (Some(op), rest),
        None => (None, name),
    }
}

fn metric(name: &str) -> Option<Metric> {
    if let Some(of_scheduling) = name.strip_prefix("scheduling.") {
        let Metric::Quantile(quantile) = metric(of_scheduling)? else { return None };
        return Some(Metric::Scheduling(quantile));
    }
    match name {
        "max" => return Some(Metric::Quantile(1.0)),
        "mean" => return Some(Metric::Mean),
        "errors" => return Some(Metric::Errors),
        "late" => return Some(Metric::Late),
        "stale" => return Some(Metric::Stale),
        "corrupt" => return Some(Metric::Corrupt),
        "siblings" => return Some(Metric::Siblings),
        _ => {}
    }
    let percent: f64 = name.strip_prefix('p')?.parse().ok()?;
    (percent.is_finite() && (0.0..=100.0).contains(&percent))
        .then_some(Metric::Quantile(percent / 100.0))
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl TryFrom<String> for Objective {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Objective> for String {
    fn from(objective: Objective) -> Self {
        objective.text
    }
}
