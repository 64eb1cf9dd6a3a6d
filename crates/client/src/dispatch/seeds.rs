//! The first contact: reach some node through the seeds, and learn the cluster from it.
//!
//! Used when a client connects, and again when no node of the topology can be reached any more.
//!
//! 1. Dial all seeds at once.
//! 2. [`Choice::First`] takes the first that answers. [`Choice::Nearest`] waits as long again for others and sorts by
//!    round-trip time: what needs twice as long to shake hands is not the nearest.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::error::Error;
use crate::link::{Dialer, Link};
use crate::runtime;

/// Least time that is waited for other seeds after the first: a handshake in one datacenter takes 2 ms, on a busy
/// machine 20.
const GRACE_MIN: Duration = Duration::from_millis(20);

/// Which seed is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Whichever answers.
    First,
    /// The one with the lowest round-trip time.
    Nearest,
}

/// Links to seeds, the best one first; at least one.
pub(super) async fn reach(
    dialer: &Dialer,
    seeds: &[String],
    choice: Choice,
) -> Result<Vec<Arc<Link>>, Error> {
    let start = runtime::now();
    let mut dials: FuturesUnordered<_> = seeds.iter().map(|seed| dialer.dial_seed(seed)).collect();
    let mut errors = Vec::new();
    let mut links: Vec<Arc<Link>> = Vec::new();
    while let Some(dialed) = dials.next().await {
        match dialed {
            Ok(link) => {
                links.push(link);
                break;
            }
            Err(error) => errors.push(error),
        }
    }
    if links.is_empty() {
        return Err(Error::from_dials(errors, None));
    }
    if choice == Choice::Nearest {
        let now = runtime::now();
        let grace = now.saturating_duration_since(start).max(GRACE_MIN);
        let until = tokio::time::Instant::from_std(now + grace);
        while let Ok(Some(dialed)) = tokio::time::timeout_at(until, dials.next()).await {
            links.extend(dialed.ok());
        }
        links.sort_by_key(|link| link.rtt());
    }
    Ok(links)
}
