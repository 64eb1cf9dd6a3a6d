//! The network of the second tier: real quinn and rustls over simulated UDP.
//!
//! The node's own [`QuicTransport`] on virtual time. Where the first tier carries frames, this one carries datagrams: it
//! finds what the first cannot, in handshakes, retransmission, flow control, idle time-outs and closes.
//!
//! ```text
//!   node ── QuicTransport ── atoll-quic ── quinn ── SimUdp ─┐ sent        ┌─▶ Wire: latency, loss, copies
//!                 tasks, timers: Env (runtime.rs)           └─ UdpNet ◀───┘ arrived
//! ```
//!
//! 1. Give every process a certificate (`certificates.rs`): equal seeds give equal bytes.
//! 2. Bind a node with [`node_transport`], a client with [`client_transport`]; a client's `connect` gives its link.
//! 3. Every datagram goes to the world's [`Wire`], which decides when and how often it arrives.
//! 4. To kill a process, [`UdpNet::unbind`] its address first, then drop its tasks and handles.
//!
//! Invariants
//! - Equal seeds, and equal behaviour of executor and wire, give the same datagrams: time, ends and length. Their
//!   contents differ, because keys are exchanged with the machine's randomness; nobody may look at them.
//! - No tokio runtime, no clock of the machine, no socket.
//! - Datagrams go nowhere but through the wire.
//!
//! What keeps the lengths equal: Ed25519 signatures and certificates of fixed form, no session tickets, the profile
//! without BBR (which draws from the machine), and atoll-quic's `Surroundings` for all that quinn draws.

mod certificates;
mod runtime;
mod udp;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use atoll_quic::{
    BindError, Credentials, Endpoint, EndpointConfig, Profile, Spawner, Surroundings,
};
use atolldb::env::Env;
use atolldb::net::{QuicTransport, Transport};

use crate::prng::Prng;
use runtime::EnvRuntime;

pub use certificates::{Authority, AuthorityError};
pub use udp::{SimUdp, UdpCounts, UdpNet, Wire};

/// Where one life of a process is on the network.
#[derive(Clone)]
pub struct Place {
    /// Its clocks and tasks.
    pub env: Env,
    /// The network.
    pub net: UdpNet,
    /// Its address, also if it only dials.
    pub address: SocketAddr,
    /// Its certificate.
    pub credentials: Credentials,
    /// What quinn draws follows from it. Every life of every process needs one of its own.
    pub seed: u64,
}

/// A node's transport: it listens, and dials peers.
///
/// # Errors
/// [`BindError::AddressInUse`] while another life has the address.
pub fn node_transport(place: &Place) -> Result<Arc<dyn Transport>, BindError> {
    let (credentials, spawner) = (place.credentials.clone(), spawner(&place.env));
    let endpoint = bind(place, EndpointConfig::node(place.address, credentials, spawner))?;
    Ok(Arc::new(QuicTransport::new(endpoint)))
}

/// A client's transport: it only dials, as an application does, over one socket. Dropping it closes its links.
///
/// # Errors
/// [`BindError::AddressInUse`] while another life has the address.
pub fn client_transport(place: &Place) -> Result<Arc<dyn Transport>, BindError> {
    let (credentials, spawner) = (place.credentials.clone(), spawner(&place.env));
    let endpoint = bind(place, EndpointConfig::client(credentials, spawner))?;
    Ok(Arc::new(QuicTransport::client(endpoint)))
}

fn bind(place: &Place, config: EndpointConfig) -> Result<Endpoint, BindError> {
    let addr = place.address;
    let socket = place.net.bind(addr).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::AddressInUse { addr },
        _ => BindError::Socket { addr: Some(addr), source },
    })?;
    let mut seed = [0; 32];
    Prng::stream(place.seed, "quic").fill(&mut seed);
    let env = place.env.clone();
    let surroundings = Surroundings {
        runtime: Arc::new(EnvRuntime::new(place.env.clone())),
        socket,
        seed,
        wall: Arc::new(move || env.wall()),
    };
    Endpoint::bind(EndpointConfig {
        profile: Profile::Lan,
        surroundings: Some(surroundings),
        ..config
    })
}

fn spawner(env: &Env) -> Spawner {
    let env = env.clone();
    Arc::new(move |name, task| env.spawn(name, task))
}
