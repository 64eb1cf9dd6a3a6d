//! Draws repeat with their seed, follow the plan, and a load covers its keys.

use std::collections::BTreeSet;

use super::Draws;
use crate::plan::{Extent, Kind, tests::plan};
use crate::workload::mix::{Mix, Op};

#[test]
fn the_same_seed_draws_the_same_requests() {
    let plan = plan();
    let requests = |agent| {
        let mut draws = Draws::new(&plan, agent);
        (0..100).map(|_| draws.next(0)).collect::<Vec<_>>()
    };
    assert_eq!(requests(0), requests(0));
    assert_ne!(requests(0), requests(1));
}

#[test]
fn series_fit_their_requests_and_clients_take_turns() {
    let plan = plan();
    let series = plan.series();
    let mut draws = Draws::new(&plan, 0);
    for number in 0..1_000u64 {
        let request = draws.next(0);
        let of = &series[request.series];
        assert_eq!((of.op, of.level), (request.op, request.level));
        assert_eq!(u64::from(request.client), number % 2);
        assert_eq!(of.dc, plan.target.dcs[usize::from(request.client)]);
        assert_eq!(request.length, if request.op == Op::Put { 100 } else { 0 });
        assert!(request.key < 1_000);
    }
}

#[test]
fn the_processes_of_a_load_write_every_key_once() {
    let mut plan = plan();
    (plan.kind, plan.processes, plan.extent) = (Kind::Load, 3, Extent::Ops(1_000));
    plan.workload.mix = Mix::only(Op::Insert);
    let mut keys = Vec::new();
    for agent in 0..3 {
        let mut draws = Draws::new(&plan, agent);
        keys.extend((0..plan.ops_of(agent).unwrap()).map(|_| draws.next(0).key));
    }
    assert_eq!(keys.len(), 1_000);
    assert_eq!(keys.into_iter().collect::<BTreeSet<_>>(), (0..1_000).collect());
}
