//! How requests behave by default, and the file that says so.
//!
//! A [`Profile`] is plain data: a client has one, a keyspace handle may have its own, and every request can override
//! levels and deadline. A [`ProfileFile`] is what `atoll dev` writes and the CLI reads (`file.rs`), and
//! [`find_profile`] says where it lies (`find.rs`).
//!
//! Invariants
//! - No default crosses datacenters: `LOCAL_QUORUM` both ways, no failover.

use std::time::Duration;

use atoll_protocol::quorum::Level;

mod file;
mod find;

pub(crate) use file::is_host_and_port;
pub use file::{AdminFiles, ProfileError, ProfileFile, ProfileProblem, Role};
pub use find::find_profile;
#[cfg(test)]
pub(crate) use find::places;

/// Longest time of a request by default: ten round trips around the world.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(1);

/// Time that one node gets to answer a read before another is asked: two tries fit in the default deadline, and a
/// quorum across an ocean (300 ms) fits in each.
const ATTEMPT_TIMEOUT_DEFAULT: Duration = Duration::from_millis(400);

/// Times that one request is sent at most: as many as a key has replicas in a datacenter.
const ATTEMPTS_MAX_DEFAULT: u32 = 3;

/// Whether requests at `LOCAL_*` levels may be served by another datacenter when their own does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DcFailover {
    /// They fail. "Local" then always means the same datacenter, and a write is where the next read looks for it.
    #[default]
    Never,
    /// The nearest other datacenter serves them, and "local" means that one: what was written at a local level in the
    /// own datacenter a moment ago may not be visible there yet.
    Allowed,
}

/// Levels, time limits and retries.
///
/// ```
/// use std::time::Duration;
/// use atoll_client::{Level, Profile};
///
/// let fast = Profile::new().read_level(Level::LocalOne).deadline(Duration::from_millis(200));
/// assert_ne!(fast, Profile::default());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub(crate) read_level: Level,
    pub(crate) write_level: Level,
    pub(crate) deadline: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) attempts_max: u32,
    pub(crate) dc_failover: DcFailover,
}

impl Profile {
    /// The defaults: `LOCAL_QUORUM`, 1 s, 3 attempts of at most 400 ms, no failover.
    pub fn new() -> Self {
        Self {
            read_level: Level::LocalQuorum,
            write_level: Level::LocalQuorum,
            deadline: DEADLINE_DEFAULT,
            attempt_timeout: ATTEMPT_TIMEOUT_DEFAULT,
            attempts_max: ATTEMPTS_MAX_DEFAULT,
            dc_failover: DcFailover::Never,
        }
    }

    /// Level of reads and writes.
    #[must_use]
    pub fn level(self, level: Level) -> Self {
        Self { read_level: level, write_level: level, ..self }
    }

    /// Level of reads.
    #[must_use]
    pub fn read_level(self, level: Level) -> Self {
        Self { read_level: level, ..self }
    }

    /// Level of writes.
    #[must_use]
    pub fn write_level(self, level: Level) -> Self {
        Self { write_level: level, ..self }
    }

    /// Time that a request may take in all, retries included. Nodes stop working on it when it has passed.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Time that one node gets to answer a read before another is asked. Writes that were sent are waited for until
    /// the deadline: asking another node could write twice.
    #[must_use]
    pub fn attempt_timeout(self, attempt_timeout: Duration) -> Self {
        Self { attempt_timeout, ..self }
    }

    /// How often one request is sent at most; at least once.
    #[must_use]
    pub fn attempts_max(self, attempts_max: u32) -> Self {
        Self { attempts_max: attempts_max.max(1), ..self }
    }

    /// Whether another datacenter may serve requests at `LOCAL_*` levels.
    #[must_use]
    pub fn dc_failover(self, dc_failover: DcFailover) -> Self {
        Self { dc_failover, ..self }
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::new()
    }
}
