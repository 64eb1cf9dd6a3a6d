//! Every bound of the protocol, with its unit and its arithmetic.
//!
//! Promise P9: every queue, frame, buffer and sibling set has a cap, and reaching it has a name ([`Limit`]).

use serde::{Deserialize, Serialize};

/// Longest user key, in bytes.
pub const KEY_BYTES_MAX: usize = 1_024;

/// Default cap on key plus value, in bytes.
pub const RECORD_BYTES_MAX_DEFAULT: usize = 10 * 1_024;

/// Highest configurable cap on key plus value, in bytes.
pub const RECORD_BYTES_MAX_CEILING: usize = 1_024 * 1_024;

/// Siblings from which on a reply carries a warning.
pub const SIBLINGS_WARN: usize = 8;

/// Siblings beyond which a put must carry a context that covers some of them.
pub const SIBLINGS_MAX: usize = 64;

/// Incarnations in one record or context: every unclean stop of a replica that coordinates the key afterwards adds
/// one, and nothing retires them yet. 9 replicas × 3 640 unclean stops; 16 bytes each keep a context within 512 KiB.
pub const VERSION_ENTRIES_MAX: usize = 32_768;

/// Keys that a session knows: a token of some 100 bytes each stays within a megabyte.
pub const SESSION_KEYS_MAX: usize = 10_000;

/// Largest frame payload, in bytes: 64 siblings of a full 1 MiB record would be 64 MiB, but siblings that large are
/// refused before; 16 MiB holds 64 siblings of 256 KiB, or 16 of 1 MiB.
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// Largest frame meta part, in bytes: a topology of 256 nodes with its tables (1 024 partitions × 9 replicas × 2
/// bytes per table) and a keyspace map stay well below.
pub const META_BYTES_MAX: usize = 1_024 * 1_024;

/// Longest name of a cluster, datacenter, rack, node, client or keyspace, in bytes.
pub const NAME_BYTES_MAX: usize = 48;

/// Most nodes in a topology; indices are 16 bit and tables stay small.
pub const NODES_MAX: usize = 1_024;

/// Most datacenters in a topology.
pub const DCS_MAX: usize = 32;

/// Highest partition count: 65 536 × RF 3 × 2 bytes = 384 KiB per datacenter's table.
pub const PARTITIONS_MAX: u32 = 65_536;

/// Highest replication factor per datacenter.
pub const REPLICATION_FACTOR_MAX: u8 = 15;

/// Most keyspaces in a cluster.
pub const KEYSPACES_MAX: usize = 1_024;

const _: () = assert!(RECORD_BYTES_MAX_DEFAULT <= RECORD_BYTES_MAX_CEILING);
const _: () = assert!(RECORD_BYTES_MAX_CEILING < PAYLOAD_BYTES_MAX);
const _: () = assert!(PARTITIONS_MAX.is_power_of_two());

/// The bound that was reached; the `what` of every `Overloaded` error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Limit {
    /// Operations that one node coordinates at once.
    OperationsInflight,
    /// Frames waiting to be sent on one connection.
    OutboxFrames,
    /// Writes waiting for one storage stripe.
    StripeQueue,
    /// Memtables waiting to be flushed.
    SealedMemtables,
    /// Requests that one client connection has under way.
    ConnectionRequests,
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OperationsInflight => "operations in flight on the coordinator",
            Self::OutboxFrames => "frames waiting on a connection",
            Self::StripeQueue => "writes waiting for storage",
            Self::SealedMemtables => "memtables waiting to be flushed",
            Self::ConnectionRequests => "requests under way on one connection",
        })
    }
}
