//! The three protocols of one port, and who may speak which.
//!
//! TLS negotiates the protocol (ALPN); afterwards the listener asks [`admit`] with the certified identity. Nothing
//! that a peer says in a message has a part in it (promise P10).
//!
//! ```text
//! protocol        node  client  admin     carries
//! atoll-client/1  yes   yes     yes       requests of applications and operators
//! atoll-peer/1    yes   no      no        replication, membership
//! atoll-bulk/1    yes   no      no        repair, hints, streaming: its own congestion window
//! ```
//!
//! Invariants
//! - A client or admin certificate never speaks a protocol of nodes.
//! - A certificate of another cluster speaks nothing, even if its CA is trusted.

use std::fmt;

use atoll_protocol::identity::{Identity, Role};
use atoll_protocol::ids::Name;

use crate::close::CloseCode;

/// A protocol spoken over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alpn {
    /// Applications and operators to a node.
    Client,
    /// Node to node, foreground.
    Peer,
    /// Node to node, background bulk.
    Bulk,
}

/// Why an identity may not speak a protocol: a close code and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The code that the peer is told.
    pub(crate) code: CloseCode,
    /// The text that the peer is told.
    pub(crate) reason: String,
}

impl Alpn {
    /// All protocols.
    pub const ALL: [Self; 3] = [Self::Client, Self::Peer, Self::Bulk];

    /// The name in the TLS handshake.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "atoll-client/1",
            Self::Peer => "atoll-peer/1",
            Self::Bulk => "atoll-bulk/1",
        }
    }

    /// The protocol that TLS negotiated.
    pub(crate) fn from_bytes(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|alpn| alpn.as_str().as_bytes() == name)
    }
}

/// Decides whether `identity` may speak `alpn` to a node of `cluster`.
pub(crate) fn admit(alpn: Alpn, cluster: &Name, identity: &Identity) -> Result<(), Refusal> {
    if identity.cluster != *cluster {
        let reason = format!(
            "the certificate belongs to cluster `{}`, this is cluster `{cluster}`",
            identity.cluster
        );
        return Err(Refusal { code: CloseCode::WrongCluster, reason });
    }
    let role = match (&identity.role, alpn) {
        (Role::Node { .. }, Alpn::Client | Alpn::Peer | Alpn::Bulk)
        | (Role::Client { .. } | Role::Admin { .. }, Alpn::Client) => return Ok(()),
        (Role::Client { .. }, Alpn::Peer | Alpn::Bulk) => "a client",
        (Role::Admin { .. }, Alpn::Peer | Alpn::Bulk) => "an admin",
    };
    let reason = format!("{role} certificate cannot speak {alpn}");
    Err(Refusal { code: CloseCode::WrongRole, reason })
}

impl fmt::Display for Alpn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
