//! Addresses for the nodes of a local cluster: those that are remembered, and free ports for the rest.
//!
//! 1. Every address that the topology has is taken for a moment, to see that it is free.
//! 2. Every node without one gets the next free port on the loopback interface, beginning at a random one. Ports lie
//!    below those that the system hands out by itself (32 768 and up): a node that is down must find its port free when
//!    it comes back, and every client on this machine draws from the others.
//! 3. All sockets are closed again; the nodes bind them a moment later. Somebody else may be faster: then the node says
//!    so in its log, and the start fails.
//!
//! Invariants
//! - An address that was there stays: the nodes' data directories know it.
//! - No two nodes get the same port, because all are held at the same time.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;

use atoll_protocol::topology::{NodeEntry, TopologyFile};

use super::DevError;

/// Ports to choose from: above the registered ones that people use, below the system's own choice.
const PORTS: Range<u16> = 20_000..32_768;

/// Fills in what is missing in `file` and checks that all addresses are free. `chance` says where to begin.
///
/// # Errors
/// [`DevError::Address`] and [`DevError::PortTaken`] name the node.
pub(super) fn assign(file: &mut TopologyFile, chance: u64) -> Result<(), DevError> {
    let mut held = Vec::with_capacity(file.node.len());
    for node in &file.node {
        if let Some(address) = parse(node)? {
            held.push(take(node, address)?);
        }
    }
    let mut free = free_sockets(chance);
    for node in file.node.iter_mut().filter(|node| node.address.is_none()) {
        let Some((address, socket)) = free.next() else {
            let problem = format!("no port of {PORTS:?} is free");
            return Err(unusable(node, &problem));
        };
        node.address = Some(address.to_string());
        held.push(socket);
    }
    Ok(())
}

/// Sockets on free ports of [`PORTS`], each port once, beginning anywhere.
fn free_sockets(chance: u64) -> impl Iterator<Item = (SocketAddr, UdpSocket)> {
    let first = usize::try_from(chance % PORTS.len() as u64).unwrap_or_default();
    let ports = PORTS.skip(first).chain(PORTS.take(first));
    ports.filter_map(|port| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Some((address, UdpSocket::bind(address).ok()?))
    })
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
