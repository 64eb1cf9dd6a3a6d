//! A topology as it is encoded, and the check of what was decoded.
//!
//! A file that passed `check.rs` fulfils all of this; bytes from a peer or a disk are believed only after it. Bytes that
//! do not are an operating error, never a panic.
//!
//! Invariants: those of `mod.rs`, one entry of [`broken_rule`] each.

use serde::{Deserialize, Serialize};

use super::{CAPACITY_MAX, Dc, Link, Node, Topology};
use crate::ids::{DcIndex, Epoch, Name};
use crate::limits::{DCS_MAX, NODES_MAX, REPLICATION_FACTOR_MAX};
use crate::token::Partitions;

/// A decoded topology that breaks an invariant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a topology: {rule}")]
pub struct TopologyInvalid {
    /// The invariant.
    pub rule: &'static str,
}

/// The shape that is encoded; checked on the way in.
#[derive(Serialize, Deserialize)]
pub(super) struct RawTopology {
    pub(super) cluster: Name,
    pub(super) epoch: Epoch,
    pub(super) partitions: Partitions,
    pub(super) dcs: Vec<Dc>,
    pub(super) nodes: Vec<Node>,
    pub(super) links: Vec<Link>,
}

impl From<Topology> for RawTopology {
    fn from(topology: Topology) -> Self {
        let Topology { cluster, epoch, partitions, dcs, nodes, links } = topology;
        Self { cluster, epoch, partitions, dcs, nodes, links }
    }
}

impl TryFrom<RawTopology> for Topology {
    type Error = TopologyInvalid;
    fn try_from(raw: RawTopology) -> Result<Self, TopologyInvalid> {
        let RawTopology { cluster, epoch, partitions, dcs, nodes, links } = raw;
        let topology = Self { cluster, epoch, partitions, dcs, nodes, links };
        match broken_rule(&topology) {
            None => Ok(topology),
            Some(rule) => Err(TopologyInvalid { rule }),
        }
    }
}

/// The first invariant that does not hold.
fn broken_rule(topology: &Topology) -> Option<&'static str> {
    let Topology { dcs, nodes, links, .. } = topology;
    let in_range = |dc: &DcIndex| usize::from(dc.0) < dcs.len();
    let legal_dc = |(index, dc): (DcIndex, &Dc)| {
        let most = topology.nodes_in(index).count().min(usize::from(REPLICATION_FACTOR_MAX));
        (1..=most).contains(&usize::from(dc.replication_factor))
    };
    let legal_link = |link: &Link| link.between.0 < link.between.1 && in_range(&link.between.1);
    let mut names: Vec<&Name> = nodes.iter().map(|node| &node.name).collect();
    names.sort();
    let rules = [
        (dcs.len() <= DCS_MAX, "too many datacenters"),
        (nodes.len() <= NODES_MAX, "too many nodes"),
        (dcs.is_sorted_by(|a, b| a.name < b.name), "datacenters are sorted by name"),
        (
            nodes.is_sorted_by(|a, b| (a.dc, &a.name) < (b.dc, &b.name)),
            "nodes are sorted by datacenter and name",
        ),
        (names.is_sorted_by(|a, b| a < b), "node names are unique"),
        (nodes.iter().all(|node| in_range(&node.dc)), "nodes are in known datacenters"),
        (
            nodes.iter().all(|node| (1..=CAPACITY_MAX).contains(&node.capacity)),
            "capacities are in range",
        ),
        (
            topology.dc_indices().zip(dcs).all(legal_dc),
            "replication factors are from 1 to the nodes of the datacenter",
        ),
        (links.iter().all(legal_link), "links join two datacenters"),
        (links.is_sorted_by(|a, b| a.between < b.between), "links are sorted"),
    ];
    rules.iter().find(|(holds, _)| !holds).map(|(_, rule)| *rule)
}
