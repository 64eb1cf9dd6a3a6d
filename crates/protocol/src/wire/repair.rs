//! What replicas ask each other while they compare and mend what they hold.
//!
//! All of it is request and reply, and every reply is bounded: a page of holdings, as many records as fit a frame.
//! Keys are in stored form; whoever gets one checks it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::merkle::{Holding, Leaf, ReplicaSets};
use crate::token::Partition;

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
}

/// What a replica answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RepairReply {
    /// The roots, in the order of the request.
    Roots(Vec<u64>),
    /// The hashes of all leaves.
    Leaves(Vec<u64>),
    /// A page of keys and digests.
    Holdings {
        /// Keys above `after`, in order.
        holdings: Vec<Holding>,
        /// Whether there are more.
        more: bool,
    },
    /// The records of the first keys of the request; they are the payload.
    Records {
        /// Length of each record; 0 where there is none.
        lengths: Vec<u32>,
    },
    /// The records are held durably.
    Stored,
    /// Understood.
    Done,
    /// The receiver mends this partition with somebody else: ask again later.
    Busy,
}
