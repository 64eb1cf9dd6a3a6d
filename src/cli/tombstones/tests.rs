//! What `atoll tombstones` prints.

use std::time::Duration;

use atoll_client::{PurgeObstacle, TombstonesReport, TombstonesStatus};
use atoll_protocol::ids::Name;

use super::{document, table};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn reports() -> Vec<TombstonesReport> {
    let obstacle = |node, reason: &str, keys| PurgeObstacle {
        node: name(node),
        reason: reason.to_owned(),
        keys,
        since: Duration::from_secs(95),
    };
    let status = TombstonesStatus {
        purge_after: Duration::from_secs(600),
        waiting: 1_250,
        bytes: 120_000,
        oldest: Some(Duration::from_secs(3_700)),
        purged: 90,
        obstacles: vec![
            obstacle("us-1", "it is away", 1_200),
            obstacle("eu-2", "it keeps hints for us-1: 7", 40),
        ],
    };
    let idle = TombstonesStatus {
        waiting: 0,
        bytes: 0,
        oldest: None,
        obstacles: Vec::new(),
        ..status.clone()
    };
    let report = |node, told| TombstonesReport { node: name(node), dc: name("eu"), told };
    vec![
        report("eu-1", Ok(status)),
        report("eu-2", Ok(idle)),
        report("eu-3", Err("not connected".to_owned())),
    ]
}

#[test]
fn the_table_has_a_line_for_each_obstacle() {
    let lines: Vec<String> = table(&reports()).lines(0).collect();
    assert_eq!(lines, EXPECTED.lines().collect::<Vec<_>>());
}

const EXPECTED: &str = "\
NODE  DC  WAITING      BYTES  OLDEST  PURGED  BLOCKED BY  KEYS    FOR  NOTE
eu-1  eu     1250  117.2 KiB    1h1m      90  us-1        1200  1m35s  it is away
eu-1  eu     1250  117.2 KiB    1h1m      90  eu-2          40  1m35s  it keeps hints for us-1: 7
eu-2  eu        0        0 B       -      90  -              -      -
eu-3  eu        -          -       -       -  -              -      -  not connected
";

#[test]
fn the_document_tells_the_same() {
    let document = serde_json::to_value(document(&reports())).unwrap();
    let first = &document[0];
    assert_eq!((&first["node"], &first["purge_after_seconds"]), (&"eu-1".into(), &600.into()));
    assert_eq!((&first["waiting"], &first["bytes"]), (&1_250.into(), &120_000.into()));
    assert_eq!((&first["oldest_seconds"], &first["purged"]), (&3_700.into(), &90.into()));
    let obstacle = &first["obstacles"][1];
    assert_eq!((&obstacle["node"], &obstacle["keys"]), (&"eu-2".into(), &40.into()));
    assert_eq!(obstacle["reason"], "it keeps hints for us-1: 7");
    assert_eq!(obstacle["since_seconds"], 95);
    assert!(document[1]["oldest_seconds"].is_null());
    assert_eq!(document[1]["obstacles"].as_array().map(Vec::len), Some(0));
    assert_eq!(document[2]["error"], "not connected");
    assert!(document[2]["waiting"].is_null());
}
