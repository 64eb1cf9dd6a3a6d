//! A quiet cluster, a bad day, and the same day again.

use super::{Trace, run};
use crate::plan::{DcShape, Fault, FaultKind, Healers, Knobs, Mix, Plan, Shape, Tier, Workload};

/// Enough that the shares below are not an accident.
const SEEDS_OF_VALUES: u64 = 20;

/// Enough that one of them would need more than a second six times in a row.
const SEEDS_FROM_AFAR: u64 = 20;

/// Three nodes, replication factor 3, no faults.
fn quiet(seed: u64) -> Plan {
    Plan {
        seed,
        tier: Tier::Messages,
        shape: Shape {
            dcs: vec![DcShape { nodes: 3, racks: 3, replication_factor: 3 }],
            rtt_ms: 80,
            partitions: 16,
        },
        knobs: Knobs {
            periodic_ms: None,
            memtable_bytes: 4_096,
            segment_bytes: 8_192,
            block_bytes: 512,
            table_bytes: 4_096,
            level_bytes: 8_192,
            l0_trigger: 2,
            separation_bytes: 100,
            cache_bytes: 4_096,
            healers: Healers::All,
            purge_after_ms: Some(1_500),
            disk_bytes: 64 << 20,
            skew_ms: Vec::new(),
            drift_ppm: Vec::new(),
        },
        workload: Workload {
            clients: 4,
            sessions: 2,
            operations: 200,
            think_ms: 100,
            deadline_ms: 1_000,
            sloppy_per_mille: 0,
            keys: 5,
            lww_keys: 2,
            hot_per_mille: 100,
            mix: Mix { get: 3, modify: 3, follow: 2, blind: 1, delete: 1 },
            levels: vec!["QUORUM".to_owned()],
            value_bytes: 200,
            oversize_per_mille: 20,
            ttl_per_mille: 20,
            keyspaces: 1,
        },
        faults: Vec::new(),
        safety_ms: 10_000,
    }
}

fn stormy(seed: u64) -> Plan {
    let fault = |at_ms, for_ms, kind| Fault { at_ms, for_ms, kind };
    let faults = vec![
        fault(1_000, 1_000, FaultKind::Kill { node: 0, power: true }),
        fault(2_500, 3_000, FaultKind::Cut { from: vec![1], to: vec![2] }),
        fault(4_000, 1_000, FaultKind::Pause { node: 2 }),
        fault(6_000, 500, FaultKind::Stop { node: 1 }),
        fault(7_500, 0, FaultKind::KillAtDiskCall { node: 2, calls: 37 }),
    ];
    Plan { faults, ..quiet(seed) }
}

#[test]
fn a_quiet_cluster_answers_everything() {
    let report = run(&quiet(1), Trace::Hash);
    assert!(report.violations.is_empty(), "{:?}", report.violations);
    let count = |what: &str| report.operations.get(what).copied().unwrap_or(0);
    assert!(count("put acked") > 50 && count("get answered") > 50, "{:?}", report.operations);
    assert_eq!(count("put unknown") + count("put without answer"), 0, "{:?}", report.operations);
}

/// Without it neither value files nor relocation would be simulated at all.
#[test]
fn drawn_plans_separate_values_and_relocate_them() {
    let (mut separated, mut relocated) = (0, 0);
    for seed in 0..SEEDS_OF_VALUES {
        let plan = Plan { faults: Vec::new(), ..Plan::draw(seed, Tier::Messages) };
        let report = run(&plan, Trace::Hash);
        assert!(report.violations.is_empty(), "seed {seed}: {:?}", report.violations);
        let reached = |situation| u64::from(report.situations.contains_key(situation));
        separated += reached("values in files of their own");
        relocated += reached("values relocated");
    }
    assert!(2 * separated > SEEDS_OF_VALUES, "separated in {separated} of {SEEDS_OF_VALUES}");
    assert!(5 * relocated > SEEDS_OF_VALUES, "relocated in {relocated} of {SEEDS_OF_VALUES}");
}

#[test]
fn a_bad_day_keeps_every_promise_and_repeats_itself() {
    let report = run(&stormy(2), Trace::Hash);
    assert!(report.violations.is_empty(), "{:?}", report.violations);
    let again = run(&stormy(2), Trace::Hash);
    assert_eq!(report.trace_hash, again.trace_hash);
    assert_ne!(report.trace_hash, run(&stormy(3), Trace::Hash).trace_hash);
}

/// A handshake takes two round trips, and one more whenever datagrams overtake each other: over a second here.
#[test]
fn whoever_comes_from_afar_gets_an_answer() {
    for seed in 0..SEEDS_FROM_AFAR {
        let dc = DcShape { nodes: 1, racks: 1, replication_factor: 1 };
        let mut plan = Plan { tier: Tier::Quic, safety_ms: 500, ..quiet(seed) };
        plan.shape = Shape { dcs: vec![dc.clone(), dc], rtt_ms: 330, partitions: 1 };
        plan.workload.operations = 1;
        let report = run(&plan, Trace::Hash);
        assert!(report.violations.is_empty(), "seed {seed}: {:?}", report.violations);
    }
}
