//! A log holds every interval of its operation, and sums to the total.

use super::{parse, render};
use crate::measure::{Interval, Phase, Sample, Tally, Usage};
use crate::plan::tests::plan;
use crate::report::{Report, Verdict};
use crate::workload::mix::Op;

/// A report of three seconds, the first of them warm-up, with a get and a put of `index + 1` milliseconds each.
pub(crate) fn report() -> Report {
    let mut total = Sample::default();
    let mut intervals = Vec::new();
    for index in 0..3u64 {
        let mut sample = Sample { arrivals: 2, ..Sample::default() };
        for series in ["get/ONE/eu", "get/QUORUM/us", "put/LOCAL_QUORUM/eu"] {
            let mut tally = Tally::default();
            tally.latency.record((index + 1) * 1_000_000);
            tally.service.record((index + 1) * 900_000);
            sample.series.insert(series.to_owned(), tally);
        }
        let phase = if index == 0 { Phase::Warmup } else { Phase::Measured };
        if phase == Phase::Measured {
            total.add(&sample);
        }
        let (begin, usage) = (index as f64 - 1.0, Usage::default());
        intervals.push(Interval { index, phase, begin, seconds: 1.0, sample, usage, pacer: None });
    }
    Report {
        schema: crate::report::SCHEMA.to_owned(),
        version: "0".to_owned(),
        commit: None,
        began: "2026-01-01T00:00:00Z".to_owned(),
        began_unix: 1_767_225_600.0,
        machine: crate::system::Machine::default(),
        plan: plan(),
        seconds: 2.0,
        verdict: Verdict { invalid: Vec::new(), warnings: Vec::new() },
        total,
        intervals,
        events: Vec::new(),
        nodes: Vec::new(),
        cluster: None,
    }
}

#[test]
fn a_log_sums_to_the_total() {
    let report = report();
    let bytes = render(&report, Op::Get).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.starts_with("#[Histogram log format version 1.3]\n"), "{text}");
    assert!(text.contains("#[StartTime: 1767225600.000 (seconds since epoch)]"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("Tag=get.ONE.eu,")).count(), 2);
    let sums = parse(&bytes).unwrap();
    assert_eq!(sums.keys().collect::<Vec<_>>(), ["get.ONE.eu", "get.QUORUM.us"]);
    let total = &report.total.series["get/ONE/eu"].latency;
    assert_eq!(sums["get.ONE.eu"].counts().collect::<Vec<_>>(), total.counts().collect::<Vec<_>>());
}

#[test]
fn other_texts_are_refused() {
    for text in ["", "#only a comment\n", "hello\n", "Tag=a,1,1,1,AAAA\n"] {
        assert!(parse(text.as_bytes()).is_err(), "{text}");
    }
}
