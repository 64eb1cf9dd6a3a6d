//! What a name on the command line means: a node, or all nodes of a datacenter. Pure.
//!
//! Used by `atoll dev kill|start|stop` and `atoll fault`.
//!
//! 1. [`expand`] turns one name into nodes.
//! 2. [`links_between`] turns two sets of nodes into the links that join them, from both ends.
//!
//! Invariants
//! - A datacenter comes before a node of the same name.
//! - A link joins two different nodes, and each end knows of the other.

use std::collections::{BTreeMap, BTreeSet};

use atoll_protocol::ids::Name;
use atoll_protocol::topology::Topology;

/// A name that is neither a node nor a datacenter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is neither a node nor a datacenter; nodes: {}; datacenters: {}", nodes.join(", "), dcs.join(", "))]
pub struct UnknownName {
    /// The name as it was given.
    pub text: String,
    /// The nodes.
    pub nodes: Vec<String>,
    /// The datacenters.
    pub dcs: Vec<String>,
}

/// The nodes that `text` names.
///
/// # Errors
/// [`UnknownName`] lists what there is.
pub(super) fn expand(topology: &Topology, text: &str) -> Result<Vec<Name>, UnknownName> {
    let dc = topology
        .dc_indices()
        .find(|&dc| topology.dc(dc).is_some_and(|dc| dc.name.as_str() == text));
    let named = topology.nodes().iter().filter(|node| match dc {
        Some(dc) => node.dc == dc,
        None => node.name.as_str() == text,
    });
    let nodes: Vec<Name> = named.map(|node| node.name.clone()).collect();
    if !nodes.is_empty() {
        return Ok(nodes);
    }
    let names = |names: Vec<&Name>| names.into_iter().map(Name::to_string).collect();
    Err(UnknownName {
        text: text.to_owned(),
        nodes: names(topology.nodes().iter().map(|node| &node.name).collect()),
        dcs: names(topology.dcs().iter().map(|dc| &dc.name).collect()),
    })
}

/// Every node that is not in `side`.
pub(super) fn everybody_else(topology: &Topology, side: &[Name]) -> Vec<Name> {
    let nodes = topology.nodes().iter().map(|node| &node.name);
    nodes.filter(|name| !side.contains(name)).cloned().collect()
}

/// The links between the nodes of `a` and those of `b`, as each end sees them: node → the other ends.
pub(super) fn links_between(a: &[Name], b: &[Name]) -> BTreeMap<Name, Vec<Name>> {
    let mut links: BTreeMap<Name, BTreeSet<Name>> = BTreeMap::new();
    for one in a {
        for other in b.iter().filter(|other| *other != one) {
            links.entry(one.clone()).or_default().insert(other.clone());
            links.entry(other.clone()).or_default().insert(one.clone());
        }
    }
    let ends = |(node, others): (Name, BTreeSet<Name>)| (node, others.into_iter().collect());
    links.into_iter().map(ends).collect()
}
