//! What `atoll hints` prints.

use std::time::Duration;

use atoll_client::{HintsReport, HintsStatus, HintsWaiting};
use atoll_protocol::ids::Name;

use super::{document, table};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn reports() -> Vec<HintsReport> {
    let waiting = |target, bytes| HintsWaiting {
        target: name(target),
        hints: 1_200,
        bytes,
        oldest: Duration::from_secs(95),
    };
    let status = HintsStatus {
        waiting: vec![waiting("eu-3", 120_000), waiting("us-1", 990_000)],
        bytes_max: 1_000_000,
        written: 2_500,
        delivered: 90,
        superseded: 4,
        expired: 2,
        dropped: 1,
        overflowed: 3,
    };
    let idle = HintsStatus { waiting: Vec::new(), ..status.clone() };
    let report = |node, told| HintsReport { node: name(node), dc: name("eu"), told };
    vec![
        report("eu-1", Ok(status)),
        report("eu-2", Ok(idle)),
        report("eu-3", Err("not connected".to_owned())),
    ]
}

#[test]
fn the_table_has_a_line_for_each_target() {
    let lines: Vec<String> = table(&reports()).lines(0).collect();
    assert_eq!(lines, EXPECTED.lines().collect::<Vec<_>>());
}

const EXPECTED: &str = "\
HOLDER  DC  TARGET  HINTS      BYTES  OLDEST  WRITTEN  DELIVERED  OTHERWISE ENDED  OVERFLOWED  NOTE
eu-1    eu  eu-3     1200  117.2 KiB   1m35s     2500         90                7           3
eu-1    eu  us-1     1200  966.8 KiB   1m35s     2500         90                7           3  near its bound; what comes beyond is compared instead
eu-2    eu  -           0        0 B       -     2500         90                7           3
eu-3    eu  -           -          -       -        -          -                -           -  not connected
";

#[test]
fn the_document_tells_the_same() {
    let document = serde_json::to_value(document(&reports())).unwrap();
    let first = &document[0];
    assert_eq!((&first["node"], &first["bytes_max"]), (&"eu-1".into(), &1_000_000.into()));
    let waiting = &first["waiting"][1];
    assert_eq!((&waiting["target"], &waiting["hints"]), (&"us-1".into(), &1_200.into()));
    assert_eq!((&waiting["bytes"], &waiting["oldest_seconds"]), (&990_000.into(), &95.into()));
    assert_eq!((&first["written"], &first["overflowed"]), (&2_500.into(), &3.into()));
    assert_eq!(document[1]["waiting"].as_array().map(Vec::len), Some(0));
    assert_eq!(document[2]["error"], "not connected");
    assert!(document[2]["written"].is_null());
}
