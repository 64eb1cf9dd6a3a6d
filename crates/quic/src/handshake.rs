//! What dialers and listeners have in common: who the peer is, and why a handshake failed, in words.
//!
//! QUIC reports a failed handshake as a number and a text of the TLS library. Operators get a sentence that says which
//! side refused what, with the library's text behind it:
//!
//! | seen here | means |
//! |---|---|
//! | crypto error raised here | we refused the peer's certificate |
//! | crypto error sent by the peer | the peer refused ours |
//! | application close | the peer's `accept.rs` or `connect.rs` refused the identity |
//! | anything else | the path or the process, not the certificates |
//!
//! Source: RFC 9001 §4.8 (TLS alerts as QUIC errors 0x100 + alert); RFC 8446 §6.2 (alerts).

use atoll_protocol::identity::Identity;
use quinn::crypto::rustls::HandshakeData;
use quinn::{ConnectionError, TransportErrorCode};
use rustls::pki_types::CertificateDer;

use crate::alpn::Alpn;
use crate::certified::{self, CertifiedError};
use crate::close::{CloseCode, CloseReason, ClosedBy};

/// First QUIC error code that carries a TLS alert, and the number of alerts.
const CRYPTO_ERRORS: std::ops::Range<u64> = 0x100..0x200;

/// A failed handshake, by what the caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Certificates or roles do not fit: repeating it does not help.
    Auth(String),
    /// Nobody answered.
    Silence,
    /// The peer or QUIC ended it for another reason.
    Closed(CloseReason),
}

/// The protocol that TLS negotiated.
pub(crate) fn negotiated(quinn: &quinn::Connection) -> Option<Alpn> {
    let data = quinn.handshake_data()?.downcast::<HandshakeData>().ok()?;
    Alpn::from_bytes(&data.protocol?)
}

/// The identity in the certificate that TLS has verified.
pub(crate) fn identity(quinn: &quinn::Connection) -> Result<Identity, CertifiedError> {
    let chain = quinn
        .peer_identity()
        .and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok())
        .unwrap_or_default();
    certified::identity_of(chain.first().ok_or(CertifiedError::Missing)?)
}

/// Puts a failed handshake into words.
pub(crate) fn explain(error: &ConnectionError) -> Failure {
    let reason = CloseReason::of(error, None);
    match error {
        ConnectionError::TimedOut => Failure::Silence,
        ConnectionError::TransportError(problem) => match alert(problem.code) {
            Some(alert) => Failure::Auth(format!(
                "this side refused the peer: {} ({})",
                meaning(alert),
                problem.reason
            )),
            None => Failure::Closed(reason),
        },
        ConnectionError::ConnectionClosed(close) => match alert(close.error_code) {
            Some(alert) => Failure::Auth(format!(
                "the peer refused this side: {} ({})",
                meaning(alert),
                String::from_utf8_lossy(&close.reason)
            )),
            None => Failure::Closed(reason),
        },
        ConnectionError::ApplicationClosed(_)
        | ConnectionError::VersionMismatch
        | ConnectionError::Reset
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => refused(reason),
    }
}

/// Tells a refusal of an identity from other closes.
pub(crate) fn refused(reason: CloseReason) -> Failure {
    match (reason.by, reason.code) {
        (
            ClosedBy::Peer,
            Some(
                CloseCode::WrongRole
                | CloseCode::WrongCluster
                | CloseCode::Identity
                | CloseCode::Credentials,
            ),
        ) => Failure::Auth(format!("the peer refused this side: {}", reason.reason)),
        (ClosedBy::Timeout, _) => Failure::Silence,
        (ClosedBy::Peer | ClosedBy::Local, _) => Failure::Closed(reason),
    }
}

/// The TLS alert in a QUIC error code.
fn alert(code: TransportErrorCode) -> Option<u64> {
    let code = u64::from(code);
    CRYPTO_ERRORS.contains(&code).then(|| code - CRYPTO_ERRORS.start)
}

/// What a TLS alert says about a certificate or a protocol.
fn meaning(alert: u64) -> &'static str {
    match alert {
        42 => "the certificate is not acceptable",
        43 => "the certificate is not meant for this use",
        44 => "the certificate is revoked",
        45 => "the certificate has expired",
        46 => "the certificate is not valid here",
        48 => "the certificate is signed by a CA that is not trusted",
        // Two CAs of the same name, one of which is trusted: a cluster whose CA was created anew.
        51 => "the certificate is not signed by the CA of that name that is trusted",
        116 => "no certificate was presented",
        120 => "the protocol is not spoken on this port",
        _ => "the TLS handshake failed",
    }
}
