//! TLS configurations, built by hand: mutual, TLS 1.3 only, nothing resumed.
//!
//! Sits between the credentials and quinn. quinn's convenience constructors are not used: they ask for no client
//! certificate and turn 0-RTT on.
//!
//! 1. Listener: a client certificate that chains to our roots is required; tickets and session storage are off,
//!    because a resumed session skips the verification of the certificate.
//! 2. Dialer: the server certificate must chain to our roots, be valid now, be usable as TLS server, and carry the
//!    DNS name [`SERVER_NAME`]. Every node certificate carries that same name, so the ordinary web verifier does the
//!    work; *which* node it is says the URI, and `connect.rs` compares it with the expectation.
//!
//! Invariants
//! - The dialer verifies as strictly as the listener.
//! - 0-RTT is off on both sides: no request can be replayed by the network.
//! - A peer whose certificate is not verified never reaches the code above this module.
//!
//! Source: RFC 9001 §4; RFC 8446 §2.3 (why 0-RTT can be replayed).

use std::sync::Arc;

use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;

use crate::alpn::Alpn;
use crate::credentials::Credentials;
use crate::crypto;
use crate::surroundings::Sources;

/// The DNS name in every node certificate, and the server name of every handshake.
pub const SERVER_NAME: &str = "atoll-node";

/// Why credentials do not make a TLS configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The roots do not make a verifier.
    #[error("the CA roots cannot verify certificates: {0}")]
    Verifier(#[from] VerifierBuilderError),
    /// rustls refused the combination.
    #[error("TLS cannot be configured: {0}")]
    Config(#[from] rustls::Error),
    /// QUIC needs AES-128-GCM for its first packets.
    #[error("TLS cannot be configured for QUIC: {0}")]
    Suite(#[from] NoInitialCipherSuite),
}

/// The configuration of a listener that speaks `alpns`.
pub(crate) fn server_config(
    credentials: &Credentials,
    alpns: &[Alpn],
    sources: &Sources,
) -> Result<QuicServerConfig, TlsError> {
    let provider = crypto::provider();
    let roots = credentials.roots();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build()?;
    let mut config = rustls::ServerConfig::builder_with_details(provider, sources.time_provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(credentials.certified())));
    config.alpn_protocols = alpns.iter().map(|alpn| alpn.as_str().into()).collect();
    config.max_early_data_size = 0;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(QuicServerConfig::try_from(config)?)
}

/// The configuration of a dialer that speaks `alpn`.
pub(crate) fn client_config(
    credentials: &Credentials,
    alpn: Alpn,
    sources: &Sources,
) -> Result<QuicClientConfig, TlsError> {
    let provider = crypto::provider();
    let roots = credentials.roots();
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build()?;
    let mut config = rustls::ClientConfig::builder_with_details(provider, sources.time_provider())
        .with_protocol_versions(&[&TLS13])?
        .with_webpki_verifier(verifier)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(credentials.certified())));
    config.alpn_protocols = vec![alpn.as_str().into()];
    config.enable_early_data = false;
    config.resumption = Resumption::disabled();
    Ok(QuicClientConfig::try_from(config)?)
}
