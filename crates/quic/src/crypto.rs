//! The one place that names the cryptography: aws-lc-rs, TLS 1.3 suites, AES-128-GCM first.
//!
//! The provider is passed explicitly everywhere, so no process-wide default has to be installed and a second
//! provider in the dependency tree can never be picked by accident.
//!
//! Key exchange is rustls' order with `prefer-post-quantum`: X25519MLKEM768 first. AES-128-GCM comes first because
//! it is the cheapest where AES instructions exist (5.4-7 µs per exchange against 6.6 for AES-256 and 8.2 for
//! ChaCha20), and is what QUIC's Initial packets need anyway.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// The provider of every TLS configuration and key in this crate.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
            aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
            aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    })
}

/// SHA-256 of a certificate in DER: what operators compare over the telephone.
///
/// # Panics
/// Never: the suite whose hash it borrows is one of TLS 1.3.
pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    let suite = aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13();
    let digest = suite.map(|suite| suite.common.hash_provider.hash(certificate));
    let bytes = digest.and_then(|digest| digest.as_ref().try_into().ok());
    bytes.expect("SHA-256 of a TLS 1.3 suite has 32 bytes")
}
