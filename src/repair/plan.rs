//! Who compares what with whom.
//!
//! 1. Within a datacenter every two replicas of a partition compare it.
//! 2. Of two datacenters, the first live replica of each compares with the other's.
//! 3. Of two nodes one asks: the lesser for even partitions, the greater for odd ones.
//!
//! Two nodes may see liveness differently; then a partition is compared twice, or by another pair, or a cycle later.

use std::collections::BTreeMap;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::merkle::ReplicaSets;
use atoll_protocol::token::Partition;

use crate::cluster::{Replicas, View};

/// One tree that two nodes have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Share {
    pub(super) sets: ReplicaSets,
    pub(super) partition: Partition,
}

/// The trees that `own` compares with `peer` on its own initiative.
pub(super) fn shares(
    view: &View,
    own: NodeIndex,
    peer: NodeIndex,
    is_alive: impl Fn(NodeIndex) -> bool,
) -> Vec<Share> {
    let mut by_sets = BTreeMap::new();
    for keyspace in view.keyspaces.iter() {
        by_sets.entry(view.replica_sets(keyspace)).or_insert(keyspace);
    }
    let mut shares = Vec::new();
    for (sets, keyspace) in by_sets {
        for partition in view.topology.partitions().iter() {
            let asks = if partition.0 % 2 == 0 { own < peer } else { own > peer };
            if asks && are_paired(&view.replicas(keyspace, partition), own, peer, &is_alive) {
                shares.push(Share { sets, partition });
            }
        }
    }
    shares
}

fn are_paired(
    replicas: &Replicas,
    own: NodeIndex,
    peer: NodeIndex,
    is_alive: &impl Fn(NodeIndex) -> bool,
) -> bool {
    let dc_of = |node| replicas.nodes.iter().find(|(of, _)| *of == node).map(|(_, dc)| *dc);
    let (Some(own_dc), Some(peer_dc)) = (dc_of(own), dc_of(peer)) else { return false };
    let leads = |node, dc| {
        let alive = replicas.nodes.iter().find(|(of, in_dc)| *in_dc == dc && is_alive(*of));
        alive.is_some_and(|(first, _)| *first == node)
    };
    own_dc == peer_dc || (leads(own, own_dc) && leads(peer, peer_dc))
}
