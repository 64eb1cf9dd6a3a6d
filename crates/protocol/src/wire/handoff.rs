//! Hinted handoff: what a node brings a peer that missed it, and what operators ask of that.
//!
//! Keys are in stored form; whoever gets one checks it.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::Name;

/// What a holder of hints asks their target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HandoffRequest {
    /// Which of these records does the receiver lack? What it says it lacks the sender brings, and nobody else meanwhile.
    Offer {
        /// Stored keys; at most [`RECORDS_MAX`](super::RECORDS_MAX).
        keys: Vec<Bytes>,
        /// [Digest](crate::merkle::record_digest) of each record, in the order of the keys.
        digests: Vec<u64>,
    },
    /// Join the records in the payload into the receiver's, durably: it missed them.
    Deliver {
        /// Stored keys; at most [`RECORDS_MAX`](super::RECORDS_MAX).
        keys: Vec<Bytes>,
        /// Length of each record, in the order of the keys.
        lengths: Vec<u32>,
    },
}

/// What the target answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HandoffReply {
    /// What was offered and is in neither list is held durably, just as it was offered.
    Wanted {
        /// Places in the offer of what is to be delivered, in ascending order.
        lacks: Vec<u16>,
        /// Places in the offer of what somebody else is bringing: ask again later.
        coming: Vec<u16>,
        /// For so long the receiver wants no more.
        rest: Duration,
    },
    /// All that was delivered is held durably; the holder may forget its hints.
    Held {
        /// For so long the receiver wants no more.
        rest: Duration,
    },
    /// Others are bringing as much as the target can take beside its requests: ask again later.
    Busy,
}

/// What an operator wants of the hints that nodes hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HintsCommand {
    /// To know what there is.
    List,
    /// Try again now what waits.
    Replay,
    /// Forget the hints for one node, or for all; what they cover is left to anti-entropy.
    Drop {
        /// The node that they are for; `None` for all.
        target: Option<Name>,
    },
}

/// The hints of one node in its own words. Counters are since it started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HintsStatus {
    /// What waits, by target; only targets with hints.
    pub waiting: Vec<HintsWaiting>,
    /// Hints for one target may take this many bytes.
    pub bytes_max: u64,
    /// Hints written.
    pub written: u64,
    /// Hints whose target holds the record now.
    pub delivered: u64,
    /// Hints that no longer applied: the target does not replicate the key, or the record is gone.
    pub superseded: u64,
    /// Hints that grew too old; their partitions are compared instead.
    pub expired: u64,
    /// Hints that an operator had dropped, or that could not be read; their partitions are compared instead.
    pub dropped: u64,
    /// Misses that found no room or a disk that refuses; their partitions are compared instead.
    pub overflowed: u64,
}

/// Hints that wait for one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HintsWaiting {
    /// The node that missed something.
    pub target: Name,
    /// How many keys.
    pub hints: u64,
    /// Bytes that they take on disk, before compression.
    pub bytes: u64,
    /// Age of the oldest one.
    pub oldest: Duration,
}

/// The hints of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HintsReport {
    /// The node.
    pub node: Name,
    /// Its datacenter.
    pub dc: Name,
    /// Its own words, or why there are none; at most [`REASON_BYTES_MAX`](super::REASON_BYTES_MAX) bytes.
    pub told: Result<HintsStatus, String>,
}
