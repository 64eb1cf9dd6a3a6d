//! The SDK's surroundings: tasks, clocks and chance, each in one function.
//!
//! Sits below everything. The SDK runs on its application's tokio runtime, so it has no `Env`; this file is what it
//! has instead, and nothing else in the crate spawns, reads a clock or draws a number.
//!
//! Invariants
//! - Every task ends by itself once its client has been dropped or closed.
//! - Chance only spreads load; no answer depends on it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, UNIX_EPOCH};

use atoll_protocol::time::WallTime;
use atoll_quic::Spawner;

/// The present, for deadlines.
#[expect(clippy::disallowed_methods, reason = "the SDK runs on its application's clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The present, for the validity of certificates.
#[expect(clippy::disallowed_methods, reason = "the SDK runs on its application's clock")]
pub(crate) fn wall() -> WallTime {
    let since_epoch = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime::from_micros(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
}

/// Starts `task` on the application's runtime.
///
/// # Panics
/// Outside of a tokio runtime; every future of the SDK needs one anyway.
#[expect(clippy::disallowed_methods, reason = "the SDK runs on its application's runtime")]
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

/// Runs a computation of many milliseconds where it holds up nobody's tasks.
pub(crate) async fn compute<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::runtime::Handle::current().spawn_blocking(job).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and drops this future with everything else.
            Err(_cancelled) => std::future::pending().await,
        },
    }
}

/// [`spawn`] as the transport wants it.
pub(crate) fn spawner() -> Spawner {
    Arc::new(|_name, task| spawn(task))
}

/// Random numbers that are good enough to spread load.
#[derive(Debug)]
pub(crate) struct Chance {
    state: AtomicU64,
}

impl Chance {
    /// Seeded from the hash keys that the standard library draws for every map.
    pub(crate) fn new() -> Self {
        Self { state: AtomicU64::new(RandomState::new().build_hasher().finish()) }
    }

    /// The next number: SplitMix64 (Steele et al., 2014), whose state is a counter and thus an atomic.
    pub(crate) fn draw(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.state.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
