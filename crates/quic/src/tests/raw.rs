//! A dialer without manners: bare quinn, to send what this crate never would.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use quinn::ConnectionError;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::version::TLS13;

use crate::surroundings::Sources;
use crate::tls::SERVER_NAME;
use crate::{Alpn, Credentials, crypto, tls};

/// Dials with the certificate of `credentials` and returns the bare connection.
pub(super) async fn dial(addr: SocketAddr, credentials: &Credentials) -> quinn::Connection {
    let config = tls::client_config(credentials, Alpn::Client, &Sources::Machine).unwrap();
    let connection = connect(addr, config).await.unwrap();
    // The server's first lane: it has admitted us.
    connection.accept_uni().await.unwrap();
    connection
}

/// Dials without a certificate and waits until the server says what it thinks of that.
pub(super) async fn dial_bare(addr: SocketAddr, credentials: &Credentials) -> ConnectionError {
    let provider = crypto::provider();
    let verifier =
        WebPkiServerVerifier::builder_with_provider(credentials.roots(), Arc::clone(&provider))
            .build()
            .unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_webpki_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![Alpn::Client.as_str().into()];
    match connect(addr, QuicClientConfig::try_from(config).unwrap()).await {
        Ok(connection) => connection.closed().await,
        Err(problem) => problem,
    }
}

async fn connect(
    addr: SocketAddr,
    config: QuicClientConfig,
) -> Result<quinn::Connection, ConnectionError> {
    let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(config));
    endpoint.connect_with(config, addr, SERVER_NAME).unwrap().await
}
