//! The clocks and the threads of the load generator, each in one function.
//!
//! A load generator measures the real world, so it has no simulated clock; everything that decides takes the time as an
//! argument, and only the shell calls these.
//!
//! Invariants
//! - Spans are measured on the monotonic clock only; the wall clock names moments, and lets several processes begin at
//!   the same one.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The present, for spans.
#[expect(clippy::disallowed_methods, reason = "the load generator measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The present, for people and other processes, since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "reports say when they were made")]
pub(crate) fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The moment on the monotonic clock at which the wall clock shows `at`, as both stand now.
pub(crate) fn instant_of(at: Duration) -> Instant {
    let (now, wall) = (now(), wall());
    match at.checked_sub(wall) {
        Some(ahead) => now + ahead,
        None => now.checked_sub(wall.saturating_sub(at)).unwrap_or(now),
    }
}
