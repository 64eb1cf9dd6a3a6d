//! Dialing: from an address and an expectation to a connection, or to a sentence that says why not.
//!
//! 1. TLS: the server's chain, expiry and use are verified by `tls.rs`; ours are verified by the server.
//! 2. Compare the certified identity with the expectation of the caller (topology or address book).
//! 3. Wait for the server's first lane. In TLS 1.3 a client is done before the server has looked at the client's
//!    certificate; the lane is the server's word that it has admitted us. It costs one more half round trip, once.
//!
//! Invariants
//! - A returned connection is to exactly the expected peer, and the peer has admitted us.
//! - It takes at most [`CONNECT_DEADLINE`].
//! - The error tells apart: wait and retry (`Unreachable`, `Closed`), fix certificates (`Auth`), fix the address or
//!   the topology (`IdentityMismatch`).

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use atoll_protocol::identity::{Identity, Role};
use atoll_protocol::ids::Name;
use quinn::ConnectionError;

use crate::alpn::Alpn;
use crate::certified::CertifiedError;
use crate::close::{CloseCode, CloseReason};
use crate::connection::Established;
use crate::emulator::canonical;
use crate::handshake::{self, Failure};
use crate::lanes::LANE_VERSION;
use crate::lanes::reader::read_preamble;
use crate::runtime::{SpawnerRuntime, timeout};
use crate::tls::SERVER_NAME;

/// Longest time from the first packet to an admitted connection: 1 s above QUIC's idle time-out, which ends the wait
/// for a peer that does not answer at all.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Whom the caller expects at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedPeer {
    /// Exactly this node.
    Node {
        /// Its cluster.
        cluster: Name,
        /// Its datacenter.
        dc: Name,
        /// Its rack.
        rack: Name,
        /// Its name.
        node: Name,
    },
    /// Any node of the cluster: seeds, load balancers.
    AnyNode {
        /// The cluster.
        cluster: Name,
    },
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Certificates or roles do not fit; repeating it does not help.
    #[error("{addr}: {reason}")]
    Auth {
        /// The address that was dialed.
        addr: SocketAddr,
        /// Which side refused what.
        reason: String,
    },
    /// Nobody answered: no process, a firewall, a partition.
    #[error("{addr} does not answer (waited {waited:?}); is the node running and UDP open?")]
    Unreachable {
        /// The address that was dialed.
        addr: SocketAddr,
        /// The longest time that was waited.
        waited: Duration,
    },
    /// Somebody else answered, with a valid certificate.
    #[error(
        "{addr} is {presented}, expected {expected}; check the topology and the addresses in it"
    )]
    IdentityMismatch {
        /// The address that was dialed.
        addr: SocketAddr,
        /// Who was expected.
        expected: Box<ExpectedPeer>,
        /// Who it is.
        presented: Box<Identity>,
    },
    /// The peer or QUIC ended the connection before it was established.
    #[error("{addr}: {reason}")]
    Closed {
        /// The address that was dialed.
        addr: SocketAddr,
        /// How it ended.
        reason: CloseReason,
    },
    /// This endpoint cannot dial: it is closed, or the address is not one to dial.
    #[error("cannot dial {addr}: {reason}")]
    Local {
        /// The address that was dialed.
        addr: SocketAddr,
        /// What is wrong.
        reason: String,
    },
}

impl ExpectedPeer {
    /// The cluster of the expected peer.
    pub fn cluster(&self) -> &Name {
        match self {
            Self::Node { cluster, .. } | Self::AnyNode { cluster } => cluster,
        }
    }

    /// True when `presented` is whom the caller expects.
    pub fn is_met_by(&self, presented: &Identity) -> bool {
        let Role::Node { dc, rack, node } = &presented.role else {
            return false;
        };
        presented.cluster == *self.cluster()
            && match self {
                Self::AnyNode { .. } => true,
                Self::Node { dc: in_dc, rack: in_rack, node: named, .. } => {
                    (dc, rack, node) == (in_dc, in_rack, named)
                }
            }
    }
}

/// How to dial.
pub(crate) struct Dialer<'a> {
    pub(crate) endpoint: &'a quinn::Endpoint,
    pub(crate) config: quinn::ClientConfig,
    pub(crate) runtime: &'a SpawnerRuntime,
}

/// Dials `addr` and establishes a connection to `expected`.
pub(crate) async fn dial(
    dialer: Dialer<'_>,
    addr: SocketAddr,
    alpn: Alpn,
    expected: &ExpectedPeer,
) -> Result<Established, ConnectError> {
    let connecting = dialer
        .endpoint
        .connect_with(dialer.config, addr, SERVER_NAME)
        .map_err(|problem| ConnectError::Local { addr, reason: problem.to_string() })?;
    let establish = establish(connecting, addr, alpn, expected);
    match timeout(dialer.runtime, CONNECT_DEADLINE, establish).await {
        Some(established) => established,
        None => Err(ConnectError::Unreachable { addr, waited: CONNECT_DEADLINE }),
    }
}

async fn establish(
    connecting: quinn::Connecting,
    addr: SocketAddr,
    alpn: Alpn,
    expected: &ExpectedPeer,
) -> Result<Established, ConnectError> {
    let quinn = connecting.await.map_err(|problem| failed(addr, &problem))?;
    let identity = verify(&quinn, addr, expected)?;
    let mut lane = quinn.accept_uni().await.map_err(|problem| failed(addr, &problem))?;
    match read_preamble(&mut lane).await {
        Some(LANE_VERSION) => {}
        Some(version) => {
            let reason = format!("lane version {version} is not supported");
            quinn.close(CloseCode::Frame.to_varint(), reason.as_bytes());
            let reason = CloseReason::local(CloseCode::Frame, &reason);
            return Err(ConnectError::Closed { addr, reason });
        }
        None => {
            let problem = quinn.close_reason().unwrap_or(ConnectionError::Reset);
            return Err(failed(addr, &problem));
        }
    }
    Ok(Established { quinn, alpn, identity, sending: None, receiving: Some(lane) })
}

/// Compares the certified identity with the expectation; a mismatch is told to the peer as well.
fn verify(
    quinn: &quinn::Connection,
    addr: SocketAddr,
    expected: &ExpectedPeer,
) -> Result<Identity, ConnectError> {
    let refuse = |reason: &str| quinn.close(CloseCode::Identity.to_varint(), reason.as_bytes());
    let presented = handshake::identity(quinn).map_err(|problem: CertifiedError| {
        refuse(&problem.to_string());
        ConnectError::Auth { addr, reason: format!("this side refused the peer: {problem}") }
    })?;
    if expected.is_met_by(&presented) {
        return Ok(presented);
    }
    refuse(&format!("this is {presented}, the dialer expected {expected}"));
    let (expected, presented) = (Box::new(expected.clone()), Box::new(presented));
    Err(ConnectError::IdentityMismatch { addr, expected, presented })
}

fn failed(addr: SocketAddr, problem: &ConnectionError) -> ConnectError {
    let addr = canonical(addr);
    match handshake::explain(problem) {
        Failure::Auth(reason) => ConnectError::Auth { addr, reason },
        Failure::Silence => ConnectError::Unreachable { addr, waited: CONNECT_DEADLINE },
        Failure::Closed(reason) => ConnectError::Closed { addr, reason },
    }
}

impl fmt::Display for ExpectedPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { cluster, dc, rack, node } => {
                write!(f, "atoll://{cluster}/node/{dc}/{rack}/{node}")
            }
            Self::AnyNode { cluster } => write!(f, "any node of cluster `{cluster}`"),
        }
    }
}
