//! QUIC with mutual TLS: certified identities, lanes of pipelined frames, emulated links.
//!
//! The transport of the node and of the client SDK alike. It moves [`atoll_protocol::frame::Frame`]s between two
//! certified peers and knows nothing of what they mean.
//!
//! ```text
//!   Endpoint::bind ──┬── connect ── TLS, expected identity, admitted ──┐
//!                    └── accept ─── caps, TLS, cluster, role ──────────┤
//!                                                                      ▼
//!          send ─► outbox per lane ─► writer ═══ QUIC ═══ reader ─► inbox ─► recv
//! ```
//!
//! Invariants
//! - There is no plaintext, no optional client certificate, no 0-RTT, no resumption (promise P10).
//! - Every queue has a bound in frames and in bytes, and reaching it has a name (promise P9).
//! - Nothing that a peer sends can panic, or allocate beyond a length that was checked first.
//! - All tasks come from the owner's [`Spawner`] and end by themselves.
//! - With [`Surroundings`] an endpoint needs no tokio runtime and reads no clock of the machine.
//!
//! Modules are in layer order: a module uses only modules listed below itself.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod endpoint;
mod accept;
mod connect;
mod handshake;
mod connection;
mod lanes;
mod config;
mod emulator;
mod udp;
mod transport;
mod tls;
mod surroundings;
mod alpn;
mod credentials;
mod certified;
mod crypto;
mod runtime;
mod chance;
mod close;

#[cfg(test)]
mod tests;

pub use accept::{AcceptError, HANDSHAKE_DEADLINE};
pub use alpn::Alpn;
pub use certified::{CertifiedError, identity_of};
pub use close::{CloseCode, CloseReason, ClosedBy};
pub use config::{BindError, EndpointConfig, LANES_CLIENT, LANES_NODE, OUTBOX_FRAMES};
pub use connect::{CONNECT_DEADLINE, ConnectError, ExpectedPeer};
pub use connection::{Connection, PathStatistics, SendError};
pub use credentials::{
    CredentialFile, CredentialParts, CredentialPaths, Credentials, CredentialsError,
};
pub use crypto::fingerprint;
pub use emulator::{Blocked, LinkCounts, LinkEmulator, LinkRule};
pub use endpoint::{Endpoint, ReloadError};
pub use lanes::OUTBOX_BYTES_MAX;
pub use runtime::{BoxFuture, Spawner};
pub use surroundings::{Surroundings, WallClock};
pub use tls::{SERVER_NAME, TlsError};
pub use transport::{
    DATAGRAM_BUFFER_BYTES, DATAGRAM_BYTES_MAX, IDLE_TIMEOUT, KEEP_ALIVE, LANES_MAX, Profile,
};
