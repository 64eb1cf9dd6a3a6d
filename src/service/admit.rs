//! Who may do what: members of the topology on peer links, roles on client links.

use atoll_protocol::identity::{Identity, Role};
use atoll_protocol::ids::NodeIndex;
use atoll_protocol::wire::{Failure, HintsCommand, RepairCommand, Request};

use crate::cluster::Cluster;

/// The member that `identity` names.
///
/// # Errors
/// Why it is none: another cluster, no node, unknown, or in another datacenter or rack than the topology says.
pub(super) fn admit_peer(cluster: &Cluster, identity: &Identity) -> Result<NodeIndex, String> {
    let view = cluster.view();
    if identity.cluster != *view.topology.cluster() {
        return Err(format!(
            "{identity} is of another cluster; this one is {}",
            view.topology.cluster()
        ));
    }
    let Role::Node { dc, rack, node } = &identity.role else {
        return Err(format!("{identity} is not a node"));
    };
    let Some((index, member)) = view.topology.node_by_name(node) else {
        return Err(format!(
            "node {node} is not in the topology (epoch {})",
            view.topology.epoch()
        ));
    };
    let member_dc = view.dc_name(member.dc);
    if member_dc != Some(dc) || member.rack != *rack {
        let expected_dc = member_dc.map_or("?", |name| name.as_str());
        return Err(format!(
            "the certificate of node {node} says dc {dc}, rack {rack}; the topology says dc {expected_dc}, rack {}",
            member.rack
        ));
    }
    if index == cluster.own() {
        return Err(format!("{identity} is this node itself"));
    }
    Ok(index)
}

/// Checks that the role of `identity` allows `request`.
///
/// # Errors
/// [`Failure::Denied`] names what would be needed.
pub(super) fn authorize(identity: &Identity, request: &Request) -> Result<(), Failure> {
    let operation = match request {
        Request::Get(_)
        | Request::Put(_)
        | Request::Cluster
        | Request::Status
        | Request::Storage
        | Request::Repair(RepairCommand::Status)
        | Request::Hints(HintsCommand::List)
        | Request::Tombstones
        | Request::Explain { .. } => return Ok(()),
        Request::CreateKeyspace(_) => "creating a keyspace",
        Request::Fault(_) => "injecting faults",
        Request::Repair(RepairCommand::Start) => "starting a repair",
        Request::Repair(RepairCommand::Pause) => "pausing repair",
        Request::Hints(HintsCommand::Replay) => "replaying hints",
        Request::Hints(HintsCommand::Drop { .. }) => "dropping hints",
    };
    if identity.is_admin() {
        return Ok(());
    }
    Err(Failure::Denied {
        operation: operation.to_owned(),
        needed: format!(
            "an admin certificate (this one is {identity}); make one with `atoll cert admin`"
        ),
    })
}
