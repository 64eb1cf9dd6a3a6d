//! Tests the simulator itself: how many seeds until each seeded bug is found?
//!
//! 1. Every worker of a hunt is armed with one mutant; the hunt is a batch that stops at its first failure.
//! 2. What counts is the lowest failing seed, so that the result does not depend on the number of workers. It is run again
//!    without the mutant: a seed that fails all the same shows a bug of Atoll's own, and finds no mutant.
//! 3. The table says for each mutant whether it was found, by which invariant, and how often its line was reached: one
//!    that is reached and not found lacks a checker, one that is not reached lacks a situation.
//!
//! Mutants exist only with the feature `seeded_bug`; without it [`candidates`] and [`arm`] say so.

use std::time::Duration;

use crate::enumerate;
use crate::plan::Tier;

use super::{Event, Failure, Options, Repeat, Stop, Summary, Worker, batch, invariants_of_failure};

/// Said by everything that needs mutants where there are none.
#[cfg(not(feature = "seeded_bug"))]
const ABSENT: &str = "no mutant is compiled in: use `cargo xtask sim mutants`";

/// Crash images that the enumerator judges before it looks whether anything was found.
const IMAGES_AT_ONCE: u64 = 20_000;

/// A seeded bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name, as `--mutant` takes it.
    pub name: String,
    /// What is wrong.
    pub description: String,
    /// Where the like of it was seen.
    pub source: String,
    /// Who hunts it.
    pub hunter: Hunter,
}

/// Who hunts a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hunter {
    /// Simulated clusters.
    Clusters,
    /// The crash enumerator, in this process.
    Enumerator,
    /// Nobody here: the own tests of its module or crate notice it.
    OwnTests,
}

/// How the hunt for each mutant is done.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// Seeds at most.
    pub seeds: u64,
    /// Time at most.
    pub time: Option<Duration>,
    /// What the network is made of.
    pub tier: Tier,
}

/// A line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// The mutant.
    pub candidate: Candidate,
    /// Seeds until it was found, and the invariant that it violated; `None` if it was not.
    pub found: Option<(u64, String)>,
    /// Seeds that were run.
    pub seeds: u64,
    /// How often its line was reached.
    pub reached: u64,
    /// The seed at which the hunt ended, if it fails without the mutant as well, and how.
    pub own_bug: Option<(u64, String)>,
}

impl Hunt {
    /// Hunts `candidate` with `workers` that are armed with it; `unarmed` ones run the seed that they find once more.
    pub fn run<W: Worker + Send>(
        &self,
        candidate: Candidate,
        (workers, unarmed): (Vec<W>, Vec<W>),
        elapsed: impl Fn() -> Duration + Sync,
    ) -> Row {
        let options = Options {
            from: 0,
            seeds: Some(self.seeds),
            time: self.time,
            tier: self.tier,
            repeat: Repeat::Nothing,
            stop: Stop::AtFirstFailure,
        };
        let (summary, failures) = batch(&options, workers, &elapsed, |_: Event<'_>| ());
        let mut row = row(candidate, &summary, failures.first());
        if let Some(failure) = failures.first() {
            let once = Options { from: failure.seed, seeds: Some(1), time: None, ..options };
            let (_, failures) = batch(&once, unarmed, &elapsed, |_: Event<'_>| ());
            if let Some(own) = failures.first() {
                row.own_bug = Some((own.seed, invariants_of_failure(own).join(", ")));
                row.found = None;
            }
        }
        row
    }
}

/// Hunts `candidate`, which must be armed in this process, with the crash enumerator; its workloads count as seeds.
pub fn enumerate(candidate: Candidate, workloads_max: u64) -> Row {
    let mut first_workload = 0;
    while first_workload < workloads_max {
        let options = enumerate::Options { images: IMAGES_AT_ONCE, seed: 0, first_workload };
        let summary = enumerate::enumerate(&options);
        if let Some(violation) = summary.violations.first() {
            let told = format!("enumerator: {}", violation.problem);
            let found = Some((violation.workload + 1, told));
            return Row {
                candidate,
                found,
                seeds: violation.workload + 1,
                reached: reached(),
                own_bug: None,
            };
        }
        let Some(next) = summary.next_workload else { break };
        first_workload = next;
    }
    Row { candidate, found: None, seeds: first_workload, reached: reached(), own_bug: None }
}

/// `failure` is that of the lowest seed, and all lower seeds were run.
fn row(candidate: Candidate, summary: &Summary, failure: Option<&Failure>) -> Row {
    let found = failure.map(|failure| {
        let invariants = invariants_of_failure(failure);
        (failure.seed + 1, invariants.join(", "))
    });
    Row { candidate, found, seeds: summary.seeds, reached: summary.mutant_reached, own_bug: None }
}

/// The table, and the median of the seeds that were needed.
pub fn table(rows: &[Row]) -> String {
    let heads = ["mutant", "source", "found", "seeds", "reached", "invariant"];
    let mut cells = vec![heads.map(str::to_owned)];
    for row in rows {
        let (found, seeds, invariant) = match &row.found {
            Some((seeds, invariant)) => ("yes", *seeds, invariant.clone()),
            None => ("NO", row.seeds, String::new()),
        };
        let Candidate { name, source, .. } = row.candidate.clone();
        let reached = row.reached.to_string();
        cells.push([name, source, found.to_owned(), seeds.to_string(), reached, invariant]);
    }
    let mut text = aligned(&cells);
    let found: Vec<u64> = rows.iter().filter_map(|row| Some(row.found.as_ref()?.0)).collect();
    let median = median(found.clone()).map_or("none".to_owned(), |median| median.to_string());
    text += &format!("{} of {} found; median of seeds: {median}\n", found.len(), rows.len());
    text
}

fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count());
            line += &format!("{cell:<width$}  ", width = width.max().unwrap_or(0));
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// The lower one of the two in the middle, if there are two.
fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied()
}

/// Every mutant that is compiled in.
///
/// # Errors
/// Says how to get them where there are none.
#[cfg(feature = "seeded_bug")]
pub fn candidates() -> Result<Vec<Candidate>, String> {
    let candidate = |mutant: &atoll_seeded_bug::Mutant| Candidate {
        name: mutant.name().to_string(),
        description: mutant.describe().to_string(),
        source: mutant.source().to_string(),
        hunter: match mutant.finder() {
            atoll_seeded_bug::Finder::Enumerator => Hunter::Enumerator,
            atoll_seeded_bug::Finder::OwnTests => Hunter::OwnTests,
            _ => Hunter::Clusters,
        },
    };
    Ok(atoll_seeded_bug::Mutant::ALL.iter().map(candidate).collect())
}

/// Every mutant that is compiled in.
///
/// # Errors
/// Says how to get them where there are none.
#[cfg(not(feature = "seeded_bug"))]
pub fn candidates() -> Result<Vec<Candidate>, String> {
    Err(ABSENT.to_owned())
}

/// Arms the mutant called `name` in this process.
///
/// # Errors
/// No mutant has this name.
#[cfg(feature = "seeded_bug")]
pub fn arm(name: &str) -> Result<(), String> {
    let mutant = name.parse::<atoll_seeded_bug::Mutant>().map_err(|_| {
        let names: Vec<String> =
            atoll_seeded_bug::Mutant::ALL.iter().map(|mutant| mutant.name().to_string()).collect();
        format!("there is no mutant `{name}`; there are {}", names.join(", "))
    })?;
    atoll_seeded_bug::arm(Some(mutant));
    Ok(())
}

/// Arms the mutant called `name` in this process.
///
/// # Errors
/// No mutant has this name.
#[cfg(not(feature = "seeded_bug"))]
pub fn arm(_name: &str) -> Result<(), String> {
    Err(ABSENT.to_owned())
}

/// How often the line of the armed mutant was reached in this process.
#[cfg(feature = "seeded_bug")]
pub(super) fn reached() -> u64 {
    atoll_seeded_bug::reached()
}

/// How often the line of the armed mutant was reached in this process.
#[cfg(not(feature = "seeded_bug"))]
pub(super) fn reached() -> u64 {
    0
}

#[cfg(test)]
mod tests;
