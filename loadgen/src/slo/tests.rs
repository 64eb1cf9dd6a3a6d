//! Objectives are read, judged, and refused with a form that works.

use super::Objective;
use crate::measure::{Facts, Histo, Sample, Tally};

fn sample() -> Sample {
    let mut get = Tally::default();
    (1..=100).for_each(|ms| get.latency.record(ms * 1_000_000));
    get.errors.insert("deadline".to_owned(), 1);
    get.facts = Facts { stale: 2, ..Facts::default() };
    let mut put = Tally::default();
    put.latency.record(500_000_000);
    let series = [("get/ONE/eu".to_owned(), get), ("put/ONE/eu".to_owned(), put)].into();
    let mut scheduling = Histo::default();
    (1..=100).for_each(|us| scheduling.record(us * 1_000));
    Sample { series, scheduling, arrivals: 1_000, late: 4, dropped: 1, ..Sample::default() }
}

#[test]
fn objectives_are_met_or_missed() {
    for (text, met) in [
        ("get.p50<51ms", true),
        ("get.p50<50ms", false),
        ("p99.99<1s", true),
        ("max<400ms", false),
        ("get.max < 101ms", true),
        ("put.errors<=0%", true),
        ("errors<1%", true),
        ("errors<0.5%", false),
        ("late<1%", true),
        ("late<0.5%", false),
        ("late<=0.5%", true),
        ("scheduling.p99<100us", true),
        ("scheduling.max<100us", false),
        ("stale<=2", true),
        ("stale<=0", false),
        ("corrupt<=0", true),
        ("delete.p99<1s", false),
    ] {
        let objective: Objective = text.parse().unwrap();
        let missed = objective.missed(&sample());
        assert_eq!(missed.is_none(), met, "{text}: {missed:?}");
        assert!(missed.is_none_or(|missed| missed.starts_with(text)));
    }
}

#[test]
fn mistakes_are_named() {
    for text in [
        "",
        "p99",
        "p99>10ms",
        "p101<1s",
        "q99<1s",
        "get<1s",
        "scan.p99<1s",
        "stale<=x",
        "scheduling.late<1%",
        "scheduling.mean<1s",
    ] {
        let error = text.parse::<Objective>().unwrap_err();
        assert!(error.contains("p99<10ms"), "{text}: {error}");
    }
    assert!("p99<10".parse::<Objective>().unwrap_err().contains("unit"));
    assert!("errors<10ms".parse::<Objective>().unwrap_err().contains("percentage"));
    assert!("get.scheduling.p99<1s".parse::<Objective>().unwrap_err().contains("scheduling.p99.9"));
    assert!("get.late<1%".parse::<Objective>().unwrap_err().contains("late<1%"));
}
