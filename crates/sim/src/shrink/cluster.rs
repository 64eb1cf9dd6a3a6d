//! Steps over the length of a run and over its cluster: nodes and whole datacenters go, and what is left is renumbered.

use crate::plan::{Fault, Plan};

use super::Attempts;

/// A safety phase shorter than this holds no operation.
const SAFETY_MS_MIN: u64 = 100;

/// Ends the safety phase earlier. Faults that would begin later go; nothing is moved.
pub(super) fn shorten(search: &mut impl Attempts) {
    search.lower("a shorter run", SAFETY_MS_MIN, &|plan| plan.safety_ms, &|plan, safety_ms| {
        plan.safety_ms = safety_ms;
        plan.faults.retain(|fault| fault.at_ms <= safety_ms);
    });
}

/// Takes out whole datacenters, then single nodes, then replicas and racks.
pub(super) fn remove_nodes(search: &mut impl Attempts) {
    for dc in (0..search.best().shape.dcs.len()).rev() {
        search.try_change("fewer datacenters", &|plan| remove_dc(plan, dc));
    }
    for node in (0..search.best().shape.nodes()).rev() {
        search.try_change("fewer nodes", &|plan| remove_node(plan, node));
    }
    for dc in 0..search.best().shape.dcs.len() {
        search.try_change("one rack", &|plan| {
            if let Some(dc) = plan.shape.dcs.get_mut(dc) {
                dc.racks = 1;
            }
        });
    }
}

fn remove_dc(plan: &mut Plan, dc: usize) {
    let Some(range) = plan.shape.ranges().get(dc).cloned() else {
        return;
    };
    plan.shape.dcs.remove(dc);
    renumber(plan, |node| !range.contains(&node));
}

/// Takes out one node; the replicas of its datacenter follow if they would not fit any more.
fn remove_node(plan: &mut Plan, node: u16) {
    let ranges = plan.shape.ranges();
    let Some(dc) = ranges.iter().position(|range| range.contains(&node)) else {
        return;
    };
    let Some(shape) = plan.shape.dcs.get_mut(dc) else {
        return;
    };
    if shape.nodes == 1 {
        return remove_dc(plan, dc);
    }
    shape.nodes -= 1;
    shape.racks = shape.racks.min(shape.nodes);
    let replicas_max = u8::try_from(shape.nodes).unwrap_or(u8::MAX);
    shape.replication_factor = shape.replication_factor.min(replicas_max);
    renumber(plan, |other| other != node);
}

/// Keeps what concerns the nodes that `stays` keeps, under their new numbers.
fn renumber(plan: &mut Plan, stays: impl Fn(u16) -> bool) {
    let number = |node: u16| {
        let before = (0..node).filter(|&other| stays(other)).count();
        stays(node).then(|| u16::try_from(before).unwrap_or(u16::MAX))
    };
    let kept = |fault: &Fault| {
        let kind = fault.kind.renumbered(number)?;
        Some(Fault { kind, ..fault.clone() })
    };
    plan.faults = plan.faults.iter().filter_map(kept).collect();
    let mut node = 0;
    plan.knobs.skew_ms.retain(|_| {
        node += 1;
        stays(node - 1)
    });
    let mut node = 0;
    plan.knobs.drift_ppm.retain(|_| {
        node += 1;
        stays(node - 1)
    });
}
