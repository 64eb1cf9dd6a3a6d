//! The work sheet of one `assign`: nodes by position, racks by number, and what the previous table still gives.
//!
//! Sits between the public verbs (`mod.rs`) and the solvers (`target.rs`, `flow.rs`, `order.rs`), which see positions
//! only.
//!
//! 1. Sort the candidates by index, number the racks by name, translate the previous rows into positions.
//! 2. `targets` asks `target.rs` for each node's load.
//! 3. `solve` builds the network and reads the rows from the solved flow:
//!
//! ```text
//!            rf              rack_cap                1, cost 0 if it stays       target
//!   source ──────► partition ──────► (partition, rack) ──────────────► node ──────────► sink
//! ```
//!
//! Invariants
//! - The result depends on the set of candidates, not on their order.
//! - The flow is always full: the shares, spread evenly over all partitions, are a fractional flow of that size, and
//!   a network with whole capacities then has a whole one.
//!
//! Partitions and nodes enter the network in hash order. That decides between equally cheap flows: a fresh table
//! pairs every node with many others, so that the work of a dead node spreads, and successive changes do not
//! always disturb the same partitions.

#![expect(clippy::indexing_slicing, reason = "positions and rack numbers are minted in this file")]

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::flow::{EdgeId, Network, Vertex};
use super::target::{self, Weighted};
use super::{Candidate, Table};
use crate::ids::{Name, NodeIndex};
use crate::limits::REPLICATION_FACTOR_MAX;
use crate::token::{Partition, Partitions};

/// Keeps products of weights within u64 (`target.rs`); far above 1 000.00 in hundredths.
const WEIGHT_MAX: u32 = 1 << 24;

/// A node by its position in the sorted candidates.
pub(super) type Member = usize;

/// Everything `assign` knows before it decides.
pub(super) struct Draft {
    nodes: Vec<NodeIndex>,
    weighted: Vec<Weighted>,
    rack_sizes: Vec<usize>,
    replication_factor: usize,
    partitions: Partitions,
    /// Rows of the previous table; `None` marks the place of a departed node. Empty without a previous table.
    previous: Vec<Vec<Option<Member>>>,
}

impl Draft {
    pub(super) fn new(
        candidates: &[Candidate],
        partitions: Partitions,
        replication_factor: u8,
        previous: Option<&Table>,
    ) -> Self {
        let mut sorted: Vec<&Candidate> = candidates.iter().collect();
        sorted.sort_by_key(|candidate| candidate.node);
        let nodes: Vec<NodeIndex> = sorted.iter().map(|candidate| candidate.node).collect();
        assert!(nodes.is_sorted_by(|a, b| a < b), "every node is a candidate once");
        let mut racks: Vec<&Name> = sorted.iter().map(|candidate| &candidate.rack).collect();
        racks.sort();
        racks.dedup();

        let previous = previous.filter(|table| table.partitions == partitions);
        let member = |node: &NodeIndex| nodes.binary_search(node).ok();
        let previous_row =
            |table: &Table, partition| table.row(partition).iter().map(member).collect();
        let previous: Vec<Vec<Option<Member>>> = previous
            .map(|table| partitions.iter().map(|p| previous_row(table, p)).collect())
            .unwrap_or_default();

        let mut rack_sizes = vec![0; racks.len()];
        let mut weighted = Vec::with_capacity(nodes.len());
        for candidate in sorted {
            let rack = racks.partition_point(|&name| name < &candidate.rack);
            rack_sizes[rack] += 1;
            let weight = u64::from(candidate.capacity.clamp(1, WEIGHT_MAX));
            weighted.push(Weighted { rack, weight, held: 0 });
        }
        for &member in previous.iter().flatten().flatten() {
            weighted[member].held += 1;
        }
        let replication_factor =
            usize::from(replication_factor.min(REPLICATION_FACTOR_MAX)).min(nodes.len());
        Self { nodes, weighted, rack_sizes, replication_factor, partitions, previous }
    }

    /// The index of the node at a position.
    pub(super) fn node(&self, member: Member) -> NodeIndex {
        self.nodes[member]
    }

    /// How many nodes there are.
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Length of a row.
    pub(super) fn replication_factor(&self) -> usize {
        self.replication_factor
    }

    /// Length of a row, as a table stores it.
    pub(super) fn replication_factor_u8(&self) -> u8 {
        u8::try_from(self.replication_factor).unwrap_or(REPLICATION_FACTOR_MAX)
    }

    /// The previous row of a partition; empty without a previous table.
    pub(super) fn previous_row(&self, partition: Partition) -> &[Option<Member>] {
        self.previous.get(partition.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// Target load of each node.
    pub(super) fn targets(&self) -> Vec<u32> {
        let partitions = u64::from(self.partitions.count());
        let targets = target::targets(&self.weighted, partitions, self.replication_factor);
        targets.into_iter().map(|target| u32::try_from(target).unwrap_or(u32::MAX)).collect()
    }

    /// The members of every row, in the partition's hash order.
    pub(super) fn solve(&self) -> Vec<Vec<Member>> {
        if self.replication_factor == self.nodes.len() {
            return self.partitions.iter().map(|p| self.hash_order(p)).collect();
        }
        let mut network = Network::default();
        let source = network.add_vertex();
        let sink = network.add_vertex();
        let mut node_vertices = Vec::with_capacity(self.nodes.len());
        for target in self.targets() {
            let vertex = network.add_vertex();
            network.add_edge(vertex, sink, target, 0);
            node_vertices.push(vertex);
        }
        let mut choices: Vec<Vec<(Member, EdgeId)>> =
            vec![Vec::new(); self.partitions.count() as usize];
        for partition in self.shuffled_partitions() {
            let vertex = network.add_vertex();
            network.add_edge(source, vertex, small(self.replication_factor), 0);
            choices[partition.0 as usize] =
                self.add_choices(&mut network, &node_vertices, (partition, vertex));
        }
        let placed = network.solve(source, sink);
        assert_eq!(placed as usize, choices.len() * self.replication_factor, "the flow is full");
        let chosen = |row: &Vec<(Member, EdgeId)>| {
            row.iter().filter(|(_, edge)| network.carries(*edge)).map(|(m, _)| *m).collect()
        };
        choices.iter().map(chosen).collect()
    }

    /// Connects a partition with every node, through a vertex per rack where the rack rule binds.
    fn add_choices(
        &self,
        network: &mut Network,
        node_vertices: &[Vertex],
        (partition, vertex): (Partition, Vertex),
    ) -> Vec<(Member, EdgeId)> {
        let cap = target::rack_cap(&self.rack_sizes, self.replication_factor);
        let mut rack_vertices: Vec<Option<Vertex>> = vec![None; self.rack_sizes.len()];
        let mut choices = Vec::with_capacity(self.nodes.len());
        for member in self.hash_order(partition) {
            let rack = self.weighted[member].rack;
            let from = if self.rack_sizes[rack] <= cap {
                vertex
            } else if let Some(known) = rack_vertices[rack] {
                known
            } else {
                let new = network.add_vertex();
                network.add_edge(vertex, new, small(cap), 0);
                rack_vertices[rack] = Some(new);
                new
            };
            let stays = self.previous_row(partition).contains(&Some(member));
            let edge = network.add_edge(from, node_vertices[member], 1, u8::from(!stays));
            choices.push((member, edge));
        }
        choices
    }

    /// All nodes in an order of this partition's own, heavier ones earlier on average.
    fn hash_order(&self, partition: Partition) -> Vec<Member> {
        let mut members: Vec<Member> = (0..self.nodes.len()).collect();
        members.sort_by_cached_key(|&member| {
            let seed = u64::from(partition.0);
            let hash = xxh3_64_with_seed(&self.nodes[member].0.to_le_bytes(), seed);
            (hash / self.weighted[member].weight, member)
        });
        members
    }

    fn shuffled_partitions(&self) -> Vec<Partition> {
        let seed = self.nodes.len() as u64;
        let mut partitions: Vec<Partition> = self.partitions.iter().collect();
        partitions.sort_by_cached_key(|p| (xxh3_64_with_seed(&p.0.to_le_bytes(), seed), *p));
        partitions
    }
}

/// Row lengths are at most `REPLICATION_FACTOR_MAX`.
fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
