//! A run is not worse than itself; slower ones are, and more failures.

use super::{more_failures, rows};
use crate::measure::{Interval, Phase, Sample, Tally, Usage};
use crate::report::{Report, SCHEMA, Verdict};

/// Twenty seconds with 40 gets each, around `micros`, of which `failed` fail.
fn report(micros: u64, failed: u64) -> Report {
    let mut total = Sample::default();
    let mut intervals = Vec::new();
    for index in 0..20u64 {
        let mut tally = Tally::default();
        for request in 0..40 {
            tally.latency.record((micros + (request * 7 + index * 3) % 40) * 1_000);
        }
        if failed > 0 {
            tally.errors.insert("Deadline".to_owned(), failed);
        }
        let sample =
            Sample { series: [("get/ONE/eu".to_owned(), tally)].into(), ..Sample::default() };
        total.add(&sample);
        let (begin, usage) = (index as f64, Usage::default());
        intervals.push(Interval {
            index,
            phase: Phase::Measured,
            begin,
            seconds: 1.0,
            sample,
            usage,
            pacer: None,
        });
    }
    Report {
        schema: SCHEMA.to_owned(),
        version: String::new(),
        commit: None,
        began: String::new(),
        began_unix: 0.0,
        machine: crate::system::Machine::default(),
        plan: crate::plan::tests::plan(),
        seconds: 20.0,
        verdict: Verdict { invalid: Vec::new(), warnings: Vec::new() },
        total,
        intervals,
        events: Vec::new(),
        nodes: Vec::new(),
        cluster: None,
    }
}

#[test]
fn a_run_is_not_worse_than_itself() {
    let run = report(1_000, 0);
    let rows = rows(&run, &run, 0.0);
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|row| row.verdict.is_empty() && row.difference.change == 0.0));
    assert!(more_failures(&run, &run).is_empty());
}

#[test]
fn a_slower_run_is_worse_beyond_the_tolerance() {
    let (before, after) = (report(1_000, 0), report(1_100, 2));
    let worse = |tolerance| {
        rows(&before, &after, tolerance).iter().filter(|row| row.verdict == "WORSE").count()
    };
    assert_eq!(worse(0.05), 4, "every percentile, and not the rate");
    assert_eq!(worse(0.5), 0);
    assert!(rows(&after, &before, 0.05).iter().all(|row| row.verdict != "WORSE"));
    let failures = more_failures(&before, &after).join("\n");
    assert!(failures.contains("get errors: 0.00% before, 4.76% after"), "{failures}");
}
