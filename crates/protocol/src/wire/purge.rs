//! What owners ask each other before deletions are forgotten, and what operators ask of that (`protocol::purge`).
//!
//! Keys are in stored form; whoever gets one checks it.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::{Incarnation, KeyspaceId, Name};
use crate::purge::PurgeFrontier;
use crate::time::WallTime;
use crate::token::Partition;

/// Most partitions of one request.
pub const PURGE_PARTITIONS_MAX: usize = 64;

/// Most obstacles that a node names.
pub const OBSTACLES_MAX: usize = 64;

/// What the node that looks after some partitions asks their owners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PurgeRequest {
    /// Up to where the receiver has minted.
    Cut {
        /// Of which partitions; at most [`PURGE_PARTITIONS_MAX`].
        partitions: Vec<Partition>,
    },
    /// All owners were mended past these cuts: store the frontiers, durably.
    Adopt {
        /// The receiver's cut that they rest on.
        cut: u64,
        /// The keyspaces that they are about.
        keyspaces: Vec<KeyspaceId>,
        /// One for each partition.
        frontiers: Vec<(Partition, PurgeFrontier)>,
    },
    /// All owners have stored this frontier, or a later one: delete what of these keys is dead.
    Sweep {
        /// The frontier.
        frontier: PurgeFrontier,
        /// Stored keys; at most [`RECORDS_MAX`](super::RECORDS_MAX).
        keys: Vec<Bytes>,
    },
}

/// What an owner answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PurgeReply {
    /// How far it is.
    Cut(Cut),
    /// The frontiers are stored.
    Adopted,
    /// The keys are dealt with.
    Swept {
        /// Records deleted.
        purged: u32,
    },
    /// It cannot be, in words; nothing was done.
    Refused(String),
}

/// How far an owner is at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Its name; a node that restarts, or loses records, forgets it.
    pub id: u64,
    /// What the owner mints under.
    pub incarnation: Incarnation,
    /// The last counter that it has minted in each partition of the request, in their order. All are durable.
    pub minted: Vec<u64>,
    /// Its clock.
    pub wall: WallTime,
    /// Digest of the keyspaces that it knows.
    pub keyspaces: u64,
}

/// A node's deletions that wait to be purged, in its own words: of the partitions that it looks after. A partition is
/// looked after by one of its owners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TombstonesStatus {
    /// A key is purged no sooner than this after it was deleted or has expired.
    pub purge_after: Duration,
    /// Keys of which only deletions and expired values are left, when they were counted last.
    pub waiting: u64,
    /// Bytes of their records.
    pub bytes: u64,
    /// How long ago the first of them was deleted or expired.
    pub oldest: Option<Duration>,
    /// Keys purged since the node started.
    pub purged: u64,
    /// What keeps keys from being purged; at most [`OBSTACLES_MAX`].
    pub obstacles: Vec<PurgeObstacle>,
}

/// What keeps keys from being purged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeObstacle {
    /// The node that it is about.
    pub node: Name,
    /// What is with it, in words.
    pub reason: String,
    /// Keys that wait for it.
    pub keys: u64,
    /// For how long it has been so.
    pub since: Duration,
}

/// The deletions that one node looks after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TombstonesReport {
    /// The node.
    pub node: Name,
    /// Its datacenter.
    pub dc: Name,
    /// Its own words, or why there are none; at most [`REASON_BYTES_MAX`](super::REASON_BYTES_MAX) bytes.
    pub told: Result<TombstonesStatus, String>,
}
