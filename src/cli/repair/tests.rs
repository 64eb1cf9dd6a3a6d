//! What `atoll repair` prints.

use std::time::Duration;

use atoll_client::{RepairReport, RepairStatus};
use atoll_protocol::ids::Name;

use super::{document, table};

fn reports() -> Vec<RepairReport> {
    let status = RepairStatus {
        paused: false,
        cycle: Duration::from_secs(3_600),
        pending: 3,
        last_round: Some(Duration::from_secs(125)),
        compared: 1_024,
        differed: 2,
        fetched: 5,
        sent: 6,
        wire_bytes: 12_345,
        failed: 0,
        wrong_trees: 0,
    };
    let report = |node: &str, told| RepairReport {
        node: Name::new(node).unwrap(),
        dc: Name::new("eu").unwrap(),
        told,
    };
    let new = RepairStatus { paused: true, last_round: None, wrong_trees: 2, ..status };
    vec![
        report("eu-1", Ok(status)),
        report("eu-2", Ok(new)),
        report("eu-3", Err("not connected".to_owned())),
    ]
}

#[test]
fn the_table_has_a_line_for_each_node() {
    let lines: Vec<String> = table(&reports()).lines(0).collect();
    assert_eq!(lines, EXPECTED.lines().collect::<Vec<_>>());
}

const EXPECTED: &str = "\
NODE  DC  STATE    PENDING  LAST ROUND  CYCLE  COMPARED  DIFFERED  FETCHED  SENT      WIRE  FAILED  NOTE
eu-1  eu  running        3    2m5s ago   1h0m      1024         2        5     6  12.1 KiB       0
eu-2  eu  paused         3           -   1h0m      1024         2        5     6  12.1 KiB       0  2 wrong trees; see its log
eu-3  eu  -              -           -      -         -         -        -     -         -       -  not connected
";

#[test]
fn the_document_tells_the_same() {
    let document = serde_json::to_value(document(&reports())).unwrap();
    let first = &document[0];
    assert_eq!((&first["node"], &first["paused"]), (&"eu-1".into(), &false.into()));
    assert_eq!((&first["wire_bytes"], &first["last_round_seconds"]), (&12_345.into(), &125.into()));
    assert_eq!(
        (&document[1]["paused"], document[1]["last_round_seconds"].is_null()),
        (&true.into(), true)
    );
    assert_eq!(document[2]["error"], "not connected");
    assert!(document[2]["compared"].is_null());
}
