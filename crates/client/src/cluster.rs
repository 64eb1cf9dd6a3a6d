//! The cluster as this client knows it: an immutable snapshot for routing.
//!
//! Made from a node's [`ClusterView`], published behind an `ArcSwap`; a request takes one at the top of each attempt.
//!
//! 1. Join what a node says with what is known: the newer topology, and all keyspaces of both.
//! 2. Compute the placement for the (datacenter, replication factor) pairs in use.
//! 3. Keep the peers, and with them the connections, of nodes that stand where they stood.
//!
//! Invariants
//! - A snapshot never goes back: its epoch never decreases and it never forgets a keyspace.
//! - `peers[i]` is the node at index `i` of the topology.
//!
//! After a change of the topology the nodes move as little data as they can, which depends on a past that a client does
//! not know. Its placement may then name a node that is no replica; that node forwards, which costs one hop.

use std::sync::Arc;

use atoll_protocol::ids::{DcIndex, Epoch, Name, NodeIndex};
use atoll_protocol::keyspace::{Conflict, KeyspaceMap};
use atoll_protocol::token::Token;
use atoll_protocol::topology::{Node, Placement, Topology};
use atoll_protocol::wire::ClusterView;

use crate::link::{Peer, Target};

/// The cluster at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    topology: Topology,
    keyspaces: KeyspaceMap,
    placement: Placement,
    peers: Vec<Arc<Peer>>,
    own_dc: Option<DcIndex>,
}

impl Snapshot {
    /// Joins `view` into `previous`; `own` is the datacenter that this client belongs to.
    ///
    /// Cost: for each (datacenter, replication factor) pair that `previous` does not have, a millisecond with a few
    /// nodes and 1 024 partitions, and a second with hundreds and 65 536: not for a task that others wait for.
    pub(crate) fn new(view: ClusterView, previous: Option<&Self>, own: &Name) -> Self {
        let ClusterView { mut topology, mut keyspaces, .. } = view;
        if let Some(known) = previous {
            if known.topology.epoch() > topology.epoch() {
                topology = known.topology.clone();
            }
            // Which of two definitions stands does not depend on the order of the join.
            keyspaces.merge(&known.keyspaces);
        }
        let unchanged = previous.filter(|known| known.topology == topology);
        let mut placement = unchanged.map(|known| known.placement.clone()).unwrap_or_default();
        for (dc, replication_factor) in keyspaces.pairs(&topology) {
            placement.extend(&topology, dc, replication_factor);
        }
        let old = previous.map_or(&[][..], |known| &known.peers);
        let peers = topology.nodes().iter().map(|node| keep_peer(&topology, node, old)).collect();
        let own_dc = topology.dc_by_name(own).map(|(index, _)| index);
        let snapshot = Self { topology, keyspaces, placement, peers, own_dc };
        debug_assert_eq!(snapshot.peers.len(), snapshot.topology.nodes().len());
        snapshot
    }

    /// The topology.
    pub(crate) fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The topology's version.
    pub(crate) fn epoch(&self) -> Epoch {
        self.topology.epoch()
    }

    /// The datacenter of this client.
    pub(crate) fn own_dc(&self) -> Option<DcIndex> {
        self.own_dc
    }

    /// The datacenter of a node.
    pub(crate) fn dc_of(&self, node: NodeIndex) -> Option<DcIndex> {
        self.topology.node(node).map(|node| node.dc)
    }

    /// The connection state of a node.
    pub(crate) fn peer(&self, node: NodeIndex) -> Option<&Arc<Peer>> {
        self.peers.get(usize::from(node.0))
    }

    /// The peer called `name`.
    pub(crate) fn peer_by_name(&self, name: &Name) -> Option<(NodeIndex, &Arc<Peer>)> {
        let (index, _) = self.topology.node_by_name(name)?;
        Some((index, self.peer(index)?))
    }

    /// All nodes.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeIndex> {
        (0..).map(NodeIndex).take(self.peers.len())
    }

    /// How concurrent writes of a keyspace are resolved; `None` if this snapshot does not have it.
    pub(crate) fn conflict(&self, keyspace: &Name) -> Option<Conflict> {
        self.keyspaces.by_name(keyspace).map(|keyspace| keyspace.conflict)
    }

    /// The replicas of a key in one datacenter; none if the keyspace is unknown or has none there.
    pub(crate) fn replicas(&self, keyspace: &Name, key: &[u8], dc: DcIndex) -> &[NodeIndex] {
        let Some(keyspace) = self.keyspaces.by_name(keyspace) else { return &[] };
        let token = Token::of(keyspace.id, key);
        let partition = self.topology.partitions().partition_of(token);
        let replication_factor = keyspace.replicas_in(&self.topology, dc);
        self.placement.replicas(partition, dc, replication_factor).unwrap_or_default()
    }
}

/// The peer that stands for `node`: the old one if nothing about it changed.
fn keep_peer(topology: &Topology, node: &Node, old: &[Arc<Peer>]) -> Arc<Peer> {
    let dc = topology.dc(node.dc).map_or(&node.rack, |dc| &dc.name);
    let target = Target {
        address: node.address.clone(),
        dc: dc.clone(),
        rack: node.rack.clone(),
        node: node.name.clone(),
    };
    let kept = old.iter().find(|peer| *peer.target() == target);
    kept.map_or_else(|| Arc::new(Peer::new(target)), Arc::clone)
}
