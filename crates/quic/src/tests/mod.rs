//! Tests over real sockets on 127.0.0.1, with certificates made on the spot.
//!
//! No test sleeps and hopes: each waits for an event, and [`within`] only turns a hang into a failure. Ports come from
//! the system.

mod credentials;
mod datagrams;
mod frames;
mod handshake;
mod links;
mod pki;
mod raw;
mod surroundings;
mod tables;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::frame::Frame;
use atoll_protocol::ids::{Epoch, Name};
use bytes::Bytes;

use crate::tests::pki::Authority;
use crate::{
    AcceptError, Alpn, ConnectError, Connection, Endpoint, EndpointConfig, ExpectedPeer, Spawner,
};

/// The cluster of most tests.
const CLUSTER: &str = "reef";

/// The node of most tests.
const NODE: &str = "atoll://reef/node/eu/a/n1";

/// The application of most tests.
const CLIENT: &str = "atoll://reef/client/app";

/// An operator.
const ADMIN: &str = "atoll://reef/admin/ops";

/// A failure guard, never an expectation.
const PATIENCE: Duration = Duration::from_secs(60);

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("the test hangs")
}

#[expect(clippy::disallowed_methods, reason = "tests have no task registry")]
fn spawner() -> Spawner {
    Arc::new(|_name, task| {
        tokio::spawn(task);
    })
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn any_node() -> ExpectedPeer {
    ExpectedPeer::AnyNode { cluster: name(CLUSTER) }
}

/// A node that listens on a port of the system's choice.
fn node_config(authority: &Authority) -> EndpointConfig {
    EndpointConfig::node(any_port(), authority.credentials(NODE), spawner())
}

fn client_config(authority: &Authority) -> EndpointConfig {
    EndpointConfig::client(authority.credentials(CLIENT), spawner())
}

fn bind(config: EndpointConfig) -> Endpoint {
    Endpoint::bind(config).unwrap()
}

fn addr_of(endpoint: &Endpoint) -> SocketAddr {
    endpoint.local_addr().unwrap()
}

/// A connection between two endpoints: the dialer's handle and the listener's.
async fn pair(dialer: &Endpoint, listener: &Endpoint) -> (Connection, Connection) {
    let (ours, theirs) = dial(dialer, listener, Alpn::Client).await;
    (ours.unwrap(), theirs.unwrap())
}

async fn dial(
    dialer: &Endpoint,
    listener: &Endpoint,
    alpn: Alpn,
) -> (Result<Connection, ConnectError>, Result<Connection, AcceptError>) {
    let connect = dialer.connect(addr_of(listener), alpn, any_node());
    let (connected, accepted) = within(async { tokio::join!(connect, listener.accept()) }).await;
    (connected, accepted.unwrap())
}

/// Sends every frame of `connection` back, until it ends.
#[expect(clippy::disallowed_methods, reason = "tests have no task registry")]
fn echo(connection: &Connection) {
    let connection = connection.clone();
    tokio::spawn(async move {
        while let Some(frame) = connection.recv().await {
            if connection.send_wait(frame).await.is_err() {
                return;
            }
        }
    });
}

fn frame(request: u64, payload: impl Into<Bytes>) -> Frame {
    Frame {
        kind: 7,
        budget: Some(Duration::from_millis(250)),
        request,
        epoch: Epoch(3),
        meta: Bytes::from(request.to_le_bytes().to_vec()),
        payload: payload.into(),
    }
}
