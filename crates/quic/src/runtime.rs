//! Where tasks and timers come from: the spawner that the owner of an endpoint passes in, and a runtime.
//!
//! The node spawns through `tasks.rs` (named, joined, a panic stops the process); the SDK passes a plain function.
//! quinn's own drivers go through the same door, because a panic in one of them would leave a process that is alive
//! but deaf.
//!
//! Invariants
//! - This crate never spawns in any other way, and neither does quinn on its behalf.
//! - Every timer and every `now` of this crate and of quinn is the endpoint's runtime's: tokio's, or that of its
//!   `Surroundings`.
//! - Every task ends by itself after its endpoint was closed or dropped; none needs to be cancelled. A spawner that
//!   cancels tasks before `Endpoint::wait_idle` cuts off the goodbyes to the peers.
//!
//! Task names: `quic.driver` (one per endpoint and per connection), `quic.acceptor`, `quic.handshake`,
//! `quic.writer` (one per connection, and another for large frames), `quic.emulator`.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};

/// A task: runs until it ends by itself.
pub type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts a task under a name. Without `Surroundings` it is called inside of a tokio runtime with timers and I/O enabled.
pub type Spawner = Arc<dyn Fn(&'static str, BoxFuture) + Send + Sync>;

/// A runtime for quinn, except that tasks come from a [`Spawner`].
pub(crate) struct SpawnerRuntime {
    spawner: Spawner,
    base: Arc<dyn Runtime>,
}

impl SpawnerRuntime {
    /// A runtime whose tasks come from `spawner`, and everything else from `base` or, without one, from tokio.
    pub(crate) fn new(spawner: Spawner, base: Option<Arc<dyn Runtime>>) -> Self {
        Self { spawner, base: base.unwrap_or_else(|| Arc::new(TokioRuntime)) }
    }
}

impl Runtime for SpawnerRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        self.base.new_timer(at)
    }

    fn spawn(&self, future: BoxFuture) {
        (self.spawner)("quic.driver", future);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        self.base.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        self.base.now()
    }
}

impl fmt::Debug for SpawnerRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpawnerRuntime")
    }
}

/// Resolves at `at`.
pub(crate) async fn sleep_until(runtime: &dyn Runtime, at: Instant) {
    let mut timer = runtime.new_timer(at);
    std::future::poll_fn(|cx| timer.as_mut().poll(cx)).await;
}

/// Waits for `work`, at most `span`; `None` if that passes first.
///
/// # Cancellation
/// As that of `work`.
pub(crate) async fn timeout<T>(
    runtime: &dyn Runtime,
    span: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = sleep_until(runtime, runtime.now() + span) => None,
    }
}
