//! What Atoll is held to: each figure against the best rival of the same round, and a bound for it.
//!
//! 1. [`RULES`] lists the rows of the ratio table, with bounds per value size.
//! 2. [`Row::judge`] finds the best rival round by round, divides, takes the median, and compares it with the bound.
//!
//! Invariant: a row without a bound is information; it neither passes nor misses.

use crate::engine::EngineName;
use crate::phase::Phase;
use crate::report::{PhaseReport, RunReport};
use crate::summary::{Figure, Rounds, Spread};

use Against::{Absolute, BestEngine, BestEngineIn, BestOf};
use Bound::{AtLeast, AtMost};
use EngineName::{Atoll, BareAppend, BareOverwrite, Fjall, FjallKv, Rocksdb, RocksdbBlob};

const RIVALS: &[EngineName] = &[Rocksdb, RocksdbBlob, Fjall, FjallKv];
const ROCKS: &[EngineName] = &[Rocksdb, RocksdbBlob];

/// Every value size.
const ANY: usize = 0;

/// A figure that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metric {
    Rate,
    CpuSettled,
    WriteAmplification,
    SpaceAmplification,
    P9999Ms,
}

/// What a figure is compared with.
#[derive(Clone, Copy, Debug)]
enum Against {
    /// The best rival in the same phase.
    BestEngine,
    /// The best rival in another phase.
    BestEngineIn(Phase),
    /// The best of these.
    BestOf(&'static [EngineName]),
    /// Nothing: the figure itself is bounded.
    Absolute,
}

/// Where a ratio or figure must be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// A row of the ratio table.
struct Rule {
    phase: Phase,
    metric: Metric,
    against: Against,
    /// By value size.
    bounds: &'static [(usize, Bound)],
}

const fn rule(
    phase: Phase,
    metric: Metric,
    against: Against,
    bounds: &'static [(usize, Bound)],
) -> Rule {
    Rule { phase, metric, against, bounds }
}

const RULES: &[Rule] = &[
    rule(
        Phase::Fill,
        Metric::Rate,
        BestEngine,
        &[(100, AtLeast(1.2)), (1_024, AtLeast(1.5)), (10_240, AtLeast(1.5))],
    ),
    rule(Phase::Fill, Metric::CpuSettled, BestEngine, &[(1_024, AtMost(0.7))]),
    rule(Phase::Fill, Metric::WriteAmplification, Absolute, &[(1_024, AtMost(1.5))]),
    rule(Phase::Fill, Metric::SpaceAmplification, Absolute, &[(ANY, AtMost(1.3))]),
    rule(Phase::Fill, Metric::P9999Ms, Absolute, &[(ANY, AtMost(100.0))]),
    rule(Phase::Mix, Metric::Rate, BestEngine, &[(1_024, AtLeast(1.3)), (10_240, AtLeast(1.5))]),
    rule(Phase::Mix, Metric::CpuSettled, BestEngine, &[]),
    rule(Phase::Mix, Metric::WriteAmplification, BestEngine, &[]),
    rule(Phase::Mix, Metric::SpaceAmplification, Absolute, &[(ANY, AtMost(1.3))]),
    rule(Phase::Uniform, Metric::Rate, BestEngine, &[(1_024, AtLeast(1.2))]),
    rule(Phase::Zipf, Metric::Rate, BestEngine, &[(1_024, AtLeast(1.3))]),
    rule(Phase::Miss, Metric::Rate, BestEngine, &[(1_024, AtLeast(1.1))]),
    rule(Phase::Cold, Metric::Rate, BestEngine, &[(1_024, AtLeast(1.2))]),
    rule(Phase::Cold16, Metric::Rate, BestEngine, &[]),
    rule(Phase::Scan, Metric::Rate, BestEngine, &[(1_024, AtLeast(0.7))]),
    rule(Phase::Digests, Metric::Rate, BestEngineIn(Phase::Scan), &[(1_024, AtLeast(5.0))]),
    rule(Phase::CachedUniform, Metric::Rate, BestEngine, &[]),
    rule(Phase::CachedZipf, Metric::Rate, BestEngine, &[]),
    rule(Phase::Durable1, Metric::Rate, BestOf(&[BareAppend]), &[(ANY, AtLeast(0.85))]),
    rule(Phase::Durable1, Metric::Rate, BestOf(&[BareOverwrite]), &[]),
    rule(Phase::Durable1, Metric::Rate, BestOf(ROCKS), &[]),
    rule(Phase::Durable8, Metric::Rate, BestOf(&[BareAppend]), &[]),
    rule(Phase::Durable8, Metric::Rate, BestOf(ROCKS), &[]),
    rule(Phase::Durable64, Metric::Rate, BestOf(&[BareAppend]), &[(ANY, AtLeast(0.8))]),
    rule(Phase::Durable64, Metric::Rate, BestOf(&[BareOverwrite]), &[]),
    rule(Phase::Durable64, Metric::Rate, BestOf(ROCKS), &[(ANY, AtLeast(1.5))]),
];

/// A judged row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// Phase and figure.
    pub(crate) what: String,
    /// Our median.
    pub(crate) ours: f64,
    /// The median of each round's best rival; none for an absolute figure.
    pub(crate) theirs: Option<f64>,
    /// Who was best most often, or what it was compared with.
    pub(crate) rival: String,
    /// What is judged: the ratio, or the figure itself.
    pub(crate) judged: Spread,
    /// The bound in words; empty without one.
    pub(crate) target: String,
    /// `pass` or `MISS`; empty without a bound.
    pub(crate) verdict: &'static str,
}

/// All rows that `runs` have the numbers for.
pub(crate) fn judge(runs: &[RunReport], value_bytes: usize) -> Vec<Row> {
    RULES.iter().filter_map(|rule| rule.judge(runs, value_bytes)).collect()
}

impl Rule {
    fn judge(&self, runs: &[RunReport], value_bytes: usize) -> Option<Row> {
        let ours = Rounds::of(runs, Atoll, value_bytes, self.phase);
        let figure = self.metric.figure();
        let (rivals, phase) = match self.against {
            BestEngine => (RIVALS, self.phase),
            BestEngineIn(phase) => (RIVALS, phase),
            BestOf(engines) => (engines, self.phase),
            Absolute => (&[][..], self.phase),
        };
        let rivals: Vec<(EngineName, Rounds<'_>)> = rivals
            .iter()
            .map(|engine| (*engine, Rounds::of(runs, *engine, value_bytes, phase)))
            .collect();
        let best = |round| self.metric.best(&rivals, round);
        let judged = match self.against {
            Absolute => ours.spread(figure)?,
            _ => ours.ratio(figure, |round| best(round).map(|(_, figure)| figure))?,
        };
        let bests: Vec<_> = (0..=last_round(runs)).filter_map(best).collect();
        let bound = self.bounds.iter().find(|(size, _)| [ANY, value_bytes].contains(size));
        Some(Row {
            what: format!("{} {}", self.phase, self.metric.name()),
            ours: ours.spread(figure)?.median,
            theirs: Spread::of(bests.iter().map(|(_, figure)| *figure)).map(|spread| spread.median),
            rival: most_frequent(&bests, phase, self.phase),
            judged,
            target: bound.map(|(_, bound)| bound.words()).unwrap_or_default(),
            verdict: match bound {
                None => "",
                Some((_, bound)) if bound.holds(judged.median) => "pass",
                Some(_) => "MISS",
            },
        })
    }
}

fn last_round(runs: &[RunReport]) -> u32 {
    runs.iter().map(|run| run.round).max().unwrap_or(0)
}

fn most_frequent(bests: &[(EngineName, f64)], phase: Phase, usual: Phase) -> String {
    let count = |engine| bests.iter().filter(|(other, _)| *other == engine).count();
    let engine = bests.iter().map(|(engine, _)| *engine).max_by_key(|engine| count(*engine));
    match engine {
        Some(engine) if phase == usual => engine.to_string(),
        Some(engine) => format!("{engine} ({phase})"),
        None => String::new(),
    }
}

impl Metric {
    fn name(self) -> &'static str {
        match self {
            Metric::Rate => "ops/s",
            Metric::CpuSettled => "CPU us/op, settled",
            Metric::WriteAmplification => "write amp, settled",
            Metric::SpaceAmplification => "space amp, settled",
            Metric::P9999Ms => "p99.99 ms",
        }
    }

    fn figure(self) -> Figure {
        match self {
            Metric::Rate => |report| Some(report.rate()),
            Metric::CpuSettled => |report| Some(report.cpu_us_settled()),
            Metric::WriteAmplification => PhaseReport::write_amplification,
            Metric::SpaceAmplification => PhaseReport::space_amplification,
            Metric::P9999Ms => |report| report.latency.map(|latency| latency.p9999_us / 1_000.0),
        }
    }

    /// The best of `rivals` in `round`.
    fn best(self, rivals: &[(EngineName, Rounds<'_>)], round: u32) -> Option<(EngineName, f64)> {
        let figures = rivals.iter().filter_map(|(engine, rounds)| {
            rounds.figure(round, self.figure()).map(|figure| (*engine, figure))
        });
        let order = |one: &(EngineName, f64), two: &(EngineName, f64)| one.1.total_cmp(&two.1);
        match self {
            Metric::Rate => figures.max_by(order),
            Metric::CpuSettled
            | Metric::WriteAmplification
            | Metric::SpaceAmplification
            | Metric::P9999Ms => figures.min_by(order),
        }
    }
}

impl Bound {
    fn holds(self, number: f64) -> bool {
        match self {
            AtLeast(bound) => number >= bound,
            AtMost(bound) => number <= bound,
        }
    }

    fn words(self) -> String {
        match self {
            AtLeast(bound) => format!(">= {bound}"),
            AtMost(bound) => format!("<= {bound}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::engine::EngineName::{Atoll, Fjall, FjallKv, Rocksdb};
    use crate::phase::Phase;
    use crate::summary::tests::run;

    #[test]
    fn the_best_rival_of_each_round_counts() {
        let runs = [
            run(Atoll, Phase::Fill, 0, 300),
            run(Rocksdb, Phase::Fill, 0, 100),
            run(Fjall, Phase::Fill, 0, 200),
            run(Atoll, Phase::Fill, 1, 400),
            run(Rocksdb, Phase::Fill, 1, 250),
            run(Fjall, Phase::Fill, 1, 200),
        ];
        let rows = judge(&runs, 1_024);
        let rate = &rows[0];
        assert_eq!((rate.what.as_str(), rate.ours), ("fill ops/s", 350.0));
        // 300 / 200 and 400 / 250.
        assert!((rate.judged.median - 1.55).abs() < 1e-9, "{rate:?}");
        assert_eq!((rate.target.as_str(), rate.verdict), (">= 1.5", "pass"));
        let writes = rows.iter().find(|row| row.what == "fill write amp, settled").unwrap();
        assert_eq!((writes.judged.median, writes.verdict, writes.theirs), (2.0, "MISS", None));
    }

    #[test]
    fn digests_are_compared_with_full_scans() {
        let runs = [
            run(Atoll, Phase::Digests, 0, 600),
            run(FjallKv, Phase::Digests, 0, 500),
            run(FjallKv, Phase::Scan, 0, 100),
        ];
        let rows = judge(&runs, 1_024);
        assert_eq!((rows[0].judged.median, rows[0].rival.as_str()), (6.0, "fjall-kv (scan)"));
    }

    #[test]
    fn without_rivals_only_absolute_rows_remain() {
        let rows = judge(&[run(Atoll, Phase::Fill, 0, 300)], 1_024);
        assert_eq!(rows.len(), 2, "write and space amplification: {rows:?}");
    }
}
