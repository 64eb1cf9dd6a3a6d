//! The environment: the one value through which time, chance, tasks and blocking work enter.
//!
//! Everything nondeterministic that is neither disk nor network comes from here, so that the simulator can host the
//! shipped node on its own clock, randomness and executor. Drivers clone an [`Env`] and know nothing else.
//!
//! Invariants
//! - Only an implementation of [`EnvBackend`] reads a clock, draws from the operating system's random source or
//!   spawns. `tasks.rs` is the only caller of [`Env::spawn`].
//! - [`Env::mono`] never decreases.

mod real;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::time::{MonoTime, WallTime};
use tokio::sync::oneshot;

pub use real::{RealEnv, spare_processors};

/// A boxed future, as the seams pass them.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an environment provides.
pub trait EnvBackend: Send + Sync + 'static {
    /// Time since the process (or its simulation) started.
    fn mono(&self) -> MonoTime;
    /// The wall clock.
    fn wall(&self) -> WallTime;
    /// Resolves at `at`, or at once if that has passed.
    fn sleep_until(&self, at: MonoTime) -> BoxFuture<'static, ()>;
    /// Fills `out` with randomness fit for ids and secrets.
    fn random(&self, out: &mut [u8]);
    /// Runs `task` to its end, on its own.
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>);
    /// Runs `job` where blocking is allowed.
    fn blocking(&self, job: Box<dyn FnOnce() + Send>);
    /// Ends the process at once: continuing would be worse.
    fn exit(&self, reason: &str) -> !;
    /// Tasks that run at the same moment, at most; at least one.
    fn parallelism(&self) -> usize;
}

/// The environment of one node. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    backend: Arc<dyn EnvBackend>,
}

impl Env {
    /// An environment on `backend`.
    pub fn new(backend: Arc<dyn EnvBackend>) -> Self {
        Self { backend }
    }

    /// Time since the process started; never decreases.
    pub fn mono(&self) -> MonoTime {
        self.backend.mono()
    }

    /// The wall clock; may jump either way.
    pub fn wall(&self) -> WallTime {
        self.backend.wall()
    }

    /// Resolves at `at`, or at once if that has passed.
    pub fn sleep_until(&self, at: MonoTime) -> BoxFuture<'static, ()> {
        self.backend.sleep_until(at)
    }

    /// Resolves after `span`.
    pub fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        self.backend.sleep_until(self.mono().after(span))
    }

    /// A random number.
    pub fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.backend.random(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Between `span` and twice `span`, by chance.
    pub fn jitter(&self, span: Duration) -> Duration {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1);
        span + Duration::from_micros(self.random_u64() % micros)
    }

    /// Runs `task` to its end. For `tasks.rs` only.
    pub fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        self.backend.spawn(name, task);
    }

    /// Runs `job` where blocking is allowed and returns its result.
    ///
    /// # Cancellation
    /// The job runs to its end even if the returned future is dropped.
    pub async fn blocking<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = oneshot::channel();
        self.backend.blocking(Box::new(move || {
            // The waiter may be gone; then nobody wants the result.
            let _ = done.send(job());
        }));
        match result.await {
            Ok(value) => value,
            // The job was dropped before it ended: it panicked, or the pool is being torn down.
            Err(_) => self.exit("a blocking job did not finish"),
        }
    }

    /// Waits for `future` until `deadline`; `None` if the deadline comes first.
    pub async fn until<T>(&self, deadline: MonoTime, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            value = future => Some(value),
            () = self.sleep_until(deadline) => None,
        }
    }

    /// Ends the process at once: continuing would be worse.
    pub fn exit(&self, reason: &str) -> ! {
        self.backend.exit(reason)
    }

    /// How many tasks run at the same moment, at most; at least one.
    pub fn parallelism(&self) -> usize {
        self.backend.parallelism()
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env")
    }
}
