//! Waiting for a condition, with a bound.

use std::time::Duration;

use tokio::time::Instant;

/// Longest wait for anything. A guard against hangs: nothing is expected to take this long, and no test measures it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until there is something to see; what was seen instead is in the panic.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let instead = match look().await {
            Ok(seen) => return seen,
            Err(instead) => instead,
        };
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} until {what}; instead: {instead}");
        // bounded poll: the deadline above.
        tokio::time::sleep(PAUSE).await;
    }
}
