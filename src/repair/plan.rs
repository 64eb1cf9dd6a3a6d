//! Who compares what with whom.
//!
//! 1. Within a datacenter every two replicas of a partition compare it.
//! 2. Of two datacenters, the first live replica of each compares with the other's.
//! 3. Of two nodes one asks: the lesser for even partitions, the greater for odd ones.
//!
//! Two nodes may see liveness differently; then a partition is compared twice, or by another pair, or a cycle later.

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::merkle::ReplicaSets;
use atoll_protocol::token::Partition;

use crate::cluster::{Replicas, View};

/// One tree that two nodes have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share {
    /// The replica sets of its keyspaces.
    pub sets: ReplicaSets,
    /// Its partition.
    pub partition: Partition,
}

/// The trees that `own` compares with `peer` on its own initiative.
pub(super) fn shares(
    view: &View,
    own: NodeIndex,
    peer: NodeIndex,
    is_alive: impl Fn(NodeIndex) -> bool,
) -> Vec<Share> {
    let mut shares = Vec::new();
    for (sets, keyspace) in view.representatives() {
        for partition in view.topology.partitions().iter() {
            let asks = if partition.0 % 2 == 0 { own < peer } else { own > peer };
            if asks && are_paired(&view.replicas(keyspace, partition), own, peer, &is_alive) {
                shares.push(Share { sets, partition });
            }
        }
    }
    shares
}

/// The trees that `own` and `peer` both keep, whoever compares them.
pub(super) fn shared(view: &View, own: NodeIndex, peer: NodeIndex) -> Vec<Share> {
    let mut shares = Vec::new();
    for (sets, keyspace) in view.representatives() {
        for partition in view.topology.partitions().iter() {
            let replicas = view.replicas(keyspace, partition).nodes;
            let holds = |node| replicas.iter().any(|(of, _)| *of == node);
            if holds(own) && holds(peer) {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use atoll_protocol::ids::DcIndex;
    use atoll_protocol::keyspace::KeyspaceMap;
    use atoll_protocol::topology::{Addresses, TopologyFile};

    use super::*;

    fn view() -> View {
        let text = include_str!("../../topology/three-dcs.toml");
        let topology = TopologyFile::parse(text).unwrap().check(Addresses::Optional).unwrap();
        let keyspaces = KeyspaceMap::new(&topology);
        View::new(Arc::new(topology), keyspaces)
    }

    /// Who asks whom about each partition, if `down` nodes are down, as all nodes see it.
    fn asked(view: &View, down: &[NodeIndex]) -> BTreeMap<Partition, Vec<(NodeIndex, NodeIndex)>> {
        let mut asked = BTreeMap::<_, Vec<_>>::new();
        let up: Vec<_> = view.topology.node_indices().filter(|node| !down.contains(node)).collect();
        for &own in &up {
            for &peer in up.iter().filter(|&&peer| peer != own) {
                for share in shares(view, own, peer, |node| !down.contains(&node)) {
                    asked.entry(share.partition).or_default().push((own, peer));
                }
            }
        }
        asked
    }

    fn check(view: &View, down: &[NodeIndex]) {
        let keyspace = view.keyspaces.iter().next().unwrap();
        let asked = asked(view, down);
        for partition in view.topology.partitions().iter() {
            let replicas = view.replicas(keyspace, partition).nodes;
            let mut up: BTreeMap<DcIndex, Vec<NodeIndex>> = BTreeMap::new();
            for (node, dc) in replicas.into_iter().filter(|(node, _)| !down.contains(node)) {
                up.entry(dc).or_default().push(node);
            }
            // Every two live replicas of a datacenter, and the first ones of every two datacenters: once each.
            let mut wanted = Vec::new();
            let mut pair = |a: NodeIndex, b: NodeIndex| wanted.push((a.min(b), a.max(b)));
            let dcs: Vec<&Vec<NodeIndex>> = up.values().collect();
            for (at, nodes) in dcs.iter().enumerate() {
                for (position, a) in nodes.iter().enumerate() {
                    nodes[position + 1..].iter().for_each(|b| pair(*a, *b));
                }
                dcs[at + 1..].iter().for_each(|others| pair(nodes[0], others[0]));
            }
            wanted.sort_unstable();
            let found = asked.get(&partition).cloned().unwrap_or_default();
            let mut found: Vec<_> = found.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
            found.sort_unstable();
            assert_eq!(found, wanted, "{partition} without {down:?}");
        }
    }

    #[test]
    fn live_replicas_of_a_datacenter_compare_and_one_pair_of_two_datacenters() {
        let view = view();
        for down in [&[][..], &[0], &[3, 4], &[0, 1, 2], &[1, 4, 8]] {
            let down: Vec<NodeIndex> = down.iter().copied().map(NodeIndex).collect();
            check(&view, &down);
        }
    }

    #[test]
    fn both_nodes_of_a_pair_ask_about_half() {
        let view = view();
        let all = |_| true;
        let (a, b) = (NodeIndex(0), NodeIndex(1));
        let (asked, answered) = (shares(&view, a, b, all).len(), shares(&view, b, a, all).len());
        assert!(asked.abs_diff(answered) <= 1 && asked > 0, "{asked} {answered}");
    }
}
