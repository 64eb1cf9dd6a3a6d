//! From an address to a link: resolve, dial each address in turn, verify.
//!
//! Invariants
//! - A refusal (TLS, another identity) is told apart from silence; of several addresses the refusal is reported.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::ids::Name;
use atoll_quic::{Alpn, CloseCode, Endpoint, ExpectedPeer};

use super::Link;
use crate::error::Error;

/// Longest wait at a close: the goodbye is one packet that is sent at once.
const CLOSE_MAX: Duration = Duration::from_millis(100);

/// Makes links. Cheap to clone; the last handle closes all connections.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    endpoint: Endpoint,
    cluster: Name,
}

/// Where a node is and who it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// `host:port`; `None` when the topology does not say.
    pub(crate) address: Option<String>,
    /// Its datacenter.
    pub(crate) dc: Name,
    /// Its rack.
    pub(crate) rack: Name,
    /// Its name.
    pub(crate) node: Name,
}

impl Dialer {
    /// Dials from `endpoint` to nodes of `cluster`.
    pub(crate) fn new(endpoint: Endpoint, cluster: Name) -> Self {
        Self { endpoint, cluster }
    }

    /// A link to whichever node of the cluster answers at `address`.
    pub(crate) async fn dial_seed(&self, address: &str) -> Result<Arc<Link>, Error> {
        let expected = ExpectedPeer::AnyNode { cluster: self.cluster.clone() };
        self.dial(address, address, &expected).await
    }

    /// A link to exactly the node of `target`.
    pub(crate) async fn dial_node(&self, target: &Target) -> Result<Arc<Link>, Error> {
        let Target { address, dc, rack, node } = target;
        let Some(address) = address else {
            return Err(Error::unreachable(node.as_str(), &"the topology has no address for it"));
        };
        let expected = ExpectedPeer::Node {
            cluster: self.cluster.clone(),
            dc: dc.clone(),
            rack: rack.clone(),
            node: node.clone(),
        };
        self.dial(node.as_str(), address, &expected).await
    }

    /// Closes every connection and gives the goodbyes `CLOSE_MAX` to leave: a node that is dead never takes its own.
    pub(crate) async fn close(&self) {
        self.endpoint.close(CloseCode::Done, "the client was closed");
        let _ = tokio::time::timeout(CLOSE_MAX, self.endpoint.wait_idle()).await;
    }

    async fn dial(
        &self,
        label: &str,
        address: &str,
        expected: &ExpectedPeer,
    ) -> Result<Arc<Link>, Error> {
        let resolved = tokio::net::lookup_host(address).await.map_err(|error| {
            Error::unreachable(label, &format!("cannot resolve `{address}`: {error}"))
        })?;
        let mut errors = Vec::new();
        for addr in resolved {
            match self.connect(label, addr, expected).await {
                Ok(link) => return Ok(link),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            return Err(Error::unreachable(label, &format!("`{address}` has no address")));
        }
        Err(Error::from_dials(errors, None))
    }

    async fn connect(
        &self,
        label: &str,
        addr: SocketAddr,
        expected: &ExpectedPeer,
    ) -> Result<Arc<Link>, Error> {
        let connection = self
            .endpoint
            .connect(addr, Alpn::Client, expected.clone())
            .await
            .map_err(|error| Error::from_connect(label, error))?;
        // The transport has compared the identity with the expectation, which is a node.
        Link::start(connection).ok_or_else(|| Error::unreachable(label, &"it is not a node"))
    }
}
