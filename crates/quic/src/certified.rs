//! Reads who a certificate names.
//!
//! Used for our own certificate when it is loaded and for a peer's after TLS has verified its chain; this module
//! verifies no signature. It reads the subject alternative names and the extended key usage:
//!
//! 1. Exactly one URI of scheme `atoll` names the identity; URIs of other schemes are ignored.
//! 2. The key usage fits the role: a node is a TLS server and a TLS client, everybody else only a client.
//!
//! Invariants
//! - Two identities in one certificate are refused, not chosen from.
//! - A certificate that may act as a TLS server is a node's (promise P10).
//!
//! Source: RFC 5280 §4.2.1.6 (subject alternative name) and §4.2.1.12 (extended key usage).

use atoll_protocol::identity::{Identity, IdentityError};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// Why a certificate names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertifiedError {
    /// The bytes are not an X.509 certificate that can be read.
    #[error("the certificate cannot be read: {problem}")]
    Unreadable {
        /// What the parser met.
        problem: String,
    },
    /// No URI of scheme `atoll` among the subject alternative names.
    #[error(
        "the certificate names no Atoll identity (no atoll:// URI); issue it with `atoll cert`"
    )]
    Missing,
    /// More than one.
    #[error("the certificate names {count} Atoll identities; exactly one is allowed")]
    Several {
        /// How many.
        count: usize,
    },
    /// The URI does not parse.
    #[error("the certificate's identity is malformed: {0}")]
    Malformed(#[from] IdentityError),
    /// The extended key usage does not fit the role.
    #[error("the certificate of {identity} must be usable {needed}; issue it with `atoll cert`")]
    KeyUsage {
        /// Whom it names.
        identity: Box<Identity>,
        /// What the role needs.
        needed: &'static str,
    },
}

/// The identity that a certificate in DER names. Verifies no signature and no date.
///
/// # Errors
/// [`CertifiedError`] when it names nobody, more than one, or its key usage does not fit the role.
pub fn identity_of(certificate: &[u8]) -> Result<Identity, CertifiedError> {
    identity_in(&parse(certificate)?)
}

/// Parses the certificate without verifying anything.
pub(crate) fn parse(certificate: &[u8]) -> Result<X509Certificate<'_>, CertifiedError> {
    match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) => Ok(parsed),
        Err(problem) => Err(CertifiedError::Unreadable { problem: problem.to_string() }),
    }
}

/// The identity in a parsed certificate.
pub(crate) fn identity_in(parsed: &X509Certificate<'_>) -> Result<Identity, CertifiedError> {
    let unreadable = |problem: x509_parser::error::X509Error| CertifiedError::Unreadable {
        problem: problem.to_string(),
    };
    let names = parsed.subject_alternative_name().map_err(unreadable)?;
    let general_names = names.map(|extension| extension.value.general_names.as_slice());
    let uris: Vec<&str> = general_names.unwrap_or_default().iter().filter_map(atoll_uri).collect();
    let identity: Identity = match uris.as_slice() {
        [uri] => uri.parse()?,
        [] => return Err(CertifiedError::Missing),
        several => {
            return Err(CertifiedError::Several { count: several.len() });
        }
    };
    let usage = parsed.extended_key_usage().map_err(unreadable)?;
    let (server, client) =
        usage.map_or((false, false), |usage| (usage.value.server_auth, usage.value.client_auth));
    let needed = match (identity.is_node(), server, client) {
        (true, true, true) | (false, false, true) => return Ok(identity),
        (true, _, _) => "as TLS server and as TLS client",
        (false, _, _) => "as TLS client and not as TLS server",
    };
    Err(CertifiedError::KeyUsage { identity: Box::new(identity), needed })
}

fn atoll_uri<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    match name {
        GeneralName::URI(uri) if uri.starts_with("atoll:") => Some(uri),
        _ => None,
    }
}
