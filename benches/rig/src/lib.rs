//! What benchmarks of whole clusters share: a cluster of real processes, a closed loop of requests, and processor time.
//!
//! It is run by hand, and prints figures for people; nothing here is part of Atoll.

mod asker;
mod closed;
mod cluster;
mod processor;

use std::time::Duration;

pub use asker::AtollAsker;
pub use closed::{Asked, Asker, Loop, Run, key};
pub use cluster::{DevCluster, NODE_MEMORY, Seat, Wan};
pub use processor::{ProcessorTime, median};

/// What went wrong, for a person.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Lets time pass: this measures what happens meanwhile, and asserts nothing.
pub async fn pause(span: Duration) {
    // bounded poll: every caller counts its rounds, or names a span
    tokio::time::sleep(span).await;
}
