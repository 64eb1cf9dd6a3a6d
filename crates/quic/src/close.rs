//! How a connection ends: codes, reasons, and which side ended it.
//!
//! Sits below everything in this crate. A close travels as QUIC's `CONNECTION_CLOSE` with an application code and a
//! text, so the peer can show its operator why; an end without such a frame (time-out, TLS failure, stateless
//! reset) has no code.
//!
//! ```text
//! code name           sent when
//!    0 Done           the last handle was dropped, or the work is finished
//!    1 Frame          the peer sent bytes that are not a frame; the reason names the field
//!    2 WrongRole      the certificate's role may not speak the negotiated protocol
//!    3 WrongCluster   the certificate belongs to another cluster
//!    4 Identity       the certificate names nobody, or somebody other than expected
//!    5 Overloaded     this side has a bound on connections and it is reached
//!    6 ShuttingDown   the process stops; connect elsewhere or later
//!    7 Credentials    the certificate expired, was revoked, or the connection is older than it may become
//!    8 Internal       this side failed; its log says why
//!    n Other          a code that this version does not know
//! ```
//!
//! Invariants
//! - Numbers are never reused or changed: they are on the wire between versions.
//! - The first local close wins: a later one neither changes the code nor the text.
//! - A reason from a peer is shown as text of at most [`REASON_BYTES_MAX`] bytes, never interpreted.
//!
//! Source: RFC 9000 §19.19 (CONNECTION_CLOSE of type 0x1d) and §10.2.

use std::fmt;

use quinn::{ConnectionError, VarInt};

/// Longest reason that is kept or sent, in bytes: it must fit in one packet of 1 200 bytes beside its headers.
pub(crate) const REASON_BYTES_MAX: usize = 512;

/// Why a side closed the connection. The numbers in the module's table are on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// The work is finished.
    Done,
    /// Bytes that are not a frame.
    Frame,
    /// The role in the certificate may not speak this protocol.
    WrongRole,
    /// The certificate belongs to another cluster.
    WrongCluster,
    /// The certificate names nobody, or somebody other than expected.
    Identity,
    /// Too many connections.
    Overloaded,
    /// The process stops.
    ShuttingDown,
    /// Expired, revoked or too old.
    Credentials,
    /// This side failed.
    Internal,
    /// A code of a version that this one does not know.
    Other(u64),
}

/// Which side ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedBy {
    /// The other side said so.
    Peer,
    /// This side did, on purpose or because the peer broke the protocol.
    Local,
    /// Nothing was heard from the peer for the idle time-out.
    Timeout,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReason {
    /// The application code; `None` when QUIC or TLS ended the connection without one.
    pub code: Option<CloseCode>,
    /// Readable text; for a close by the peer it is the peer's text.
    pub reason: String,
    /// Which side ended it.
    pub by: ClosedBy,
}

impl CloseCode {
    /// The number on the wire.
    pub const fn number(self) -> u64 {
        match self {
            Self::Done => 0,
            Self::Frame => 1,
            Self::WrongRole => 2,
            Self::WrongCluster => 3,
            Self::Identity => 4,
            Self::Overloaded => 5,
            Self::ShuttingDown => 6,
            Self::Credentials => 7,
            Self::Internal => 8,
            Self::Other(number) => number,
        }
    }

    /// The code of a number on the wire.
    pub const fn from_number(number: u64) -> Self {
        match number {
            0 => Self::Done,
            1 => Self::Frame,
            2 => Self::WrongRole,
            3 => Self::WrongCluster,
            4 => Self::Identity,
            5 => Self::Overloaded,
            6 => Self::ShuttingDown,
            7 => Self::Credentials,
            8 => Self::Internal,
            other => Self::Other(other),
        }
    }

    /// The number as QUIC carries it; numbers beyond 2^62 - 1 do not exist on the wire and saturate.
    pub(crate) fn to_varint(self) -> VarInt {
        VarInt::from_u64(self.number()).unwrap_or(VarInt::MAX)
    }
}

impl CloseReason {
    /// A close by this side.
    pub(crate) fn local(code: CloseCode, reason: &str) -> Self {
        Self { code: Some(code), reason: clip(reason).to_owned(), by: ClosedBy::Local }
    }

    /// Reads quinn's verdict; `local` is what this side had said before, if it had.
    pub(crate) fn of(error: &ConnectionError, local: Option<&Self>) -> Self {
        let ended = |by, reason: String| Self { code: None, reason, by };
        match error {
            ConnectionError::ApplicationClosed(close) => Self {
                code: Some(CloseCode::from_number(close.error_code.into_inner())),
                reason: clip(&String::from_utf8_lossy(&close.reason)).to_owned(),
                by: ClosedBy::Peer,
            },
            ConnectionError::LocallyClosed => local
                .cloned()
                .unwrap_or_else(|| Self::local(CloseCode::Done, "the endpoint was closed")),
            ConnectionError::TimedOut => {
                ended(ClosedBy::Timeout, "nothing was heard from the peer".to_owned())
            }
            ConnectionError::ConnectionClosed(close) => {
                ended(ClosedBy::Peer, clip(&close.to_string()).to_owned())
            }
            ConnectionError::Reset => {
                ended(ClosedBy::Peer, "the peer does not know this connection: it restarted".into())
            }
            ConnectionError::TransportError(_)
            | ConnectionError::VersionMismatch
            | ConnectionError::CidsExhausted => {
                ended(ClosedBy::Local, clip(&error.to_string()).to_owned())
            }
        }
    }
}

/// The longest prefix of `reason` that fits in [`REASON_BYTES_MAX`] and ends on a character.
pub(crate) fn clip(reason: &str) -> &str {
    if reason.len() <= REASON_BYTES_MAX {
        return reason;
    }
    let fits = |end: &usize| reason.is_char_boundary(*end);
    let end = (0..=REASON_BYTES_MAX).rev().find(fits).unwrap_or(0);
    reason.get(..end).unwrap_or_default()
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Frame => f.write_str("frame error"),
            Self::WrongRole => f.write_str("wrong role"),
            Self::WrongCluster => f.write_str("wrong cluster"),
            Self::Identity => f.write_str("identity"),
            Self::Overloaded => f.write_str("overloaded"),
            Self::ShuttingDown => f.write_str("shutting down"),
            Self::Credentials => f.write_str("credentials"),
            Self::Internal => f.write_str("internal error"),
            Self::Other(number) => write!(f, "code {number}"),
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.by {
            ClosedBy::Peer => "closed by the peer",
            ClosedBy::Local => "closed by this side",
            ClosedBy::Timeout => "timed out",
        })?;
        if let Some(code) = self.code {
            write!(f, " ({code})")?;
        }
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.reason) }
    }
}
