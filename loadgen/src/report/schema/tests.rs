//! Verdicts: what makes a run invalid, and what a reader must know.

use super::Verdict;
use crate::measure::{Facts, Sample, Tally};
use crate::plan::{Kind, Pace, tests::plan};

fn sample(late: u64, dropped: u64) -> Sample {
    let mut tally = Tally::default();
    tally.latency.record(1_000_000);
    let series = [("get/ONE/eu".to_owned(), tally)].into();
    Sample { series, arrivals: 1_000, late, dropped, ..Sample::default() }
}

#[test]
fn more_than_a_hundredth_late_is_invalid() {
    for (late, dropped, is_valid) in [(0, 0, true), (5, 5, true), (5, 6, false), (0, 11, false)] {
        let verdict = Verdict::of(&plan(), &sample(late, dropped));
        assert_eq!(verdict.invalid.is_empty(), is_valid, "{late} {dropped}: {verdict:?}");
    }
    let words = Verdict::of(&plan(), &sample(20, 0)).invalid.join("\n");
    assert!(words.contains("2.00%") && words.contains("--max-inflight"), "{words}");
}

#[test]
fn a_run_without_a_success_is_invalid() {
    let mut sample = sample(0, 0);
    let mut tally = Tally::default();
    tally.errors.insert("Unreachable".to_owned(), 3);
    tally.first_error = Some("nobody there".to_owned());
    sample.series = [("get/ONE/eu".to_owned(), tally)].into();
    let words = Verdict::of(&plan(), &sample).invalid.join("\n");
    assert!(words.contains("nobody there"), "{words}");
}

#[test]
fn warnings_name_closed_loops_and_broken_promises() {
    let mut closed = plan();
    closed.pace = Pace::Closed { callers: 8 };
    let verdict = Verdict::of(&closed, &sample(900, 0));
    assert!(verdict.invalid.is_empty() && verdict.warnings.join("\n").contains("CLOSED LOOP"));
    let mut broken = sample(0, 0);
    let facts = Facts { stale: 1, corrupt: 2, siblings: 3, ..Facts::default() };
    broken.series.values_mut().for_each(|tally| tally.facts = facts);
    let mut load = plan();
    load.kind = Kind::Load;
    let words = Verdict::of(&load, &broken).warnings.join("\n");
    for word in ["1 STALE", "2 CORRUPT", "3 keys were there already"] {
        assert!(words.contains(word), "{words}");
    }
}
