//! Plans are checked with all problems at once, and travel as JSON.

use atoll_client::Level;

use super::{Answers, Check, Extent, Kind, Pace, Plan, Shortness, Target, Workload, Writes};
use crate::arrivals::Spacing;
use crate::workload::levels::Levels;

/// A plan that can be run.
pub(crate) fn plan() -> Plan {
    Plan {
        kind: Kind::Run,
        pace: Pace::Open { rate: 1_000.0, spacing: Spacing::Constant },
        extent: Extent::Seconds(30.0),
        warmup_seconds: 1.0,
        inflight_max: 100,
        processes: 2,
        workload: Workload {
            mix: "get=90,put=10".parse().unwrap(),
            keys: 1_000,
            distribution: "uniform".parse().unwrap(),
            lengths: "fixed:100".parse().unwrap(),
            levels: Levels::new(&["get=ONE,QUORUM".parse().unwrap()], Level::LocalQuorum).unwrap(),
            check: Check::Values,
            writes: Writes::Informed,
        },
        target: Target {
            profile: "client.toml".into(),
            keyspace: "default".to_owned(),
            dcs: vec!["eu".to_owned(), "us".to_owned()],
            deadline_seconds: None,
            answers: Answers::Cluster,
        },
        seed: 1,
        run: 2,
    }
}

#[test]
fn a_sound_plan_has_no_problems_and_travels() {
    let plan = plan();
    assert_eq!(plan.check(Shortness::Refused), Vec::<String>::new());
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
}

#[test]
fn all_problems_are_named_at_once() {
    let mut plan = plan();
    plan.extent = Extent::Ops(100);
    plan.inflight_max = 1;
    plan.pace = Pace::Open { rate: 1_000.0, spacing: Spacing::Poisson };
    plan.workload.lengths = "uniform:10..20".parse().unwrap();
    let problems = plan.check(Shortness::Refused).join("\n");
    for word in ["--force", "--max-inflight 1", "--validate"] {
        assert!(problems.contains(word), "{problems}");
    }
    assert!(!plan.check(Shortness::Forced).join("\n").contains("--force"));
    plan.pace = Pace::Closed { callers: 1 };
    plan.processes = 100;
    let problems = plan.check(Shortness::Refused).join("\n");
    assert!(problems.contains("--closed 1") && problems.contains("--processes 100"), "{problems}");
}

#[test]
fn series_are_operations_times_levels_times_clients() {
    let texts: Vec<String> = plan().series().iter().map(ToString::to_string).collect();
    let expected = [
        "get/ONE/eu",
        "get/ONE/us",
        "get/QUORUM/eu",
        "get/QUORUM/us",
        "put/LOCAL_QUORUM/eu",
        "put/LOCAL_QUORUM/us",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn requests_are_dealt_to_processes() {
    let mut plan = plan();
    assert_eq!(plan.ops_of(0), None);
    plan.extent = Extent::Ops(101);
    assert_eq!((plan.ops_of(0), plan.ops_of(1)), (Some(51), Some(50)));
    assert_eq!(plan.share(1, 1), 1);
}
