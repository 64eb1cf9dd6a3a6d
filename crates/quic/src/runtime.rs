//! Where tasks come from: the spawner that the owner of an endpoint passes in.
//!
//! The node spawns through `tasks.rs` (named, joined, a panic stops the process); the SDK passes a plain function.
//! quinn's own drivers go through the same door, because a panic in one of them would leave a process that is alive
//! but deaf.
//!
//! Invariants
//! - This crate never spawns in any other way, and neither does quinn on its behalf.
//! - Every task ends by itself after its endpoint was closed or dropped; none needs to be cancelled. A spawner that
//!   cancels tasks before `Endpoint::wait_idle` cuts off the goodbyes to the peers.
//!
//! Task names: `quic.driver` (one per endpoint and per connection), `quic.acceptor`, `quic.handshake`,
//! `quic.streams` (one per connection), `quic.reader` and `quic.writer` (one per lane), `quic.emulator`.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};

/// A task: runs until it ends by itself.
pub type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts a task under a name. Called inside of a tokio runtime with timers and I/O enabled.
pub type Spawner = Arc<dyn Fn(&'static str, BoxFuture) + Send + Sync>;

/// quinn's tokio runtime, except that tasks come from a [`Spawner`].
pub(crate) struct SpawnerRuntime {
    spawner: Spawner,
}

impl SpawnerRuntime {
    /// A runtime whose tasks come from `spawner`.
    pub(crate) fn new(spawner: Spawner) -> Self {
        Self { spawner }
    }
}

impl Runtime for SpawnerRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: BoxFuture) {
        (self.spawner)("quic.driver", future);
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

impl fmt::Debug for SpawnerRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpawnerRuntime")
    }
}
