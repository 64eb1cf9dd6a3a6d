//! What an endpoint is made of, and what quinn is given for it.
//!
//! `endpoint.rs` binds with what is here: the configuration that node and SDK fill in, and its translation into a socket
//! and into quinn's server and client configurations. Everything that can be wrong at start is a [`BindError`].
//!
//! Invariants
//! - What arrives before a handshake is accepted is bounded in number and in bytes.
//! - Listener and dialer use the same transport settings and equally strict TLS.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use quinn::{AsyncUdpSocket, Runtime};

use crate::alpn::Alpn;
use crate::credentials::Credentials;
use crate::emulator::LinkEmulator;
use crate::emulator::socket::EmulatedSocket;
use crate::runtime::{Spawner, SpawnerRuntime};
use crate::surroundings::{Sources, Surroundings};
use crate::tls::{self, TlsError};
use crate::transport::{Profile, transport_config};
use crate::udp;

/// Lanes that a node opens on a connection: three for bursts of small frames, of which a lost packet holds up one, and one for
/// large frames. 2 to 8 cost the same as one.
pub const LANES_NODE: u8 = 4;

/// Lanes that an application opens on a connection, and at most those that a node opens to it, one for small frames and one for
/// large: it has a connection to every node already, and a node has thousands of them.
pub const LANES_CLIENT: u8 = 2;

/// Frames that an outbox holds, that of small frames and that of large ones: 4 096 × 1 KiB = 4 MiB, some 10 ms of one core's sending.
pub const OUTBOX_FRAMES: usize = 4_096;

/// Incoming attempts that quinn keeps before `accept.rs` sees them, and bytes that it keeps for each and for all.
const INCOMING_MAX: usize = 1_024;
/// Bytes that quinn keeps for one such attempt: a first flight with a long certificate chain is below 16 KiB.
const INCOMING_BYTES: u64 = 64 * 1_024;
const INCOMING_BYTES_TOTAL: u64 = 8 * 1_024 * 1_024;

/// What an endpoint is made of.
#[derive(Clone)]
pub struct EndpointConfig {
    /// Where to listen; `None` for an endpoint that only dials, from any port. With surroundings the socket is bound
    /// already, and this only says whether to listen.
    pub listen: Option<SocketAddr>,
    /// Who we are and whom we trust.
    pub credentials: Credentials,
    /// Protocols that a listener speaks.
    pub alpns: Vec<Alpn>,
    /// The kind of path.
    pub profile: Profile,
    /// Lanes that this side opens per connection, 1 to [`crate::LANES_MAX`].
    pub lanes: u8,
    /// Frames that each outbox holds.
    pub outbox_frames: usize,
    /// Emulated links, for development and tests.
    pub emulator: Option<Arc<LinkEmulator>>,
    /// Starts the endpoint's tasks.
    pub spawner: Spawner,
    /// Where the endpoint runs, if not on this machine's clock and network: in a simulator.
    pub surroundings: Option<Surroundings>,
}

/// Why an endpoint cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The port is taken.
    #[error(
        "cannot listen on {addr}: the UDP port is in use; stop the process that has it \
         (`ss -ulpn 'sport = :{}'` names it) or listen elsewhere",
        addr.port()
    )]
    AddressInUse {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// The machine has no such address.
    #[error("cannot listen on {addr}: this machine has no such address; `ip addr` lists its own")]
    AddressNotAvailable {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// Another failure of the system.
    #[error("cannot open a UDP socket{}: {source}", .addr.map(|a| format!(" on {a}")).unwrap_or_default())]
    Socket {
        /// The address that was asked for.
        addr: Option<SocketAddr>,
        /// What the system said.
        source: io::Error,
    },
    /// The credentials do not make a TLS configuration.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// How to dial with each protocol.
pub(crate) type Dialers = BTreeMap<Alpn, quinn::ClientConfig>;

impl EndpointConfig {
    /// A node's endpoint: listens on `listen`, speaks every protocol.
    pub fn node(listen: SocketAddr, credentials: Credentials, spawner: Spawner) -> Self {
        let client = Self::client(credentials, spawner);
        Self { listen: Some(listen), alpns: Alpn::ALL.to_vec(), lanes: LANES_NODE, ..client }
    }

    /// An application's endpoint: only dials.
    pub fn client(credentials: Credentials, spawner: Spawner) -> Self {
        Self {
            listen: None,
            credentials,
            alpns: Vec::new(),
            profile: Profile::default(),
            lanes: LANES_CLIENT,
            outbox_frames: OUTBOX_FRAMES,
            emulator: None,
            spawner,
            surroundings: None,
        }
    }
}

pub(crate) fn open_socket(
    config: &EndpointConfig,
    runtime: &Arc<SpawnerRuntime>,
) -> io::Result<Arc<dyn AsyncUdpSocket>> {
    let plain = match (&config.surroundings, config.listen) {
        (Some(given), _) => Arc::clone(&given.socket),
        (None, Some(addr)) => runtime.wrap_udp_socket(udp::bind_udp(addr)?)?,
        (None, None) => runtime.wrap_udp_socket(udp::bind_any()?)?,
    };
    let segments = plain.max_transmit_segments();
    tracing::debug!(segments, "UDP segmentation offload (1 = off: a packet costs twice as much)");
    let Some(emulator) = &config.emulator else {
        return Ok(plain);
    };
    let (emulated, sender) = EmulatedSocket::new(plain, Arc::clone(runtime), Arc::clone(emulator));
    (config.spawner)("quic.emulator", Box::pin(sender));
    Ok(Arc::new(emulated))
}

pub(crate) fn server_config(
    credentials: &Credentials,
    alpns: &[Alpn],
    profile: Profile,
    sources: &Sources,
) -> Result<quinn::ServerConfig, TlsError> {
    let mut config = sources.server_config(tls::server_config(credentials, alpns, sources)?);
    config
        .transport_config(transport_config(profile))
        .migration(false)
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL);
    Ok(config)
}

pub(crate) fn dialers(
    credentials: &Credentials,
    profile: Profile,
    sources: &Sources,
) -> Result<Dialers, TlsError> {
    let dialer = |alpn| {
        let mut config = sources.client_config(tls::client_config(credentials, alpn, sources)?);
        config.transport_config(transport_config(profile));
        Ok((alpn, config))
    };
    Alpn::ALL.into_iter().map(dialer).collect()
}

pub(crate) fn bind_error(addr: Option<SocketAddr>, source: io::Error) -> BindError {
    match (addr, source.kind()) {
        (Some(addr), io::ErrorKind::AddrInUse) => BindError::AddressInUse { addr },
        (Some(addr), io::ErrorKind::AddrNotAvailable) => BindError::AddressNotAvailable { addr },
        (addr, _) => BindError::Socket { addr, source },
    }
}
