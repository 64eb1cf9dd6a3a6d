//! A run as data: the cluster's shape, its knobs, the workload and every fault with its time.
//!
//! A plan is drawn from a seed (`draw.rs`) or written by hand, saved as JSON, replayed, and shrunk by leaving parts of
//! it out. Everything else that a run needs by chance comes from labelled streams of [`Plan::seed`].
//!
//! Times are milliseconds since the safety phase began. Nodes are numbered from 0 through the datacenters in order.

mod check;
mod describe;
mod draw;
mod file;
mod parts;

use serde::{Deserialize, Serialize};

pub use check::{PlanError, Problem};
pub use file::{FailureFile, FileError};

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The seed of everything that is not written here: schedule of tasks, latencies, values.
    pub seed: u64,
    /// What the network is made of.
    pub tier: Tier,
    /// The cluster.
    pub shape: Shape,
    /// Settings of every node.
    pub knobs: Knobs,
    /// What the clients do.
    pub workload: Workload,
    /// The faults, in order of time.
    pub faults: Vec<Fault>,
    /// Length of the safety phase; then everything heals.
    pub safety_ms: u64,
}

/// What the network is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Frames are carried by the simulator.
    Messages,
    /// Real quinn and rustls over simulated UDP.
    Quic,
}

/// The cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// The datacenters, 1 to 3.
    pub dcs: Vec<DcShape>,
    /// Round-trip time between any two of them.
    pub rtt_ms: u64,
    /// Partitions, a power of two.
    pub partitions: u32,
}

/// One datacenter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DcShape {
    /// Nodes, 1 to 5.
    pub nodes: u16,
    /// Racks, 1 to `nodes`.
    pub racks: u16,
    /// Replicas of each key here, 1 to 3 and at most `nodes`.
    pub replication_factor: u8,
}

/// Settings of every node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knobs {
    /// Sync interval under `periodic` durability; `None` is `fsync`.
    pub periodic_ms: Option<u64>,
    /// `Options::memtable_bytes_max`.
    pub memtable_bytes: u64,
    /// `Options::wal_segment_bytes_max`.
    pub segment_bytes: u64,
    /// `Options::block_bytes`.
    pub block_bytes: u64,
    /// `Options::table_bytes`.
    pub table_bytes: u64,
    /// `Options::level_bytes_base`.
    pub level_bytes: u64,
    /// `Options::tables_l0_trigger`.
    pub l0_trigger: u64,
    /// `Options::value_separation_bytes`.
    #[serde(default = "parts::separation_bytes")]
    pub separation_bytes: u64,
    /// `Options::cache_bytes`.
    #[serde(default = "parts::cache_bytes")]
    pub cache_bytes: u64,
    /// What heals replicas by itself.
    #[serde(default)]
    pub healers: Healers,
    /// How soon deletions are purged that every owner has seen, in milliseconds; `None` is never.
    #[serde(default)]
    pub purge_after_ms: Option<u64>,
    /// Capacity of each disk; what `Options::free_bytes_min` leaves of it is refused.
    pub disk_bytes: u64,
    /// Wall clock of each node against the world's at the start, in milliseconds.
    pub skew_ms: Vec<i64>,
    /// Drift of each node's clocks in parts per million.
    pub drift_ppm: Vec<i32>,
}

/// What heals replicas by itself, besides reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Healers {
    /// Hints and anti-entropy.
    #[default]
    All,
    /// Hints alone: anti-entropy is paused, and hints are not bounded. For plans in which no process ends and no disk
    /// fails.
    Hints,
}

/// What the clients do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Clients; each does one operation after the other.
    pub clients: u32,
    /// So many of them work in a session each, move about, and ask at `ONE` now and then.
    #[serde(default)]
    pub sessions: u32,
    /// Operations of all clients together, at most; the safety phase may end before.
    pub operations: u32,
    /// Longest pause of a client between two operations.
    pub think_ms: u64,
    /// Patience of a client.
    pub deadline_ms: u64,
    /// Writes of 1 000 that are sloppy.
    #[serde(default)]
    pub sloppy_per_mille: u32,
    /// Keys of the `default` keyspace (siblings).
    pub keys: u32,
    /// Keys of a keyspace with `lww`.
    pub lww_keys: u32,
    /// Operations of 1 000 that go to the first key, whatever was drawn.
    pub hot_per_mille: u32,
    /// Weights of the kinds of operation.
    pub mix: Mix,
    /// Levels to draw from, as clients write them (`QUORUM`, `LOCAL_QUORUM+1`).
    pub levels: Vec<String>,
    /// Longest usual value in bytes.
    pub value_bytes: u32,
    /// Puts of 1 000 that are just at or just over the size limit.
    pub oversize_per_mille: u32,
    /// Puts of 1 000 that expire.
    pub ttl_per_mille: u32,
    /// Keyspaces that are created during the safety phase.
    pub keyspaces: u32,
}

/// Weights of the kinds of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Get.
    pub get: u32,
    /// Get, then put with its context.
    pub modify: u32,
    /// Put with the context of the client's last answer for this key.
    pub follow: u32,
    /// Put without context.
    pub blind: u32,
    /// Get, then delete with its context.
    pub delete: u32,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When it begins.
    pub at_ms: u64,
    /// How long it lasts; what has no duration ignores it. For a killed or wiped node: until it is started again. (A
    /// supervisor starts a node that stopped by itself after 0.7 s, and one whose disk calls ran out after 0.3 s.)
    pub for_ms: u64,
    /// What happens.
    pub kind: FaultKind,
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// The process dies; with `power` its unsynced writes are lost too, or torn.
    Kill {
        /// The node.
        node: u16,
        /// Whether the machine loses power.
        power: bool,
    },
    /// Power loss after so many more calls to the disk, also during start-up.
    KillAtDiskCall {
        /// The node.
        node: u16,
        /// Calls that still succeed.
        calls: u32,
    },
    /// A clean stop.
    Stop {
        /// The node.
        node: u16,
    },
    /// Power loss, and the disk is replaced by an empty one.
    Wipe {
        /// The node.
        node: u16,
    },
    /// The process stands still (SIGSTOP).
    Pause {
        /// The node.
        node: u16,
    },
    /// The processor is so many times slower.
    Slow {
        /// The node.
        node: u16,
        /// How many times.
        factor: u32,
    },
    /// Nothing gets from any of `from` to any of `to`. Both ways are two faults.
    Cut {
        /// Senders.
        from: Vec<u16>,
        /// Receivers.
        to: Vec<u16>,
    },
    /// What gets from any of `from` to any of `to` suffers.
    Degrade {
        /// Senders.
        from: Vec<u16>,
        /// Receivers.
        to: Vec<u16>,
        /// Frames of 1 000 that are lost.
        loss_per_mille: u32,
        /// Frames of 1 000 that arrive twice.
        duplicate_per_mille: u32,
        /// Longest extra delay: reorders whatever may be reordered.
        jitter_ms: u64,
        /// Bytes per second that get through; 0 is unlimited.
        bytes_per_second: u64,
    },
    /// Calls to the disk fail with an I/O error.
    DiskErrors {
        /// The node.
        node: u16,
        /// Which calls.
        calls: DiskCalls,
        /// How many of 1 000.
        per_mille: u32,
    },
    /// The disk is full.
    DiskFull {
        /// The node.
        node: u16,
    },
    /// Each call to the disk that waits for the device takes up to so much longer.
    DiskStall {
        /// The node.
        node: u16,
        /// Longest extra time.
        stall_ms: u64,
    },
    /// Bits of synced data flip.
    BitRot {
        /// The node.
        node: u16,
        /// How many.
        bits: u32,
    },
    /// The next write lands somewhere else on the disk.
    Misdirect {
        /// The node.
        node: u16,
    },
    /// The wall clock jumps.
    ClockJump {
        /// The node.
        node: u16,
        /// By so much.
        by_ms: i64,
    },
}

/// Calls to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskCalls {
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Syncs of files.
    Sync,
    /// Syncs of directories.
    SyncDir,
}
