//! Several rounds become one number: medians, spreads and ratios.
//!
//! 1. [`Rounds`] holds the reports of one phase of one engine, by round.
//! 2. [`Spread`] is the median of a figure with its extremes.
//! 3. [`Rounds::ratio`] divides within each round first and takes the median then: a disturbance that lasts longer than
//!    a round cancels out.

use std::collections::BTreeMap;

use crate::engine::EngineName;
use crate::phase::Phase;
use crate::report::{PhaseReport, RunReport};

/// One phase of one engine in all rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rounds<'a> {
    reports: BTreeMap<u32, &'a PhaseReport>,
}

/// The median of some numbers, and the extremes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// The median; the mean of the middle two, if their number is even.
    pub(crate) median: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The largest.
    pub(crate) max: f64,
}

/// Figures of a phase, where they exist.
pub(crate) type Figure = fn(&PhaseReport) -> Option<f64>;

impl<'a> Rounds<'a> {
    /// The rounds of `phase` of `engine` with values of `value_bytes`; none if it was not run.
    pub(crate) fn of(
        runs: &'a [RunReport],
        engine: EngineName,
        value_bytes: usize,
        phase: Phase,
    ) -> Rounds<'a> {
        let ours = |run: &&RunReport| run.engine == engine && run.value_bytes == value_bytes;
        let phases = runs.iter().filter(ours).flat_map(|run| {
            run.phases.iter().filter(|one| one.phase == phase).map(|one| (run.round, one))
        });
        Rounds { reports: phases.collect() }
    }

    /// How many rounds there are.
    pub(crate) fn count(&self) -> usize {
        self.reports.len()
    }

    /// Any of the reports.
    pub(crate) fn any(&self) -> Option<&'a PhaseReport> {
        self.reports.values().next().copied()
    }

    /// The spread of `figure` over all rounds.
    pub(crate) fn spread(&self, figure: Figure) -> Option<Spread> {
        Spread::of(self.reports.values().filter_map(|report| figure(report)))
    }

    /// The figure of one round.
    pub(crate) fn figure(&self, round: u32, figure: Figure) -> Option<f64> {
        figure(self.reports.get(&round)?)
    }

    /// Spread over the rounds of our figure divided by `theirs` of the same round.
    pub(crate) fn ratio(
        &self,
        figure: Figure,
        theirs: impl Fn(u32) -> Option<f64>,
    ) -> Option<Spread> {
        let in_round = |round: &u32| Some(self.figure(*round, figure)? / theirs(*round)?);
        Spread::of(self.reports.keys().filter_map(in_round))
    }
}

impl Spread {
    /// `None` without numbers.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            1 => *sorted.get(middle)?,
            _ => f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, *sorted.get(middle)?),
        };
        Some(Spread { median, min: *sorted.first()?, max: *sorted.last()? })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Rounds, Spread};
    use crate::engine::EngineName;
    use crate::phase::{Phase, Scenario};
    use crate::report::{Cost, PhaseReport, RunReport};

    /// A run of one phase with `operations` in one second.
    pub(crate) fn run(engine: EngineName, phase: Phase, round: u32, operations: u64) -> RunReport {
        let phase = PhaseReport {
            phase,
            threads: 2,
            operations,
            user_bytes_written: 1_000,
            client_cpu_seconds: 1.0,
            latency: None,
            cost: Cost { seconds: 1.0, cpu_seconds: 1.0, write_bytes: 2_500, ..Cost::default() },
            settle: Some(Cost { cpu_seconds: 1.0, write_bytes: 500, ..Cost::default() }),
            device_write_bytes: Some(2_000),
            peak_memory_bytes: 0,
            disk_bytes: 1_200,
            live_bytes: 1_000,
            notes: String::new(),
        };
        let scenario = Scenario::Bulk;
        let (value_bytes, records, cache_bytes) = (1_024, 1, 1);
        RunReport {
            engine,
            scenario,
            value_bytes,
            records,
            cache_bytes,
            round,
            phases: vec![phase],
        }
    }

    #[test]
    fn medians_of_odd_and_even_numbers() {
        let spread = Spread::of([9.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max), (2.0, 1.0, 9.0));
        assert_eq!(Spread::of([1.0, 4.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The second round is ten times slower for everybody: the ratio does not mind.
        let ours = [(0, 300), (1, 20), (2, 100)];
        let runs: Vec<_> = ours
            .map(|(round, rate)| run(EngineName::Atoll, Phase::Fill, round, rate))
            .into_iter()
            .collect();
        let rounds = Rounds::of(&runs, EngineName::Atoll, 1_024, Phase::Fill);
        let theirs = |round| [Some(100.0), Some(10.0), None][round as usize];
        let ratio = rounds.ratio(|report| Some(report.rate()), theirs).unwrap();
        assert_eq!((ratio.median, ratio.min, ratio.max), (2.5, 2.0, 3.0));
    }

    #[test]
    fn settling_counts_towards_writes_and_cpu() {
        let run = run(EngineName::Atoll, Phase::Fill, 0, 1_000);
        let phase = &run.phases[0];
        assert_eq!(phase.write_amplification(), Some(2.0));
        assert_eq!(phase.space_amplification(), Some(1.2));
        assert!((phase.cpu_us_settled() - 2_000.0).abs() < 1e-9);
    }
}
