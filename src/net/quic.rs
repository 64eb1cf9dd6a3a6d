//! The real network: QUIC with mutual TLS, through `atoll-quic`.
//!
//! A node dials its peers as a peer; an application dials nodes as a client. Who listens takes both.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::frame::Frame;
use atoll_protocol::identity::{Identity, Role};
use atoll_quic::{
    AcceptError, Alpn, CloseCode, Connection, Endpoint, ExpectedPeer, PathStatistics, SendError,
};
use bytes::Bytes;

use super::{ConnectFailure, Link, LinkClose, PeerAddress, Protocol, SendFailure, Transport};
use crate::env::BoxFuture;

/// A bound QUIC endpoint as the transport of a node or of an application.
pub struct QuicTransport {
    endpoint: Endpoint,
    /// The protocol that it dials with.
    dials: Alpn,
}

/// One QUIC connection.
struct QuicLink {
    connection: Connection,
}

impl QuicTransport {
    /// A node's: serves on `endpoint` and dials peers.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, dials: Alpn::Peer }
    }

    /// An application's: dials nodes as a client.
    pub fn client(endpoint: Endpoint) -> Self {
        Self { endpoint, dials: Alpn::Client }
    }

    async fn dial(&self, to: PeerAddress) -> Result<Arc<dyn Link>, ConnectFailure> {
        let failure = |detail: String| ConnectFailure { detail };
        let Role::Node { dc, rack, node } = to.identity.role else {
            return Err(failure(format!("{} is not a node", to.identity)));
        };
        let expected = ExpectedPeer::Node { cluster: to.identity.cluster, dc, rack, node };
        let address = resolve(&to.address).await.map_err(failure)?;
        let connection = self
            .endpoint
            .connect(address, self.dials, expected)
            .await
            .map_err(|error| failure(error.to_string()))?;
        Ok(Arc::new(QuicLink { connection }))
    }

    async fn accept_link(&self) -> Option<Arc<dyn Link>> {
        loop {
            match self.endpoint.accept().await? {
                Ok(connection) if connection.alpn() == Alpn::Bulk => {
                    // Nothing speaks bulk yet; hints and repair will.
                    connection
                        .close(CloseCode::WrongRole, "this version does not serve atoll-bulk/1");
                }
                Ok(connection) => return Some(Arc::new(QuicLink { connection })),
                Err(error @ AcceptError::Abandoned { .. }) => {
                    tracing::debug!(%error, "connection abandoned");
                }
                Err(error) => tracing::warn!(%error, "connection refused"),
            }
        }
    }
}

/// The first address that a `host:port` resolves to. An IP address needs no resolver, and no tokio runtime.
async fn resolve(address: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = address.parse() {
        return Ok(address);
    }
    let mut addresses = tokio::net::lookup_host(address)
        .await
        .map_err(|error| format!("cannot resolve {address}: {error}"))?;
    addresses.next().ok_or_else(|| format!("{address} has no address"))
}

fn failure(error: SendError) -> SendFailure {
    match error {
        SendError::Full { .. } | SendError::FullBytes { .. } => SendFailure::Full,
        SendError::TooLarge { .. } => SendFailure::TooLarge,
        SendError::Closed => SendFailure::Closed,
    }
}

impl Transport for QuicTransport {
    fn connect(&self, to: PeerAddress) -> BoxFuture<'_, Result<Arc<dyn Link>, ConnectFailure>> {
        Box::pin(self.dial(to))
    }

    fn accept(&self) -> BoxFuture<'_, Option<Arc<dyn Link>>> {
        Box::pin(self.accept_link())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.endpoint.close(CloseCode::ShuttingDown, "the node is shutting down");
        Box::pin(self.endpoint.wait_idle())
    }
}

impl Link for QuicLink {
    fn identity(&self) -> &Identity {
        self.connection.identity()
    }

    fn protocol(&self) -> Protocol {
        match self.connection.alpn() {
            Alpn::Client => Protocol::Client,
            Alpn::Peer | Alpn::Bulk => Protocol::Peer,
        }
    }

    fn remote(&self) -> String {
        self.connection.remote_addr().to_string()
    }

    fn send(&self, frame: Frame) -> Result<(), SendFailure> {
        self.connection.send(frame).map_err(failure)
    }

    fn recv(&self) -> BoxFuture<'_, Option<Frame>> {
        Box::pin(self.connection.recv())
    }

    fn recv_many<'a>(
        &'a self,
        frames: &'a mut Vec<Frame>,
        limit: NonZeroUsize,
    ) -> BoxFuture<'a, usize> {
        Box::pin(self.connection.recv_many(frames, limit.get()))
    }

    fn send_datagram(&self, datagram: Bytes) -> Result<(), SendFailure> {
        self.connection.send_datagram(datagram).map_err(failure)
    }

    fn recv_datagram(&self) -> BoxFuture<'_, Option<Bytes>> {
        Box::pin(self.connection.recv_datagram())
    }

    fn rtt(&self) -> Duration {
        self.connection.rtt()
    }

    fn path(&self) -> PathStatistics {
        self.connection.path()
    }

    fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    fn close(&self, reason: LinkClose) {
        let (code, text) = match &reason {
            LinkClose::Shutdown => (CloseCode::ShuttingDown, "the node is shutting down"),
            LinkClose::Replaced => (CloseCode::Done, "a newer connection took its place"),
            LinkClose::Protocol(text) => (CloseCode::Frame, text.as_str()),
            LinkClose::Denied(text) => (CloseCode::Identity, text.as_str()),
        };
        self.connection.close(code, text);
    }

    fn closed(&self) -> BoxFuture<'_, String> {
        Box::pin(async { self.connection.closed().await.to_string() })
    }
}
