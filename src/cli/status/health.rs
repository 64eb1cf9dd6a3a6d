//! Which partitions have the replicas that a level needs: from the placement and from who is up.
//!
//! Pure. A datacenter's partition lacks a LOCAL_QUORUM if any keyspace that has replicas there has less than a majority
//! of them up.
//!
//! Invariants
//! - The answer is about nodes that answered the node that was asked; a node that is cut off from it counts as down.

use std::collections::BTreeSet;

use atoll_client::{ClusterView, NodeReport};
use atoll_protocol::ids::{DcIndex, Name, NodeIndex};
use atoll_protocol::keyspace::DEFAULT_KEYSPACE_NAME;
use atoll_protocol::placement::Table;
use atoll_protocol::topology::Placement;
use atoll_protocol::wire::NodeState;

/// The cluster's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Health {
    /// By datacenter, in the topology's order.
    pub(super) dcs: Vec<DcHealth>,
    /// What is not as it should be, a line each; none if all is well.
    pub(super) problems: Vec<String>,
}

/// The health of one datacenter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DcHealth {
    /// Its name.
    pub(super) dc: Name,
    /// Nodes that are up.
    pub(super) up: usize,
    /// All its nodes.
    pub(super) nodes: usize,
    /// Replicas that the default keyspace has here.
    pub(super) replication_factor: u8,
    /// Partitions of the cluster.
    pub(super) partitions: u32,
    /// Partitions where some keyspace has no majority of its replicas up.
    pub(super) without_quorum: u32,
    /// Partitions where some keyspace has a replica down.
    pub(super) without_all: u32,
}

impl Health {
    /// Computes it from the cluster and the reports of its nodes.
    pub(super) fn of(view: &ClusterView, reports: &[NodeReport]) -> Self {
        let topology = &view.topology;
        let pairs = view.keyspaces.pairs(topology);
        let placement = Placement::compute(topology, pairs.iter().copied());
        let up: BTreeSet<&Name> = reports
            .iter()
            .filter(|report| matches!(report.state, NodeState::Up(_)))
            .map(|report| &report.node)
            .collect();
        let is_up =
            |index: NodeIndex| topology.node(index).is_some_and(|node| up.contains(&node.name));
        let default = view.keyspaces.iter().find(|it| it.name.as_str() == DEFAULT_KEYSPACE_NAME);
        let dcs = topology.dc_indices().zip(topology.dcs()).map(|(index, dc)| {
            let factors = pairs.iter().filter(|(of, _)| *of == index);
            let tables = factors.filter_map(|&(of, factor)| placement.table(of, factor));
            let (without_quorum, without_all) = count_lacking(tables, view, is_up);
            DcHealth {
                dc: dc.name.clone(),
                up: topology.nodes_in(index).filter(|&node| is_up(node)).count(),
                nodes: topology.nodes_in(index).count(),
                replication_factor: default.map_or(0, |it| it.replicas_in(topology, index)),
                partitions: topology.partitions().count(),
                without_quorum,
                without_all,
            }
        });
        let dcs: Vec<DcHealth> = dcs.collect();
        let down = topology.nodes().iter().filter(|node| !up.contains(&node.name));
        let dc_name = |dc: DcIndex| topology.dc(dc).map_or("?", |dc| dc.name.as_str());
        let mut problems: Vec<String> = down
            .map(|node| format!("node {} of {} is down", node.name, dc_name(node.dc)))
            .collect();
        // Keyspaces with the same replication factor share their placement, and their trouble.
        problems.extend(pairs.iter().filter_map(|&(dc, factor)| {
            let table = placement.table(dc, factor)?;
            let (lacking, _) = count_lacking(std::iter::once(table), view, is_up);
            let all = topology.partitions().count();
            let dc = dc_name(dc);
            (lacking > 0).then(|| {
                format!("{lacking} of {all} partitions have no LOCAL_QUORUM in {dc} for keyspaces with rf {factor}")
            })
        }));
        Self { dcs, problems }
    }

    /// The verdict in one line.
    pub(super) fn verdict(&self) -> String {
        if self.problems.is_empty() {
            return "OK".to_owned();
        }
        let down: usize = self.dcs.iter().map(|dc| dc.nodes - dc.up).sum();
        let lost = self.dcs.iter().filter(|dc| dc.without_quorum > 0);
        let lost: Vec<&str> = lost.map(|dc| dc.dc.as_str()).collect();
        let quorum = if lost.is_empty() {
            "quorum intact everywhere".to_owned()
        } else {
            format!("quorum lost in {}", lost.join(" "))
        };
        format!("DEGRADED ({down} node(s) down, {quorum})")
    }
}

impl DcHealth {
    /// `ok`, or how many partitions still have what `lacking` ones lack.
    pub(super) fn share(&self, lacking: u32) -> String {
        let have = self.partitions - lacking;
        match lacking {
            0 => "ok".to_owned(),
            _ => format!("{have}/{} partitions", self.partitions),
        }
    }
}

/// Partitions where one of `tables` lacks a majority, and where one lacks any replica.
fn count_lacking<'a>(
    tables: impl Iterator<Item = &'a std::sync::Arc<Table>> + Clone,
    view: &ClusterView,
    is_up: impl Fn(NodeIndex) -> bool,
) -> (u32, u32) {
    let (mut without_quorum, mut without_all) = (0, 0);
    for partition in view.topology.partitions().iter() {
        let rows = tables.clone().map(|table| table.row(partition)).filter(|row| !row.is_empty());
        let counts = rows.map(|row| (row.iter().filter(|&&node| is_up(node)).count(), row.len()));
        let counts: Vec<(usize, usize)> = counts.collect();
        without_quorum += u32::from(counts.iter().any(|&(up, all)| up < all / 2 + 1));
        without_all += u32::from(counts.iter().any(|&(up, all)| up < all));
    }
    assert!(without_quorum <= without_all, "a majority is not more than all");
    (without_quorum, without_all)
}
