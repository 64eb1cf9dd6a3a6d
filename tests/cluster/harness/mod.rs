//! What the tests are written with.
//!
//! ```text
//! Folder   topology, certificates, configurations, profile        folder.rs
//!   └ Cluster   one process per node, killed on drop              cluster.rs, node.rs
//! DevCluster    one `atoll dev`                                   dev.rs
//! Cli      one run of the binary: exit code, stdout, stderr       cli.rs
//! raw      bare quinn, to send what the SDK never would           raw.rs
//! ```
//!
//! Rules
//! - Nothing waits for time to pass: `poll::until` looks at a condition and has a bound.
//! - Every process ends with the handle that started it, also when the test fails; nodes see their stdin close when the
//!   whole test process is killed.
//! - Clusters take seats (`seats.rs`), so that two cores are never asked for more than they have.

mod cli;
mod cluster;
mod dev;
mod folder;
mod node;
mod poll;
mod ports;
pub(crate) mod raw;
mod seats;
mod strace;

use std::time::Duration;

use atoll_protocol::ids::Name;
use atoll_protocol::time::WallTime;
use rustls_pki_types::UnixTime;

pub(crate) use cli::{Cli, Outcome};
pub(crate) use cluster::{Cluster, replicas_equal};
pub(crate) use dev::DevCluster;
pub(crate) use folder::{CLUSTER, Folder};
pub(crate) use node::{NodeProcess, Start, is_running};
pub(crate) use poll::{PATIENCE, until};
pub(crate) use seats::Seats;
pub(crate) use strace::Strace;

/// A name that is one.
pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// The present, for certificates.
pub(crate) fn now() -> WallTime {
    WallTime::from_micros(UnixTime::now().as_secs() * 1_000_000)
}

/// The value below which half of `spans` are, and the one below which 99 of a hundred are.
pub(crate) fn percentiles(spans: &mut [Duration]) -> (Duration, Duration) {
    spans.sort_unstable();
    let at = |percent: usize| spans[(spans.len() * percent / 100).min(spans.len() - 1)];
    (at(50), at(99))
}
