//! quinn's runtime on an [`Env`]: its timers and its monotonic clock.
//!
//! quinn counts in `std::time::Instant`, which nobody can make from a number. One real instant is taken as the base, and
//! everything is `base + virtual time`; only differences to it ever count, so it may differ between processes.

use std::fmt;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use atoll_protocol::time::MonoTime;
use atolldb::env::{BoxFuture, Env};
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime};

/// An environment as quinn sees it.
pub(super) struct EnvRuntime {
    env: Env,
    base: Instant,
}

/// A timer that can be set anew.
struct EnvTimer {
    env: Env,
    base: Instant,
    at: MonoTime,
    /// Made when the timer is polled: quinn sets it anew with almost every packet.
    sleep: Option<BoxFuture<'static, ()>>,
}

impl EnvRuntime {
    /// A runtime on `env`.
    #[expect(clippy::disallowed_methods, reason = "an opaque base; only differences to it count")]
    pub(super) fn new(env: Env) -> Self {
        Self { env, base: Instant::now() }
    }
}

impl Runtime for EnvRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        let (env, base) = (self.env.clone(), self.base);
        Box::pin(EnvTimer { env, base, at: virtual_time(base, at), sleep: None })
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.env.spawn("quic.driver", task);
    }

    fn wrap_udp_socket(&self, _: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "the simulator has no sockets"))
    }

    fn now(&self) -> Instant {
        self.base + Duration::from_nanos(self.env.mono().as_nanos())
    }
}

impl AsyncTimer for EnvTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        let at = virtual_time(self.base, at);
        if at != self.at {
            self.at = at;
            self.sleep = None;
        }
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.env.mono() >= self.at {
            return Poll::Ready(());
        }
        let Self { env, at, sleep, .. } = &mut *self;
        let polled = sleep.get_or_insert_with(|| env.sleep_until(*at)).as_mut().poll(cx);
        if polled.is_ready() {
            self.sleep = None;
        }
        polled
    }
}

/// The virtual time that quinn means by `at`.
fn virtual_time(base: Instant, at: Instant) -> MonoTime {
    let since = at.saturating_duration_since(base).as_nanos();
    MonoTime::from_nanos(u64::try_from(since).unwrap_or(u64::MAX))
}

impl fmt::Debug for EnvRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnvRuntime")
    }
}

impl fmt::Debug for EnvTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvTimer").field("at", &self.at).finish_non_exhaustive()
    }
}
