//! Bare quinn and rustls: a dialer without manners, and one without a certificate.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use atoll_client::CredentialPaths;
use atoll_protocol::identity::Identity;
use atoll_quic::{
    Alpn, ConnectError, Connection, Credentials, Endpoint, EndpointConfig, ExpectedPeer,
};
use atoll_quic::{SERVER_NAME, Spawner};
use quinn::ConnectionError;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{PATIENCE, name, now};

/// Whether the dialer shows its certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    Certificate,
    Nothing,
}

/// Dials a node and completes the handshake as far as it goes.
pub(crate) async fn dial(
    address: SocketAddr,
    paths: &CredentialPaths,
    shows: Shows,
) -> Result<quinn::Connection, ConnectionError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&paths.ca).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match shows {
        Shows::Nothing => builder.with_no_client_auth(),
        Shows::Certificate => {
            let chain = CertificateDer::pem_file_iter(&paths.certificate).unwrap();
            let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
            let key = PrivateKeyDer::from_pem_file(&paths.key).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![Alpn::Client.as_str().into()];
    let config = QuicClientConfig::try_from(config).unwrap();
    let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(config));
    endpoint.connect_with(config, address, SERVER_NAME).unwrap().await
}

/// Waits for the end of a connection, and how it ended.
pub(crate) async fn closed(connection: &quinn::Connection) -> ConnectionError {
    let closed = tokio::time::timeout(PATIENCE, connection.closed()).await;
    closed.expect("the node ends the connection")
}

/// Dials a node with the transport of the SDK, in any protocol.
pub(crate) async fn connect(
    address: SocketAddr,
    paths: &CredentialPaths,
    alpn: Alpn,
) -> Result<(Endpoint, Connection), ConnectError> {
    let credentials = Credentials::load(paths, now()).unwrap();
    let Identity { cluster, .. } = credentials.identity().clone();
    assert_eq!(cluster, name(super::CLUSTER));
    let endpoint = Endpoint::bind(EndpointConfig::client(credentials, spawner())).unwrap();
    let connection = endpoint.connect(address, alpn, ExpectedPeer::AnyNode { cluster }).await?;
    Ok((endpoint, connection))
}

#[expect(clippy::disallowed_methods, reason = "tests have no task registry")]
fn spawner() -> Spawner {
    Arc::new(|_name, task| drop(tokio::spawn(task)))
}
