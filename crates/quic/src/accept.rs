//! Listening: from a first datagram to an admitted connection, with a bound on every step.
//!
//! The order of work on a datagram, each step cheaper than the next:
//!
//! 1. Count the handshakes under way ([`choose_admission`]): few → go on; many → ask the sender to prove its address
//!    (Retry: no state, no signature); too many → drop it silently.
//! 2. TLS, at most [`HANDSHAKE_DEADLINE`]: the client's certificate must chain to our roots.
//! 3. The identity in it, its cluster and its role for the negotiated protocol (`alpn.rs`). A refusal is a close with
//!    a code and a sentence, so that the operator at the other end can read it.
//! 4. Open our first lane: the sign for the dialer that it is admitted.
//! 5. Queue the connection for `Endpoint::accept`.
//!
//! Invariants
//! - At most [`HANDSHAKES_MAX`] handshakes are under way, and at most [`READY_MAX`] of their results wait.
//! - Nothing of a peer is read before it is admitted.
//!
//! Whether an admitted node is a member of the topology is decided above this crate.
//!
//! Source: RFC 9000 §8.1.2 (address validation with Retry).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::identity::Identity;
use atoll_protocol::ids::Name;
use quinn::Incoming;
use tokio::sync::{Semaphore, mpsc};

use crate::alpn::admit;
use crate::certified::CertifiedError;
use crate::close::{CloseCode, CloseReason};
use crate::connection::{Connection, Established, LaneOptions};
use crate::emulator::canonical;
use crate::handshake::{self, Failure};
use crate::lanes::open_lane;
use crate::runtime::{Spawner, SpawnerRuntime, timeout};

/// Longest time from an accepted first packet to an admitted connection: 10 round trips of 300 ms, and 2 s for a busy
/// machine.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);

/// Handshakes under way from which on a sender must prove its address. 64 × 0.5 ms of signatures and key exchange =
/// 32 ms of one core.
pub(crate) const HANDSHAKES_SOFT: usize = 64;

/// Most handshakes under way: 256 × about 100 KiB of buffers = 25 MiB.
pub(crate) const HANDSHAKES_MAX: usize = 256;

/// Most finished handshakes that wait for `Endpoint::accept`.
pub(crate) const READY_MAX: usize = 64;

/// Why an incoming connection was not admitted. For logs and counters: the peer has been told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// TLS or QUIC failed: no certificate, another CA, expired, another protocol, vanished.
    #[error("handshake with {remote} failed: {reason}")]
    Handshake {
        /// Where it came from.
        remote: SocketAddr,
        /// Which side refused what.
        reason: String,
    },
    /// The peer ended it before it was established: a client that was closed again, a node that gave up.
    #[error("{remote} went away: {reason}")]
    Abandoned {
        /// Where it came from.
        remote: SocketAddr,
        /// How it ended.
        reason: String,
    },
    /// It took longer than [`HANDSHAKE_DEADLINE`].
    #[error("handshake with {remote} took longer than {HANDSHAKE_DEADLINE:?}")]
    Deadline {
        /// Where it came from.
        remote: SocketAddr,
    },
    /// The certificate is valid and names nobody.
    #[error("{remote} is refused: {source}")]
    Identity {
        /// Where it came from.
        remote: SocketAddr,
        /// What is wrong with the certificate.
        source: CertifiedError,
    },
    /// The certificate names somebody who may not speak this protocol here.
    #[error("{identity} at {remote} is refused: {reason}")]
    Refused {
        /// Where it came from.
        remote: SocketAddr,
        /// Who it is.
        identity: Box<Identity>,
        /// The code that the peer was told.
        code: CloseCode,
        /// The text that the peer was told.
        reason: String,
    },
}

/// What every handshake of a listener needs to know.
pub(crate) struct Listener {
    pub(crate) cluster: Name,
    pub(crate) options: LaneOptions,
    pub(crate) spawner: Spawner,
    pub(crate) runtime: Arc<SpawnerRuntime>,
}

/// What to do with a first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Accept,
    Retry,
    Ignore,
}

/// Whether the sender of a first packet has shown that it receives at its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Validated,
    Claimed,
}

/// Decides about a first packet while `under_way` handshakes run.
pub(crate) fn choose_admission(under_way: usize, address: Address) -> Admission {
    match address {
        _ if under_way >= HANDSHAKES_MAX => Admission::Ignore,
        Address::Claimed if under_way >= HANDSHAKES_SOFT => Admission::Retry,
        Address::Claimed | Address::Validated => Admission::Accept,
    }
}

/// Handles first packets until the endpoint is closed; results go to `ready`.
pub(crate) async fn accept_incoming(
    endpoint: quinn::Endpoint,
    listener: Arc<Listener>,
    ready: mpsc::Sender<Result<Connection, AcceptError>>,
) {
    let slots = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    while let Some(incoming) = endpoint.accept().await {
        let under_way = HANDSHAKES_MAX.saturating_sub(slots.available_permits());
        let address = match incoming.remote_address_validated() {
            true => Address::Validated,
            false => Address::Claimed,
        };
        let slot = Arc::clone(&slots).try_acquire_owned();
        match (choose_admission(under_way, address), slot) {
            (Admission::Accept, Ok(slot)) => {
                let (listener, ready) = (Arc::clone(&listener), ready.clone());
                let spawner = Arc::clone(&listener.spawner);
                let handshake = async move {
                    let outcome = handshake(incoming, &listener).await;
                    // Without a taker the endpoint is gone, and with it the connection.
                    let _ = ready.send(outcome).await;
                    drop(slot);
                };
                spawner("quic.handshake", Box::pin(handshake));
            }
            (Admission::Retry, _) => {
                if let Err(refused) = incoming.retry() {
                    refused.into_incoming().ignore();
                }
            }
            (Admission::Ignore, _) | (Admission::Accept, Err(_)) => incoming.ignore(),
        }
    }
}

async fn handshake(incoming: Incoming, listener: &Listener) -> Result<Connection, AcceptError> {
    let remote = canonical(incoming.remote_address());
    let established = establish(incoming, remote, &listener.cluster);
    match timeout(&*listener.runtime, HANDSHAKE_DEADLINE, established).await {
        Some(parts) => Ok(Connection::start(parts?, listener.options, &listener.spawner)),
        None => Err(AcceptError::Deadline { remote }),
    }
}

async fn establish(
    incoming: Incoming,
    remote: SocketAddr,
    cluster: &Name,
) -> Result<Established, AcceptError> {
    let failed = |problem: quinn::ConnectionError| failed(remote, &problem);
    let quinn = incoming.accept().map_err(failed)?.await.map_err(failed)?;
    let refuse = |code: CloseCode, text: &str| quinn.close(code.to_varint(), text.as_bytes());
    let identity = handshake::identity(&quinn).map_err(|source| {
        refuse(CloseCode::Identity, &source.to_string());
        AcceptError::Identity { remote, source }
    })?;
    let Some(alpn) = handshake::negotiated(&quinn) else {
        let reason = "no protocol was negotiated".to_owned();
        refuse(CloseCode::WrongRole, &reason);
        return Err(AcceptError::Handshake { remote, reason });
    };
    if let Err(refusal) = admit(alpn, cluster, &identity) {
        refuse(refusal.code, &refusal.reason);
        let (identity, code, reason) = (Box::new(identity), refusal.code, refusal.reason);
        return Err(AcceptError::Refused { remote, identity, code, reason });
    }
    let lane = open_lane(&quinn).await.map_err(|_| gone(remote, &quinn))?;
    Ok(Established { quinn, alpn, identity, sending: Some(lane), receiving: None })
}

fn failed(remote: SocketAddr, problem: &quinn::ConnectionError) -> AcceptError {
    match handshake::explain(problem) {
        Failure::Auth(reason) => AcceptError::Handshake { remote, reason },
        Failure::Silence => {
            AcceptError::Abandoned { remote, reason: "the peer fell silent".to_owned() }
        }
        Failure::Closed(reason) => AcceptError::Abandoned { remote, reason: reason.to_string() },
    }
}

fn gone(remote: SocketAddr, quinn: &quinn::Connection) -> AcceptError {
    let reason = quinn.close_reason().map(|problem| CloseReason::of(&problem, None).to_string());
    AcceptError::Abandoned { remote, reason: reason.unwrap_or_else(|| "no lane".to_owned()) }
}
