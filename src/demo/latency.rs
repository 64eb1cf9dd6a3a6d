//! Step: what each consistency level costs, measured.
//!
//! 1. From the home datacenter, one operation after the other: [`OPERATIONS`] puts and as many gets per level.
//! 2. Print median and 99th percentile ([`Measured`], an HDR histogram each).
//! 3. Hold them against the round-trip times: local levels stay local, levels that ask everybody pay the ocean.
//!
//! Invariants
//! - The judgement uses medians: a busy machine delays single operations, not half of them.

use std::time::Duration;

use atoll_client::{Error, Keyspace, Level};
use comfy_table::CellAlignment::{self, Left, Right};
use hdrhistogram::Histogram;

use super::DemoError;
use super::site::Site;
use super::stage::Stage;
use crate::dev::table;
use crate::env::Env;

/// Operations per level and kind.
const OPERATIONS: usize = 30;

/// Longest latency that is told apart, in microseconds: a minute.
const MICROS_MAX: u64 = 60_000_000;

/// Significant digits of a latency.
const DIGITS: u8 = 3;

/// The levels, in the order of what they wait for.
const LEVELS: [Level; 7] = [
    Level::One,
    Level::LocalOne,
    Level::LocalQuorum,
    Level::LocalQuorumPlus(1),
    Level::Quorum,
    Level::EachQuorum,
    Level::All,
];

/// The latencies of one level.
pub(super) struct Measured {
    pub(super) level: Level,
    pub(super) put: Histogram<u64>,
    pub(super) get: Histogram<u64>,
}

/// Measures all levels and judges them.
pub(super) async fn measure(stage: &mut Stage<'_>, site: &Site<'_>) -> Result<(), DemoError> {
    let home = site.home();
    stage.begin(&format!("Measure every level from {home}"))?;
    let keyspace = site.keyspace(home);
    let mut all = Vec::with_capacity(LEVELS.len());
    for level in LEVELS {
        let measured = measure_level(&site.env, &keyspace, level).await;
        all.push(measured.map_err(|what| stage.failure(what))?);
    }
    stage.say(&latencies(&all))?;
    stage.say("(nine processes and an emulated ocean on one machine: look at the differences)")?;
    let result = judge(&all, &site.round_trips()).map_err(|what| stage.failure(what))?;
    stage.done(result)?;
    Ok(())
}

async fn measure_level(env: &Env, keyspace: &Keyspace, level: Level) -> Result<Measured, String> {
    let failed = |error: Error| format!("{level}: {error}");
    let (mut put, mut get) = (empty()?, empty()?);
    for number in 0..OPERATIONS {
        let key = format!("latency/{level}/{number}");
        let begun = env.mono();
        let written = keyspace.put(&key, "measured").level(level).await;
        written.map_err(failed)?;
        put.saturating_record(micros(env.mono().since(begun)));
        let begun = env.mono();
        let found = keyspace.get(&key).level(level).await;
        found.map_err(failed)?;
        get.saturating_record(micros(env.mono().since(begun)));
    }
    Ok(Measured { level, put, get })
}

fn empty() -> Result<Histogram<u64>, String> {
    Histogram::new_with_bounds(1, MICROS_MAX, DIGITS).map_err(|error| error.to_string())
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// A quantile as people read it.
fn quantile(histogram: &Histogram<u64>, quantile: f64) -> Duration {
    Duration::from_micros(histogram.value_at_quantile(quantile))
}

fn median(histogram: &Histogram<u64>) -> Duration {
    quantile(histogram, 0.5)
}

fn latencies(all: &[Measured]) -> String {
    const COLUMNS: [(&str, CellAlignment); 5] = [
        ("LEVEL", Left),
        ("PUT p50", Right),
        ("PUT p99", Right),
        ("GET p50", Right),
        ("GET p99", Right),
    ];
    let shown = |histogram: &Histogram<u64>, at: f64| {
        format!("{:.1} ms", quantile(histogram, at).as_secs_f64() * 1_000.0)
    };
    let row = |Measured { level, put, get }: &Measured| {
        [level.to_string(), shown(put, 0.5), shown(put, 0.99), shown(get, 0.5), shown(get, 0.99)]
    };
    table(COLUMNS, all.iter().map(row))
}

/// Holds the medians against the round trips from here, shortest first; says what was found, or what is wrong.
pub(super) fn judge(all: &[Measured], round_trips: &[Duration]) -> Result<String, String> {
    let (Some(&nearest), Some(&farthest)) = (round_trips.first(), round_trips.last()) else {
        return Err("there is no other datacenter to compare with".to_owned());
    };
    let of = |level: Level| {
        let found = all.iter().find(|measured| measured.level == level);
        found.ok_or_else(|| format!("{level} was not measured"))
    };
    let (local, each) = (of(Level::LocalQuorum)?, of(Level::EachQuorum)?);
    for (kind, histogram) in [("put", &local.put), ("get", &local.get)] {
        let median = median(histogram);
        if median >= nearest / 2 {
            return Err(format!(
                "LOCAL_QUORUM must stay local: its {kind} p50 is {median:?}, and half of the shortest round trip is {:?}",
                nearest / 2
            ));
        }
    }
    for (kind, histogram) in [("put", &each.put), ("get", &each.get)] {
        let median = median(histogram);
        if median < farthest {
            return Err(format!(
                "EACH_QUORUM must hear from every datacenter: its {kind} p50 is {median:?}, and the longest round \
                 trip is {farthest:?}"
            ));
        }
    }
    Ok(format!(
        "LOCAL_QUORUM stays local ({:.1?}), EACH_QUORUM pays the ocean ({:.0?})",
        median(&local.put),
        median(&each.put)
    ))
}
