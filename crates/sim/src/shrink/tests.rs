use super::{Shrunk, shrink};
use crate::plan::{DcShape, Fault, FaultKind, Knobs, Plan, Tier};

/// Enough for every search below to come to its end, and few enough for an evening of real runs.
const RUNS: u32 = 600;

fn plan() -> Plan {
    let mut plan = Plan::draw(5, Tier::Messages);
    let dc = DcShape { nodes: 3, racks: 2, replication_factor: 3 };
    plan.shape.dcs = vec![dc.clone(), dc];
    plan.knobs = Knobs { memtable_bytes: 4_096, skew_ms: vec![7; 6], ..Knobs::plain(6) };
    plan.safety_ms = 10_000;
    let fault = |index: u16| Fault {
        at_ms: 400 * u64::from(index),
        for_ms: 300,
        kind: match index % 3 {
            0 => FaultKind::Kill { node: index % 6, power: true },
            1 => {
                FaultKind::Cut { from: vec![index % 6], to: vec![(index + 1) % 6, (index + 2) % 6] }
            }
            _ => FaultKind::Pause { node: index % 6 },
        },
    };
    plan.faults = (0..20).map(fault).collect();
    plan
}

fn shrunk(fails: impl Fn(&Plan) -> bool) -> Shrunk {
    let plan = plan();
    assert!(fails(&plan), "the plan to shrink fails");
    let shrunk = shrink(&plan, RUNS, &fails, |_| ());
    assert!(fails(&shrunk.plan));
    assert_eq!(shrunk.plan.check(), Ok(()));
    assert!(shrunk.complete, "{} runs", shrunk.runs);
    shrunk
}

#[test]
fn two_faults_and_two_clients_are_what_remains() {
    let is_pause =
        |fault: &Fault| matches!(fault.kind, FaultKind::Pause { .. }) && fault.for_ms >= 40;
    let is_cut = |fault: &Fault| matches!(fault.kind, FaultKind::Cut { .. });
    let fails = |plan: &Plan| {
        plan.faults.iter().any(is_pause)
            && plan.faults.iter().any(is_cut)
            && plan.workload.clients >= 2
    };
    let plan = shrunk(fails).plan;
    assert_eq!(plan.faults.len(), 2, "{:?}", plan.faults);
    assert_eq!(plan.workload.clients, 2);
    assert_eq!((plan.workload.operations, plan.workload.keys + plan.workload.lww_keys), (1, 1));
    let pause = plan.faults.iter().find(|fault| is_pause(fault)).unwrap();
    let cut = plan.faults.iter().find(|fault| is_cut(fault)).unwrap();
    assert_eq!((pause.for_ms, cut.for_ms), (40, 0));
    assert_eq!((pause.at_ms, cut.at_ms, plan.safety_ms), (0, 0, 100));
    assert!(matches!(&cut.kind, FaultKind::Cut { from, to } if from.len() + to.len() == 2));
    // A cut has two ends, and no more nodes than those are left.
    assert!(plan.shape.nodes() <= 3, "{:?}", plan.shape);
    assert_eq!(plan.knobs, Knobs::plain(plan.shape.nodes()));
    assert_eq!(plan.workload.levels.len(), 1);
}

#[test]
fn nodes_go_and_faults_follow_their_numbers() {
    let fails = |plan: &Plan| {
        plan.shape.dcs.iter().any(|dc| dc.nodes >= 2)
            && plan.faults.iter().any(|fault| {
                matches!(fault.kind, FaultKind::Kill { node, .. } if node + 1 == plan.shape.nodes())
            })
    };
    let plan = plan_where_the_last_node_dies();
    assert!(fails(&plan));
    let shrunk = shrink(&plan, RUNS, fails, |_| ()).plan;
    assert_eq!(shrunk.shape.nodes(), 2);
    assert_eq!(shrunk.faults.len(), 1);
    assert_eq!(shrunk.faults[0].kind, FaultKind::Kill { node: 1, power: false });
    assert_eq!(shrunk.knobs.skew_ms.len(), 2);
}

fn plan_where_the_last_node_dies() -> Plan {
    let mut plan = plan();
    let kind = FaultKind::Kill { node: 5, power: true };
    plan.faults.push(Fault { at_ms: 9_000, for_ms: 10, kind });
    plan
}

#[test]
fn what_matters_stays_and_settings_that_matter_too() {
    let fails = |plan: &Plan| {
        plan.knobs.memtable_bytes == 4_096
            && plan.workload.operations >= 17
            && plan.safety_ms >= 2_345
    };
    let plan = shrunk(fails).plan;
    assert_eq!(plan.faults, []);
    assert_eq!((plan.workload.operations, plan.safety_ms), (17, 2_345));
    assert_eq!(plan.knobs, Knobs { memtable_bytes: 4_096, ..Knobs::plain(1) });
}

#[test]
fn every_fault_that_is_needed_is_kept() {
    let kills = |plan: &Plan| {
        plan.faults.iter().filter(|f| matches!(f.kind, FaultKind::Kill { power: true, .. })).count()
    };
    let plan = shrunk(|plan| kills(plan) >= 4).plan;
    assert_eq!((plan.faults.len(), kills(&plan)), (4, 4));
}

#[test]
fn runs_are_bounded_and_counted() {
    let mut asked = 0;
    let mut told = 0;
    let fails = |_: &Plan| {
        asked += 1;
        false
    };
    let shrunk = shrink(&plan(), 25, fails, |_| told += 1);
    assert_eq!((asked, told, shrunk.runs, shrunk.complete), (25, 25, 25, false));
    assert_eq!(shrunk.plan, plan());
}
