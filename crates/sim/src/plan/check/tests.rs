use crate::plan::{Fault, FaultKind, Plan, Tier};

fn fields(change: impl Fn(&mut Plan)) -> Vec<String> {
    let mut plan = Plan::draw(3, Tier::Messages);
    plan.faults.clear();
    change(&mut plan);
    match plan.check() {
        Ok(()) => Vec::new(),
        Err(error) => error.problems.into_iter().map(|problem| problem.field).collect(),
    }
}

#[test]
fn each_mistake_names_its_field() {
    assert_eq!(fields(|_| ()), [""; 0]);
    assert_eq!(fields(|plan| plan.shape.partitions = 12), ["shape.partitions"]);
    assert_eq!(fields(|plan| plan.knobs.skew_ms.push(1)), ["knobs.skew_ms"]);
    assert_eq!(fields(|plan| plan.knobs.memtable_bytes = 0), ["knobs"]);
    assert_eq!(fields(|plan| plan.knobs.separation_bytes = 0), ["knobs"]);
    assert_eq!(fields(|plan| plan.workload.levels = vec!["MOST".into()]), ["workload.levels[0]"]);
    assert_eq!(
        fields(|plan| {
            plan.safety_ms = 0;
            plan.workload.operations = 0;
        }),
        ["workload.operations", "safety_ms"]
    );
}

#[test]
fn faults_name_nodes_that_exist_and_come_in_order() {
    let fault = |at_ms, node| Fault { at_ms, for_ms: 1, kind: FaultKind::Pause { node } };
    assert_eq!(
        fields(|plan| plan.faults = vec![fault(2, 0), fault(1, 99)]),
        ["faults[1].at_ms", "faults[1].kind.pause.node"]
    );
    let cut = FaultKind::Cut { from: vec![0], to: vec![] };
    assert_eq!(
        fields(|plan| plan.faults = vec![Fault { at_ms: 0, for_ms: 1, kind: cut.clone() }]),
        ["faults[0].kind.cut.to"]
    );
}
