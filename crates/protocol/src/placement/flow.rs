//! Cheapest maximum flow through a small network; the solver below `assign` and `order`.
//!
//! Called once per datacenter and topology change. It knows no partitions and no nodes, only numbered vertices.
//!
//! 1. Label every vertex with its cheapest distance from the source over edges that have room (Dijkstra on costs
//!    reduced by potentials, so that refunds on reverse edges never look negative). No path: done.
//! 2. Add the distances to the potentials. Now exactly the edges of cheapest paths have a reduced cost of 0.
//! 3. On those edges alone run Dinic: label hops, push along paths that gain a hop with every edge, until blocked.
//! 4. Repeat from 1; the price of a path never falls, so the first maximum is the cheapest maximum.
//!
//! With costs of 0 and 1 the price of a path takes a handful of values, hence a handful of rounds.
//!
//! Invariants
//! - Edge `e` and its reverse are `e` and `e ^ 1`; their rooms add up to the capacity that was asked for.
//! - Reduced costs of edges with room are never negative.
//! - Edges of a vertex are tried in the order in which they were added: the caller's order breaks ties, and the same
//!   calls give the same flow on every machine.
//!
//! Cost: 32 bytes of memory per edge (itself and its reverse); time about rounds × edges, measured in `mod.rs`.
//! Source: Ahuja, Magnanti, Orlin, "Network Flows", 1993, §9.8 (primal-dual); Dinitz, 1970.

#![expect(clippy::indexing_slicing, reason = "vertex and edge numbers are minted in this file")]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// No edge, no vertex label: the end of a list.
const NONE: u32 = u32::MAX;

/// A vertex of one [`Network`].
pub(super) type Vertex = usize;

/// A forward edge of one [`Network`].
#[derive(Clone, Copy)]
pub(super) struct EdgeId(usize);

struct Edge {
    to: u32,
    next: u32,
    room: u32,
    cost: i32,
}

/// First and last edge of a vertex's list.
#[derive(Clone, Copy)]
struct EdgeList {
    first: u32,
    last: u32,
}

/// A directed network with integer capacities and costs.
#[derive(Default)]
pub(super) struct Network {
    edges: Vec<Edge>,
    lists: Vec<EdgeList>,
}

impl Network {
    /// Adds a vertex without edges.
    pub(super) fn add_vertex(&mut self) -> Vertex {
        self.lists.push(EdgeList { first: NONE, last: NONE });
        self.lists.len() - 1
    }

    /// Adds an edge that can carry `capacity` units at `cost` each.
    pub(super) fn add_edge(&mut self, from: Vertex, to: Vertex, capacity: u32, cost: u8) -> EdgeId {
        assert_ne!(from, to, "a loop carries nothing");
        let edge = self.edges.len();
        let cost = i32::from(cost);
        self.append(from, Edge { to: number(to), next: NONE, room: capacity, cost });
        self.append(to, Edge { to: number(from), next: NONE, room: 0, cost: -cost });
        EdgeId(edge)
    }

    /// Sends as much as fits from `source` to `sink`, as cheaply as that much can be sent; returns how much.
    pub(super) fn solve(&mut self, source: Vertex, sink: Vertex) -> u32 {
        let mut potential = vec![0i32; self.lists.len()];
        let mut sent = 0;
        while self.raise_potentials(&mut potential, source, sink) {
            while let Some(hops) = self.hops(&potential, source, sink) {
                sent += self.push_until_blocked(&potential, &hops, (source, sink));
            }
        }
        sent
    }

    /// Whether a solved edge carries anything.
    pub(super) fn carries(&self, edge: EdgeId) -> bool {
        self.edges[edge.0 ^ 1].room > 0
    }

    fn append(&mut self, from: Vertex, edge: Edge) {
        let index = number(self.edges.len());
        self.edges.push(edge);
        let last = self.lists[from].last;
        if last == NONE {
            self.lists[from].first = index;
        } else {
            self.edges[last as usize].next = index;
        }
        self.lists[from].last = index;
    }

    /// Adds the cheapest distances to the potentials; false when the sink cannot be reached any more.
    fn raise_potentials(&self, potential: &mut [i32], source: Vertex, sink: Vertex) -> bool {
        let mut distance = vec![i32::MAX; self.lists.len()];
        let mut queue = BinaryHeap::new();
        distance[source] = 0;
        queue.push(Reverse((0, source)));
        while let Some(Reverse((reached_at, from))) = queue.pop() {
            if from == sink {
                break;
            }
            if reached_at > distance[from] {
                continue;
            }
            for edge in self.roomy_edges(from) {
                let to = edge.to as usize;
                let reduced = edge.cost + potential[from] - potential[to];
                debug_assert!(reduced >= 0, "potentials keep reduced costs from being negative");
                let there_at = reached_at + reduced;
                if there_at < distance[to] {
                    distance[to] = there_at;
                    queue.push(Reverse((there_at, to)));
                }
            }
        }
        let price = distance[sink];
        if price == i32::MAX {
            return false;
        }
        for (potential, distance) in potential.iter_mut().zip(distance) {
            *potential += distance.min(price);
        }
        true
    }

    /// Hops from the source over edges of reduced cost 0; `None` when they do not reach the sink.
    fn hops(&self, potential: &[i32], source: Vertex, sink: Vertex) -> Option<Vec<u32>> {
        let mut hops = vec![NONE; self.lists.len()];
        let mut queue = VecDeque::from([source]);
        hops[source] = 0;
        while let Some(from) = queue.pop_front() {
            for edge in self.roomy_edges(from) {
                let to = edge.to as usize;
                if hops[to] == NONE && edge.cost + potential[from] == potential[to] {
                    hops[to] = hops[from] + 1;
                    queue.push_back(to);
                }
            }
        }
        (hops[sink] != NONE).then_some(hops)
    }

    /// Dinic's blocking flow: walks forward hop by hop, gives up edges that lead nowhere, and pushes at the sink.
    fn push_until_blocked(
        &mut self,
        potential: &[i32],
        hops: &[u32],
        (source, sink): (Vertex, Vertex),
    ) -> u32 {
        let mut current: Vec<u32> = self.lists.iter().map(|list| list.first).collect();
        let mut path: Vec<usize> = Vec::new();
        let mut sent = 0;
        let mut at = source;
        loop {
            if at == sink {
                sent += self.push(&path);
                path.clear();
                at = source;
                continue;
            }
            let edge = current[at] as usize;
            if current[at] == NONE {
                let Some(back) = path.pop() else { return sent };
                at = self.edges[back ^ 1].to as usize;
                current[at] = self.edges[back].next;
                continue;
            }
            let Edge { to, room, cost, next } = self.edges[edge];
            let to = to as usize;
            let onward = room > 0 && hops[to] == hops[at] + 1;
            if onward && cost + potential[at] == potential[to] {
                path.push(edge);
                at = to;
            } else {
                current[at] = next;
            }
        }
    }

    /// Sends along `path` what its narrowest edge allows.
    fn push(&mut self, path: &[usize]) -> u32 {
        let amount = path.iter().map(|&edge| self.edges[edge].room).min().unwrap_or(0);
        assert!(amount > 0, "only edges with room are walked");
        for &edge in path {
            self.edges[edge].room -= amount;
            self.edges[edge ^ 1].room += amount;
        }
        amount
    }

    fn roomy_edges(&self, from: Vertex) -> impl Iterator<Item = &Edge> {
        let mut next = self.lists[from].first;
        std::iter::from_fn(move || {
            let edge = self.edges.get(next as usize)?;
            next = edge.next;
            Some(edge)
        })
        .filter(|edge| edge.room > 0)
    }
}

/// Numbers stay below 2^32 because partitions × nodes do.
fn number(index: usize) -> u32 {
    let number = u32::try_from(index).unwrap_or(NONE);
    assert!(number < NONE, "a network has fewer than 2^32 - 1 edges");
    number
}
