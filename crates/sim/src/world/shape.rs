//! A plan's shape as a topology.

use std::sync::Arc;

use atoll_protocol::identity::{Identity, Role};
use atoll_protocol::ids::{DcIndex, Name, NodeIndex};
use atoll_protocol::topology::{Addresses, DcEntry, LinkEntry, NodeEntry, Topology, TopologyFile};
use atolldb::meta::Owner;

use crate::exec::ProcessId;
use crate::net::Net;
use crate::plan::Shape;

/// Name of every simulated cluster.
const CLUSTER: &str = "sim";

/// The topology of a shape; nodes in the order of their datacenters.
///
/// # Errors
/// What the topology's own check says.
pub(super) fn topology(shape: &Shape) -> Result<Arc<Topology>, String> {
    let mut file = TopologyFile {
        cluster: CLUSTER.to_owned(),
        partitions: Some(i64::from(shape.partitions)),
        ..TopologyFile::default()
    };
    for (dc, members) in shape.dcs.iter().enumerate() {
        file.dc.push(DcEntry {
            name: dc_name(dc),
            replication_factor: Some(i64::from(members.replication_factor)),
        });
        for member in 0..members.nodes {
            let address = Net::address(ProcessId(file.node.len()));
            file.node.push(NodeEntry {
                id: node_name(file.node.len()),
                dc: dc_name(dc),
                rack: format!("r{}", member % members.racks.max(1)),
                address: Some(address),
                capacity: None,
            });
        }
        for other in 0..dc {
            let between = vec![dc_name(other), dc_name(dc)];
            file.link.push(LinkEntry { between, rtt: format!("{}ms", shape.rtt_ms) });
        }
    }
    let topology = file.check(Addresses::Required).map_err(|problems| problems.to_string())?;
    let in_order =
        topology.nodes().iter().enumerate().all(|(i, node)| node.name.as_str() == node_name(i));
    if in_order {
        Ok(Arc::new(topology))
    } else {
        Err("the topology orders nodes otherwise".to_owned())
    }
}

/// The nodes of a topology and their datacenters, in the plan's order.
pub(super) fn members(topology: &Topology) -> Vec<(NodeIndex, DcIndex)> {
    topology.node_indices().zip(topology.nodes()).map(|(index, node)| (index, node.dc)).collect()
}

/// Who a node is, by certificate and by data directory.
pub(super) fn identity_of(topology: &Topology, node: NodeIndex) -> Option<(Identity, Owner)> {
    let member = topology.node(node)?;
    let dc = topology.dc(member.dc)?.name.clone();
    let (rack, cluster) = (member.rack.clone(), topology.cluster().clone());
    let owner = Owner {
        cluster: cluster.clone(),
        dc: dc.clone(),
        rack: rack.clone(),
        node: member.name.clone(),
    };
    let role = Role::Node { dc, rack, node: member.name.clone() };
    Some((Identity { cluster, role }, owner))
}

/// The identity of the clients: admins, so that they may create keyspaces.
pub(super) fn client_identity(topology: &Topology) -> Option<Identity> {
    let name = Name::new("workload").ok()?;
    Some(Identity { cluster: topology.cluster().clone(), role: Role::Admin { name } })
}

/// Two digits, so that names sort like numbers.
fn node_name(node: usize) -> String {
    format!("n{node:02}")
}

fn dc_name(dc: usize) -> String {
    format!("dc{dc}")
}
