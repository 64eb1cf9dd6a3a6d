//! Samples add up, series by series, and travel as JSON.

use atoll_client::Level;

use super::{Facts, Sample, Series, Tally};
use crate::workload::mix::Op;

fn tally(spans: &[u64], errors: &[(&str, u64)]) -> Tally {
    let facts = Facts { stale: 1, bytes_read: 10, ..Facts::default() };
    let mut tally = Tally { facts, ..Tally::default() };
    spans.iter().for_each(|span| tally.latency.record(*span));
    tally.errors = errors.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect();
    tally.first_error = errors.first().map(|(kind, _)| (*kind).to_owned());
    tally
}

fn sample(series: &str, tally: Tally) -> Sample {
    Sample {
        series: [(series.to_owned(), tally)].into(),
        arrivals: 5,
        late: 1,
        ..Sample::default()
    }
}

#[test]
fn samples_add_up() {
    let mut sum = sample("get/ONE/eu", tally(&[1_000_000, 2_000_000], &[("deadline", 1)]));
    sum.add(&sample("get/ONE/eu", tally(&[9_000_000], &[("deadline", 2), ("overloaded", 1)])));
    sum.add(&sample("get/QUORUM/eu", tally(&[8_000_000], &[])));
    sum.add(&sample("put/ONE/us", tally(&[7_000_000], &[])));
    assert_eq!((sum.arrivals, sum.late), (20, 4));
    let gets = sum.sum(Some(Op::Get));
    assert_eq!((gets.latency.len(), gets.failed(), gets.total()), (4, 4, 8));
    assert_eq!((gets.facts.stale, gets.facts.bytes_read), (3, 30));
    assert_eq!(gets.first_error.as_deref(), Some("deadline"));
    assert_eq!(sum.sum(None).latency.len(), 5);
    assert_eq!(sum.ops(), [Op::Get, Op::Put]);

    let json = serde_json::to_string(&sum).unwrap();
    let back: Sample = serde_json::from_str(&json).unwrap();
    assert_eq!(back.sum(None).latency.at(0.5), sum.sum(None).latency.at(0.5));
    assert_eq!(serde_json::to_string(&back).unwrap(), json);
}

#[test]
fn series_are_read_back() {
    let series = Series { op: Op::Put, level: Level::LocalQuorumPlus(2), dc: "us".to_owned() };
    assert_eq!(series.to_string(), "put/LOCAL_QUORUM+2/us");
    assert_eq!(series.to_string().parse::<Series>().unwrap(), series);
    for text in ["", "get", "get/ONE", "read/ONE/eu", "get/SOME/eu"] {
        assert!(text.parse::<Series>().is_err(), "{text}");
    }
}
