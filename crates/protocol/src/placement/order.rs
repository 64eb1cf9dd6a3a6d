//! The order inside a row: who is first.
//!
//! Last step of `assign`. The first replica of a row is the one that routing prefers when nothing else decides, so the
//! first places must be spread like the load; moving a first place moves no data.
//!
//! 1. Survivors keep their places, newcomers take the places of the departed in hash order; a fresh row is in hash
//!    order altogether.
//! 2. One unit of flow row → member → sink, at most ⌈load / RF⌉ into a node, 0 for the member that is first already
//!    and 1 for others: the fewest first places change hands. Whoever gets the first place moves to the front, the
//!    others keep their order.
//!
//! Invariants
//! - A row keeps its members.
//! - A node is first in at most ⌈load / RF⌉ rows. That is always possible: 1/RF of every row to each member is a
//!   fractional solution.

#![expect(clippy::indexing_slicing, reason = "members are positions below the node count")]

use super::draft::{Draft, Member};
use super::flow::{EdgeId, Network};
use crate::token::Partition;

/// Orders `rows`, which are indexed by partition and in hash order.
pub(super) fn order(draft: &Draft, rows: &mut [Vec<Member>]) {
    for (partition, row) in (0..).map(Partition).zip(rows.iter_mut()) {
        *row = arrange(draft.previous_row(partition), row);
    }
    spread_first_places(draft, rows);
}

fn arrange(previous: &[Option<Member>], members: &[Member]) -> Vec<Member> {
    let mut newcomers = members.iter().copied().filter(|&m| !previous.contains(&Some(m)));
    let mut row = Vec::with_capacity(members.len());
    for place in previous {
        let stays = place.filter(|member| members.contains(member));
        row.extend(stays.or_else(|| newcomers.next()));
    }
    row.extend(newcomers);
    debug_assert_eq!(row.len(), members.len(), "a member is a survivor or a newcomer");
    row
}

fn spread_first_places(draft: &Draft, rows: &mut [Vec<Member>]) {
    let mut loads = vec![0usize; draft.node_count()];
    for &member in rows.iter().flatten() {
        loads[member] += 1;
    }
    let mut network = Network::default();
    let source = network.add_vertex();
    let sink = network.add_vertex();
    let mut node_vertices = Vec::with_capacity(loads.len());
    for load in loads {
        let quota = load.div_ceil(draft.replication_factor().max(1));
        let vertex = network.add_vertex();
        network.add_edge(vertex, sink, u32::try_from(quota).unwrap_or(u32::MAX), 0);
        node_vertices.push(vertex);
    }
    let mut choices: Vec<Vec<EdgeId>> = Vec::with_capacity(rows.len());
    for row in rows.iter() {
        let vertex = network.add_vertex();
        network.add_edge(source, vertex, 1, 0);
        let edge = |(place, &member): (usize, &Member)| {
            network.add_edge(vertex, node_vertices[member], 1, u8::from(place > 0))
        };
        choices.push(row.iter().enumerate().map(edge).collect());
    }
    network.solve(source, sink);
    for (row, edges) in rows.iter_mut().zip(choices) {
        if let Some(first) = edges.iter().position(|&edge| network.carries(edge)) {
            row[..=first].rotate_right(1);
        }
    }
}
