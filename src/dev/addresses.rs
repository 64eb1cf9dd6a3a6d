//! Addresses for the nodes of a local cluster: those that are remembered, and free ports for the rest.
//!
//! 1. Every address that the topology has is taken for a moment, to see that it is free.
//! 2. Every node without one gets a port of the system's choice on the loopback interface.
//! 3. All sockets are closed again; the nodes bind them a moment later. Somebody else may be faster: then the node says
//!    so in its log, and the start fails.
//!
//! Invariants
//! - An address that was there stays: the nodes' data directories know it.
//! - No two nodes get the same port, because all are held at the same time.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use atoll_protocol::topology::{NodeEntry, TopologyFile};

use super::DevError;

/// Fills in what is missing in `file` and checks that all addresses are free.
///
/// # Errors
/// [`DevError::Address`] and [`DevError::PortTaken`] name the node.
pub(super) fn assign(file: &mut TopologyFile) -> Result<(), DevError> {
    let mut held = Vec::with_capacity(file.node.len());
    for node in &file.node {
        if let Some(address) = parse(node)? {
            held.push(take(node, address)?);
        }
    }
    for node in file.node.iter_mut().filter(|node| node.address.is_none()) {
        let socket = take(node, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = socket.local_addr().map_err(|error| unusable(node, &error))?;
        node.address = Some(address.to_string());
        held.push(socket);
    }
    Ok(())
}

/// The address of a node as a socket's; `None` if it has none yet.
///
/// # Errors
/// [`DevError::Address`].
pub(super) fn parse(node: &NodeEntry) -> Result<Option<SocketAddr>, DevError> {
    let Some(text) = &node.address else {
        return Ok(None);
    };
    match text.parse::<SocketAddr>() {
        Ok(address) => Ok(Some(address)),
        Err(_) => Err(unusable(node, &"it is not IP:port")),
    }
}

fn take(node: &NodeEntry, address: SocketAddr) -> Result<UdpSocket, DevError> {
    UdpSocket::bind(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            DevError::PortTaken { node: node.id.clone(), address: address.to_string() }
        }
        _ => unusable(node, &error),
    })
}

fn unusable(node: &NodeEntry, problem: &impl std::fmt::Display) -> DevError {
    DevError::Address {
        node: node.id.clone(),
        address: node.address.clone().unwrap_or_default(),
        problem: problem.to_string(),
    }
}
