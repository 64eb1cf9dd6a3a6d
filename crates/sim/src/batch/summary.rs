//! Counts of a batch, and the paragraph at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Failure, KNOWN, KNOWN_FAULTS, Outcome, invariants_of_failure};

/// Everything that is counted.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The first seed.
    pub from: u64,
    /// Worker processes.
    pub workers: usize,
    /// Seeds that were run, second runs not counted.
    pub seeds: u64,
    /// Operations by outcome.
    pub operations: BTreeMap<String, u64>,
    /// Faults that took effect, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Situations, and in how many seeds each was reached.
    pub situations: BTreeMap<String, u64>,
    /// Violations by invariant; a seed counts once for each.
    pub violations: BTreeMap<String, u64>,
    /// Seeds that failed in any way.
    pub failures: u64,
    /// Virtual time that passed, second runs not counted.
    pub simulated: Duration,
    /// Time that workers were at work, second runs counted.
    pub busy: Duration,
    /// Time since the batch began.
    pub took: Duration,
    /// Seeds that ran a second time.
    pub compared: u64,
    /// Second runs whose trace hash was that of the first.
    pub equal: u64,
    /// How often the line of the armed mutant was reached.
    pub mutant_reached: u64,
}

impl Summary {
    pub(super) fn new(from: u64, workers: usize) -> Self {
        Self {
            from,
            workers,
            seeds: 0,
            operations: BTreeMap::new(),
            faults: BTreeMap::new(),
            situations: BTreeMap::new(),
            violations: BTreeMap::new(),
            failures: 0,
            simulated: Duration::ZERO,
            busy: Duration::ZERO,
            took: Duration::ZERO,
            compared: 0,
            equal: 0,
            mutant_reached: 0,
        }
    }

    pub(super) fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.simulated += outcome.simulated;
        self.mutant_reached += outcome.mutant_reached;
        add_all(&mut self.operations, &outcome.operations);
        add_all(&mut self.faults, &outcome.faults);
        for (name, _) in outcome.situations.iter().filter(|(_, count)| **count > 0) {
            *self.situations.entry(name.clone()).or_default() += 1;
        }
    }

    pub(super) fn add_failure(&mut self, failure: &Failure) {
        self.failures += 1;
        for invariant in invariants_of_failure(failure) {
            *self.violations.entry(invariant).or_default() += 1;
        }
    }

    /// Virtual seconds that one second of one core simulates.
    pub fn speed(&self) -> f64 {
        let busy = self.busy.as_secs_f64();
        if busy > 0.0 { self.simulated.as_secs_f64() / busy } else { 0.0 }
    }

    /// The paragraph.
    pub fn text(&self) -> String {
        let faults_missing = missing(KNOWN_FAULTS, &self.faults);
        let situations_missing = missing(KNOWN, &self.situations);
        let operations: u64 = self.operations.values().sum();
        let injected: u64 = self.faults.values().sum();
        let lines = [
            ("seeds", self.seed_text()),
            ("operations", format!("{operations}{}", list(&self.operations))),
            ("simulated", self.time_text()),
            ("faults", format!("{injected}{}", list(&self.faults))),
            ("  never", faults_missing),
            ("situations", format!("{}{}", self.situations.len(), list(&self.situations))),
            ("  never", situations_missing),
            ("determinism", format!("{} of {} equal", self.equal, self.compared)),
            ("violations", format!("{}{}", self.failures, list(&self.violations))),
        ];
        let shown = lines.iter().filter(|(name, text)| !(name.starts_with(' ') && text.is_empty()));
        shown.map(|(name, text)| format!("{name:<13}{text}\n")).collect()
    }

    fn seed_text(&self) -> String {
        match self.seeds {
            0 => "none".to_owned(),
            1 => format!("1 ({})", self.from),
            count => format!("{count} ({} to {})", self.from, self.from + (count - 1)),
        }
    }

    fn time_text(&self) -> String {
        format!(
            "{:.0} s in {:.1} s with {} workers: {:.1} s per second and core",
            self.simulated.as_secs_f64(),
            self.took.as_secs_f64(),
            self.workers,
            self.speed()
        )
    }
}

fn add_all(sums: &mut BTreeMap<String, u64>, counts: &BTreeMap<String, u64>) {
    for (name, count) in counts {
        *sums.entry(name.clone()).or_default() += count;
    }
}

/// `: a 1, b 2`, the most frequent first; nothing if there is nothing.
fn list(counts: &BTreeMap<String, u64>) -> String {
    let mut entries: Vec<(&String, &u64)> = counts.iter().collect();
    entries.sort_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
    let words: Vec<String> =
        entries.iter().map(|(name, count)| format!("{name} {count}")).collect();
    if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) }
}

fn missing(names: &[&str], counts: &BTreeMap<String, u64>) -> String {
    let absent: Vec<&str> =
        names.iter().copied().filter(|&name| counts.get(name).is_none_or(|&n| n == 0)).collect();
    absent.join(", ")
}
