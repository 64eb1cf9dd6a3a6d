//! The demo's judgements: a demo that cannot fail would show nothing.

use std::time::Duration;

use atoll_client::Level;
use bytes::Bytes;
use hdrhistogram::Histogram;

use super::latency::{Measured, judge};
use super::ledger::{Entry, Ledger, time_zones};
use super::siblings::union;
use super::stage::{Step, summary};

fn measured(level: Level, put: u64, get: u64) -> Measured {
    let of = |millis: u64| {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000, 3).unwrap();
        histogram.record(millis * 1_000).unwrap();
        histogram
    };
    Measured { level, put: of(put), get: of(get) }
}

fn judged(local: (u64, u64), each: (u64, u64)) -> Result<String, String> {
    let all = [
        measured(Level::LocalQuorum, local.0, local.1),
        measured(Level::EachQuorum, each.0, each.1),
    ];
    judge(&all, &[80, 120].map(Duration::from_millis))
}

#[test]
fn latencies_are_held_against_the_ocean() {
    assert!(judged((5, 2), (121, 120)).is_ok());
    assert!(judged((40, 2), (121, 121)).unwrap_err().contains("LOCAL_QUORUM"));
    assert!(judged((5, 90), (121, 121)).unwrap_err().contains("LOCAL_QUORUM"));
    assert!(judged((5, 2), (119, 121)).unwrap_err().contains("EACH_QUORUM"));
    assert!(judged((5, 2), (121, 3)).unwrap_err().contains("EACH_QUORUM"));
    assert!(judge(&[], &[Duration::from_millis(80)]).is_err());
    assert!(judge(&[], &[]).is_err());
}

#[test]
fn the_time_zones_are_all_there() {
    let zones = time_zones();
    assert_eq!(zones.len(), 598);
    let berlin = zones.iter().find(|zone| zone.key == "Europe/Berlin").unwrap();
    assert!(berlin.value.starts_with(b"{"));
    let mut ledger = Ledger::default();
    ledger.extend(zones.clone());
    assert_eq!((ledger.count(), ledger.entries()), (598, zones));
}

#[test]
#[should_panic(expected = "one value only")]
#[cfg(debug_assertions)]
fn a_key_is_noted_once() {
    let entry = |value: &'static str| Entry {
        key: "k".to_owned(),
        value: Bytes::from_static(value.as_bytes()),
    };
    Ledger::default().extend([entry("a"), entry("b")]);
}

#[test]
fn merging_does_not_depend_on_the_order() {
    let lists = ["milk, bread", "milk, honey"];
    assert_eq!(union(lists.into_iter()), "milk, bread, honey");
    assert_eq!(union(lists.into_iter().rev()), "milk, bread, honey");
    assert_eq!(union(["milk"].into_iter()), "milk");
}

#[test]
fn the_summary_shows_what_failed() {
    let step = |title: &str, result: Option<&str>| Step {
        title: title.to_owned(),
        result: result.map(str::to_owned),
        took: Duration::from_millis(1_260),
    };
    let steps = [step("Load", Some("598 acknowledged")), step("Find", None)];
    let text = summary(&steps, Duration::from_secs(3));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with("✓  Load") && lines[1].ends_with("598 acknowledged"), "{text}");
    assert!(lines[1].contains("1.3"), "{text}");
    assert!(lines[2].starts_with("✗  Find") && lines[2].ends_with("FAILED"), "{text}");
    assert!(lines[3].contains("in all") && lines[3].contains("3.0"), "{text}");
}
