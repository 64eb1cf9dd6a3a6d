//! How many clusters run at once.
//!
//! Two small ones share two cores well. What measures latency or kills nodes for minutes takes both seats.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Small clusters that may run at the same time.
const SEATS: u32 = 2;

static FREE: Semaphore = Semaphore::const_new(SEATS as usize);

/// Held as long as a cluster runs.
#[derive(Debug)]
pub(crate) struct Seats {
    _permit: SemaphorePermit<'static>,
}

impl Seats {
    /// Waits for one.
    pub(crate) async fn one() -> Self {
        Self { _permit: FREE.acquire().await.unwrap() }
    }

    /// Waits for all: nothing else runs beside.
    pub(crate) async fn all() -> Self {
        Self { _permit: FREE.acquire_many(SEATS).await.unwrap() }
    }
}
