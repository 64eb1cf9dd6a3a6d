//! What replicas ask each other while they compare and mend what they hold, and what operators ask of that.
//!
//! All of it is request and reply, and every reply is bounded: a page of holdings, as many records as fit a frame.
//! Keys are in stored form; whoever gets one checks it.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::{Incarnation, KeyspaceId, Name};
use crate::merkle::{Holding, Leaf, ReplicaSets};
use crate::purge::PurgeFrontier;
use crate::token::Partition;
use crate::version::Dot;

/// Most partitions whose roots are asked for at once: 4 KiB of roots.
pub const ROOTS_MAX: usize = 512;

/// Most keys of one request for records, or with records.
pub const RECORDS_MAX: usize = 256;

/// Bytes of keys after which a page of holdings ends.
pub const HOLDINGS_BYTES_MAX: usize = 128 * 1_024;

/// Bytes of records after which a message with several of them ends; a single record may be longer.
pub const RECORDS_BYTES_MAX: usize = 512 * 1_024;

/// What a replica asks another about the keyspaces with these replica sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RepairRequest {
    /// The roots of these partitions' trees.
    Roots {
        /// Which trees.
        sets: ReplicaSets,
        /// Which partitions; at most [`ROOTS_MAX`].
        partitions: Vec<Partition>,
    },
    /// The leaves of one tree. From here on the receiver mends this partition with the sender alone, until `Done` or
    /// until nothing was asked for a while.
    Leaves {
        /// Which tree.
        sets: ReplicaSets,
        /// Which partition.
        partition: Partition,
    },
    /// Keys and digests of some leaves, in key order.
    Holdings {
        /// Which tree.
        sets: ReplicaSets,
        /// Which partition.
        partition: Partition,
        /// Which leaves, ascending.
        leaves: Vec<Leaf>,
        /// Only keys above this one; where the page before ended.
        after: Option<Bytes>,
    },
    /// All that some leaves hold, keys and records, in key order: the sender holds nothing of them.
    Everything {
        /// Which tree.
        sets: ReplicaSets,
        /// Which partition.
        partition: Partition,
        /// Which leaves, ascending.
        leaves: Vec<Leaf>,
        /// Only keys above this one; where the page before ended.
        after: Option<Bytes>,
    },
    /// The records of these keys, as many as fit.
    Fetch {
        /// Stored keys; at most [`RECORDS_MAX`].
        keys: Vec<Bytes>,
    },
    /// Join the records in the payload into the receiver's, durably.
    Store {
        /// Stored keys; at most [`RECORDS_MAX`].
        keys: Vec<Bytes>,
        /// Length of each record, in the order of the keys.
        lengths: Vec<u32>,
    },
    /// The sender is done with this partition.
    Done {
        /// Which partition.
        partition: Partition,
    },
    /// The two are equal there, or were just mended: each has seen what the other has, and takes the other's purge frontiers.
    Frontiers {
        /// Which trees.
        sets: ReplicaSets,
        /// Which partitions; at most [`ROOTS_MAX`].
        partitions: Vec<Partition>,
        /// The sender's.
        frontiers: Vec<KnownFrontier>,
        /// What the receiver minted under when the two were compared.
        incarnation: Incarnation,
    },
    /// Forget what is dead of this.
    Forget {
        /// What the sender has purged and the receiver holds; at most [`RECORDS_MAX`] keys.
        purged: Vec<Purged>,
    },
}

/// What a replica answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RepairReply {
    /// What was asked for.
    Roots {
        /// The roots, in the order of the request.
        roots: Vec<u64>,
        /// Digest of the purge frontiers there.
        frontiers: u64,
        /// What the receiver mints under: another one than later means that it lost records.
        incarnation: Incarnation,
    },
    /// The hashes of all leaves.
    Leaves {
        /// In their order.
        leaves: Vec<u64>,
        /// What the receiver mints under.
        incarnation: Incarnation,
    },
    /// A page of keys and digests.
    Holdings {
        /// Keys above `after`, in order.
        holdings: Vec<Holding>,
        /// Whether there are more.
        more: bool,
    },
    /// A page of keys, whose records are the payload.
    Everything {
        /// Keys above `after`, in order.
        keys: Vec<Bytes>,
        /// Length of each record.
        lengths: Vec<u32>,
        /// Whether there are more.
        more: bool,
    },
    /// The records of the first keys of the request; they are the payload.
    Records {
        /// Length of each record; 0 where there is none.
        lengths: Vec<u32>,
    },
    /// The records are held durably.
    Stored {
        /// What the receiver has purged of them.
        purged: Vec<Purged>,
    },
    /// Understood.
    Done,
    /// The receiver mends this partition with somebody else: ask again later.
    Busy,
    /// The receiver's frontiers, as they were before it took the sender's.
    Frontiers(Vec<KnownFrontier>),
}

/// A purge frontier, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownFrontier {
    /// The partition.
    pub partition: Partition,
    /// The keyspace.
    pub keyspace: KeyspaceId,
    /// The frontier.
    pub frontier: PurgeFrontier,
}

/// What of a record was purged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// The stored key.
    pub key: Bytes,
    /// The writes.
    pub dots: Vec<Dot>,
}

/// What an operator wants of the anti-entropy of all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RepairCommand {
    /// To know how it goes.
    Status,
    /// Go on, and compare everything once at once.
    Start,
    /// Begin no comparison until `Start`, or until the node starts again.
    Pause,
}

/// A node's anti-entropy in its own words. Counters are since it started, and of comparisons that it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairStatus {
    /// Whether it was told to pause.
    pub paused: bool,
    /// In this time every partition is compared once with every other replica.
    pub cycle: Duration,
    /// Comparisons that do not wait for their turn: after a connection was made, after a start, after misses.
    pub pending: u64,
    /// How long ago the last complete round with the peer began that is furthest behind; `None` before the first one.
    pub last_round: Option<Duration>,
    /// Partitions compared.
    pub compared: u64,
    /// Of these, partitions that differed.
    pub differed: u64,
    /// Records fetched.
    pub fetched: u64,
    /// Records sent.
    pub sent: u64,
    /// Bytes on the wire in both directions, records included.
    pub wire_bytes: u64,
    /// Comparisons that failed.
    pub failed: u64,
    /// Trees that were not those of what is stored, as found by building them anew.
    pub wrong_trees: u64,
}

/// The anti-entropy of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairReport {
    /// The node.
    pub node: Name,
    /// Its datacenter.
    pub dc: Name,
    /// Its own words, or why there are none; at most [`REASON_BYTES_MAX`](super::REASON_BYTES_MAX) bytes.
    pub told: Result<RepairStatus, String>,
}
