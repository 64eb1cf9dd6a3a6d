//! [`Explorer`]: from a workload to the judged images of all its crash points.
//!
//! 1. Record the workload; take its crash points in order.
//! 2. At each: the images of a power loss, and the one of a killed process, whose unsynced bytes are still unsynced.
//! 3. Judge those that were not judged before with an expectation that accepts the same.
//! 4. Crash the recovery of some of them, chosen by chance, at each of its calls.
//!
//! Invariants
//! - What a power loss has left is on the platter: every recovery of such an image finds the same batches.
//! - After a killed process a power loss during recovery may take unsynced batches, until recovery has returned.

use std::collections::BTreeSet;

use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::disk::{Survival, Unsynced, Volume};
use crate::prng::Prng;

use super::images::{FIRST, SECOND, for_each_survival};
use super::judge::Expectation;
use super::record::{Point, Promise, Recording, record, record_recovery};
use super::workload::{Model, Workload};
use super::{Summary, Violation, Wrap};

/// Of 1 000 images judged, those whose recovery is crashed: each costs some hundred images more.
const POWER_LOSSES_CRASHED_AGAIN_PER_MILLE: u32 = 10;

/// Of 1 000 killed processes, those whose recovery is crashed.
const KILLS_CRASHED_AGAIN_PER_MILLE: u32 = 250;

/// Explores workloads one after the other.
pub(super) struct Explorer<'a> {
    wrap: Wrap<'a>,
    prng: Prng,
    judged: BTreeSet<u128>,
    summary: Summary,
}

/// The workload in hand.
#[derive(Clone, Copy)]
struct Case<'a> {
    number: u64,
    workload: &'a Workload,
    model: &'a Model,
}

/// Where an image comes from, for the account of a violation.
#[derive(Clone, Copy)]
struct Origin<'a> {
    case: Case<'a>,
    /// The crash during recovery comes after the one of the workload.
    points: [Option<&'a str>; 2],
    /// Empty for a killed process.
    survivors: [Option<(&'a Unsynced, &'a Survival)>; 2],
}

impl<'a> Explorer<'a> {
    pub(super) fn new(seed: u64, wrap: Wrap<'a>) -> Self {
        let prng = Prng::stream(seed, "enumerate");
        Self { wrap, prng, judged: BTreeSet::new(), summary: Summary::default() }
    }

    pub(super) fn summary(&self) -> &Summary {
        &self.summary
    }

    pub(super) fn finish(mut self, next_workload: Option<u64>) -> Summary {
        self.summary.next_workload = next_workload;
        self.summary
    }

    /// Explores one workload.
    pub(super) fn explore(&mut self, number: u64, workload: &Workload) {
        self.summary.workloads += 1;
        self.summary.operations += workload.steps.len() as u64;
        match record(workload, self.wrap) {
            Ok(Recording { model, points, value_files, relocations }) => {
                self.summary.with_values += u64::from(value_files > 0);
                self.summary.with_relocation += u64::from(relocations > 0);
                let case = Case { number, workload, model: &model };
                points.iter().for_each(|point| self.explore_point(case, point));
            }
            Err(error) => self.summary.add(Violation {
                workload: number,
                story: workload.to_string(),
                crash_point: "none".to_owned(),
                surviving: Vec::new(),
                problem: format!("the workload itself fails: {error}"),
            }),
        }
    }

    fn explore_point(&mut self, case: Case<'_>, point: &Point) {
        self.summary.crash_points += 1;
        let unsynced = point.volume.unsynced();
        let mut survivals = Vec::new();
        for_each_survival(&unsynced, FIRST, &mut self.prng, |survival| {
            survivals.push(survival.clone());
        });
        let promise = point.promise;
        for survival in &survivals {
            let image = point.volume.image(&unsynced, survival);
            self.summary.images += 1;
            let origin = Origin {
                case,
                points: [Some(&point.words), None],
                survivors: [Some((&unsynced, survival)), None],
            };
            let expectation = case.expect(promise.durable, promise.invoked);
            let Some(found) = self.judge_first(&image, expectation, origin) else {
                continue;
            };
            if self.prng.per_mille(POWER_LOSSES_CRASHED_AGAIN_PER_MILLE) {
                let promise = Promise { invoked: found, acknowledged: found, durable: found };
                self.explore_recovery(&image, promise, found, origin);
            }
        }
        self.explore_kill(case, point);
    }

    fn explore_kill(&mut self, case: Case<'_>, point: &Point) {
        let image = point.volume.without_orphans();
        self.summary.images += 1;
        let origin = Origin { case, points: [Some(&point.words), None], survivors: [None, None] };
        let expectation = case.expect(point.promise.acknowledged, point.promise.invoked);
        if let Some(found) = self.judge_first(&image, expectation, origin)
            && self.prng.per_mille(KILLS_CRASHED_AGAIN_PER_MILLE)
        {
            let promise = Promise { invoked: found, ..point.promise };
            self.explore_recovery(&image, promise, found, origin);
        }
    }

    /// Crashes the recovery of `image`, which finds `found` batches, at each of its calls.
    fn explore_recovery(
        &mut self,
        image: &Volume,
        promise: Promise,
        found: usize,
        origin: Origin<'_>,
    ) {
        let case = origin.case;
        let Ok(mut points) = record_recovery(case.workload, image, promise, self.wrap) else {
            return; // judged already
        };
        if let Some(last) = points.last_mut() {
            last.promise.durable = found; // served from now on
        }
        for point in &points {
            let unsynced = point.volume.unsynced();
            let mut survivals = Vec::new();
            for_each_survival(&unsynced, SECOND, &mut self.prng, |survival| {
                survivals.push(survival.clone());
            });
            for survival in &survivals {
                let image = point.volume.image(&unsynced, survival);
                self.summary.images_depth_two += 1;
                let [first, _] = origin.points;
                let [before, _] = origin.survivors;
                let origin = Origin {
                    case,
                    points: [first, Some(&point.words)],
                    survivors: [before, Some((&unsynced, survival))],
                };
                let expectation = case.expect(point.promise.durable, found);
                if self.is_new(&image, expectation) {
                    self.summary.images_depth_two_distinct += 1;
                    self.judge(&image, expectation, origin);
                }
            }
        }
    }

    fn judge_first(
        &mut self,
        image: &Volume,
        expectation: Expectation<'_>,
        origin: Origin<'_>,
    ) -> Option<usize> {
        if !self.is_new(image, expectation) {
            return None;
        }
        self.summary.images_distinct += 1;
        self.judge(image, expectation, origin)
    }

    /// Whether no equal image was judged with an equal expectation.
    fn is_new(&mut self, image: &Volume, expectation: Expectation<'_>) -> bool {
        let unsynced = image.unsynced();
        let mut hashes = image.hash().to_le_bytes().to_vec();
        if unsynced.len() > 0 {
            // A killed process leaves bytes that its successor reads, and that a power loss may still take.
            let platter = image.image(&unsynced, &Survival::nothing(unsynced.len()));
            hashes.extend(platter.hash().to_le_bytes());
        }
        self.judged.insert(xxh3_128_with_seed(&hashes, expectation.hash()))
    }

    fn judge(
        &mut self,
        image: &Volume,
        expectation: Expectation<'_>,
        origin: Origin<'_>,
    ) -> Option<usize> {
        match expectation.judge(image, self.wrap) {
            Ok(found) => Some(found),
            Err(problem) => {
                self.summary.add(origin.violation(problem));
                None
            }
        }
    }
}

impl<'a> Case<'a> {
    fn expect(self, at_least: usize, at_most: usize) -> Expectation<'a> {
        Expectation { workload: self.workload, model: self.model, at_least, at_most }
    }
}

impl Origin<'_> {
    fn violation(&self, problem: String) -> Violation {
        let mut surviving = Vec::new();
        for survivors in self.survivors.iter().zip(&self.points) {
            match survivors {
                (Some((unsynced, survival)), _) => surviving.extend(unsynced.words(survival)),
                (None, Some(_)) => surviving.push("the page cache (process killed)".to_owned()),
                (None, None) => {}
            }
        }
        let points: Vec<&str> = self.points.iter().copied().flatten().collect();
        Violation {
            workload: self.case.number,
            story: self.case.workload.to_string(),
            crash_point: points.join("; then in its recovery "),
            surviving,
            problem,
        }
    }
}
