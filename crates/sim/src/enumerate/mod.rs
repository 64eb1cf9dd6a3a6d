//! The crash enumerator: every legal image after every disk call of short histories of the storage engine.
//!
//! Run by `cargo xtask sim` and by this crate's tests; the node is not involved.
//!
//! 1. Workloads are numbered: at most four steps, shortest first, on a fresh or a seeded store, for both durabilities,
//!    two sizes of memtable and two choices of the values that are separated (`workload.rs`).
//! 2. A workload is run once on a simulated disk that keeps the disk's volume before each changing call of the *last*
//!    step (`record.rs`); the steps before it are the last steps of shorter workloads.
//! 3. At each of these crash points all legal images are built, or a biased sample if there are too many
//!    (`images.rs`); an image that was judged before is counted only.
//! 4. Each image is opened and judged: acknowledged writes are there, what is there is a prefix, a second recovery
//!    changes nothing, no file is left over, and the store takes writes again (`judge.rs`).
//! 5. Some recoveries are recorded themselves and crashed at each of their calls (`explore.rs`).
//!
//! Invariants
//! - Equal options give equal summaries.
//! - A violation names the workload, the call and the surviving items: enough to build the image again by hand.
//!
//! Source: Pillai et al., OSDI 2014 (ALICE); Mohan et al., "Finding Crash-Consistency Bugs with Bounded Black-Box
//! Crash Testing", OSDI 2018: most reported bugs need at most three operations after an fsync.

mod explore;

mod judge;

mod images;

mod record;

mod workload;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use atoll_storage::Disk;

use crate::disk::SimDisk;
use explore::Explorer;

/// Violations kept with their account; more are only counted.
const VIOLATIONS_KEPT_MAX: usize = 20;

/// Of these, violations of one workload: they mostly have one cause.
const VIOLATIONS_PER_WORKLOAD_MAX: usize = 2;

/// What to enumerate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Stop after the workload that reaches this many images of its crash points (those of recoveries come on top).
    pub images: u64,
    /// Chance for what is sampled.
    pub seed: u64,
    /// Number of the first workload.
    pub first_workload: u64,
}

/// What was enumerated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Workloads run.
    pub workloads: u64,
    /// The workload to go on with; `None` if all were run.
    pub next_workload: Option<u64>,
    /// Their steps.
    pub operations: u64,
    /// Workloads whose last step met or made value files.
    pub with_values: u64,
    /// Workloads whose last step relocated values: crash points lie within the relocation.
    pub with_relocation: u64,
    /// Moments at which crashes were tried.
    pub crash_points: u64,
    /// Images built of these moments.
    pub images: u64,
    /// Images that no earlier one equalled, content and expectation alike; each was recovered and judged.
    pub images_distinct: u64,
    /// Images of crashes during recovery, repetitions included.
    pub images_depth_two: u64,
    /// Of those, the ones judged.
    pub images_depth_two_distinct: u64,
    /// Wrong outcomes.
    pub violations_found: u64,
    /// The first of them.
    pub violations: Vec<Violation>,
}

/// A legal image from which the store did not come back as promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Number of the workload.
    pub workload: u64,
    /// Its store, options and steps.
    pub story: String,
    /// Number of disk calls before the crash, and the call that was not made any more.
    pub crash_point: String,
    /// What survived of what was not synced.
    pub surviving: Vec<String>,
    /// What is wrong.
    pub problem: String,
}

/// Enumerates crash images until `options.images` of them were seen, or all workloads were run.
pub fn enumerate(options: &Options) -> Summary {
    enumerate_on(options, &|disk| Arc::new(disk))
}

/// Puts a disk under the engine; tests put a broken one in between.
type Wrap<'a> = &'a dyn Fn(SimDisk) -> Arc<dyn Disk>;

fn enumerate_on(options: &Options, wrap: Wrap<'_>) -> Summary {
    let mut explorer = Explorer::new(options.seed, wrap);
    let mut number = options.first_workload;
    while explorer.summary().images < options.images {
        let Some(workload) = workload::Workload::numbered(number) else {
            return explorer.finish(None);
        };
        explorer.explore(number, &workload);
        number += 1;
    }
    explorer.finish(Some(number))
}

impl Summary {
    fn add(&mut self, violation: Violation) {
        self.violations_found += 1;
        let kept = self.violations.iter();
        let alike = kept.filter(|kept| kept.workload == violation.workload).count();
        if self.violations.len() < VIOLATIONS_KEPT_MAX && alike < VIOLATIONS_PER_WORKLOAD_MAX {
            self.violations.push(violation);
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} workloads of {} operations ({} with value files, {} with relocation), {} crash points, {} images ({} \
             distinct), {} images of crashes during recovery ({} distinct), {} violations",
            self.workloads,
            self.operations,
            self.with_values,
            self.with_relocation,
            self.crash_points,
            self.images,
            self.images_distinct,
            self.images_depth_two,
            self.images_depth_two_distinct,
            self.violations_found,
        )?;
        self.violations.iter().try_for_each(|violation| write!(f, "\n\n{violation}"))
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let surviving = match self.surviving.as_slice() {
            [] => "nothing".to_owned(),
            items => items.join(", "),
        };
        write!(
            f,
            "workload {}: {}\n  crash: {}\n  survived: {surviving}\n  problem: {}",
            self.workload, self.story, self.crash_point, self.problem
        )
    }
}
