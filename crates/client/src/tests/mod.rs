//! Tests: decisions in tables, and the whole client against fake nodes over real connections.
//!
//! No test sleeps and hopes: each waits for an event, and [`within`] only turns a hang into a failure. Ports come from
//! the system.

mod cluster;
mod context;
mod dispatch;
mod fake;
mod pki;
mod profile;
mod requests;
mod retry;
mod routing;
mod sessions;

use std::future::Future;
use std::time::Duration;

use atoll_protocol::ids::Name;
use atoll_protocol::wire::Request;

/// A failure guard, never an expectation.
const PATIENCE: Duration = Duration::from_secs(60);

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("the test hangs")
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn is_get(request: &Request) -> bool {
    matches!(request, Request::Get(_))
}

fn is_put(request: &Request) -> bool {
    matches!(request, Request::Put(_))
}

fn is_cluster(request: &Request) -> bool {
    matches!(request, Request::Cluster)
}
