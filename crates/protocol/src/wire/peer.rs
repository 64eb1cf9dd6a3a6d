//! Messages between nodes.
//!
//! Writes travel as notices: the coordinator (or a relay for it) sends `Apply`, and every replica acknowledges with
//! `Applied` straight to the coordinator, whoever sent it the record. Everything else is request and reply.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Acknowledged, Failure, HandoffReply, HandoffRequest, HintsCommand, HintsStatus, Kind, Message,
    NodeStatus, PurgeReply, PurgeRequest, PutRequest, RepairCommand, RepairReply, RepairRequest,
    RepairStatus, StorageStatus, TombstonesStatus,
};
use crate::ids::{DcIndex, KeyspaceId, NodeIndex, OperationId};
use crate::keyspace::KeyspaceMap;
use crate::record::RecordVersion;

/// What a node asks another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerRequest {
    /// The record of a key, unless what the sender knows covers it.
    Read {
        /// Keyspace.
        keyspace: KeyspaceId,
        /// Key.
        key: Bytes,
        /// What the sender knows already.
        known: Option<Known>,
    },
    /// Join the record in the payload into the receiver's, durably.
    Repair {
        /// Keyspace.
        keyspace: KeyspaceId,
        /// Key.
        key: Bytes,
    },
    /// Coordinate a client's put. The payload is the value.
    Forward {
        /// The client's request.
        request: PutRequest,
        /// The datacenter that `LOCAL` means: the one of the node that the client asked.
        local: DcIndex,
    },
    /// The state of the asked node.
    Status,
    /// Keyspaces to merge.
    Keyspaces(KeyspaceMap),
    /// The storage engine of the asked node.
    Storage,
    /// Compare or mend replicas.
    Tree(RepairRequest),
    /// Carry out an operator's command, and tell of the asked node's anti-entropy.
    Repairs(RepairCommand),
    /// Take what the asked node missed.
    Handoff(HandoffRequest),
    /// Carry out an operator's command, and tell of the asked node's hints.
    Hints(HintsCommand),
    /// Agree on what may be forgotten, and forget it.
    Purge(PurgeRequest),
    /// The deletions that the asked node looks after.
    Tombstones,
}

/// What a node answers another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerReply {
    /// The record; it is the payload.
    Record,
    /// The replica has no record of the key.
    Absent,
    /// The replica's record is the one that the sender knows.
    Same,
    /// The receiver holds the repaired record durably.
    Repaired,
    /// The answer to a forwarded put.
    Forwarded(Acknowledged),
    /// The state of the asked node.
    Status(NodeStatus),
    /// The keyspaces of the asked node after merging.
    Keyspaces(KeyspaceMap),
    /// The request failed at the asked node.
    Failed(Failure),
    /// The storage engine of the asked node.
    Storage(StorageStatus),
    /// The answer to [`PeerRequest::Tree`].
    Tree(RepairReply),
    /// The anti-entropy of the asked node.
    Repairs(RepairStatus),
    /// The answer to [`PeerRequest::Handoff`].
    Handoff(HandoffReply),
    /// The hints of the asked node.
    Hints(HintsStatus),
    /// The replica's record is older than the one that the sender knows: joining it would add nothing.
    Older {
        /// Digest of the replica's record.
        digest: u128,
    },
    /// The answer to [`PeerRequest::Purge`].
    Purge(PurgeReply),
    /// The deletions that the asked node looks after.
    Tombstones(TombstonesStatus),
}

/// The record that the sender of a read knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its digest.
    pub digest: u128,
    /// Itself, without its values.
    pub version: RecordVersion,
}

/// What a node tells another, without an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerNotice {
    /// Apply the record in the payload durably, forward it, and tell `coordinator`.
    Apply {
        /// The coordinator's id of the operation.
        operation: OperationId,
        /// Who is told.
        coordinator: NodeIndex,
        /// Keyspace.
        keyspace: KeyspaceId,
        /// Key.
        key: Bytes,
        /// Neighbours that the receiver forwards to; empty for a direct copy.
        relay_to: Vec<NodeIndex>,
    },
    /// The sender's fate of an `Apply` or a `Hold`.
    Applied {
        /// The coordinator's id of the operation.
        operation: OperationId,
        /// What became of it at the sender.
        outcome: ApplyOutcome,
    },
    /// Once a second to every connected peer.
    Gossip(Gossip),
    /// Keep the record in the payload durably for `owner`, and tell `coordinator`.
    Hold {
        /// The coordinator's id of the operation.
        operation: OperationId,
        /// Who is told.
        coordinator: NodeIndex,
        /// The replica that it is for.
        owner: NodeIndex,
        /// Keyspace.
        keyspace: KeyspaceId,
        /// Key.
        key: Bytes,
    },
    /// The sender does not wait any more for the reply to its request on this link.
    Cancel {
        /// The request's id.
        request: u64,
    },
}

/// What became of a record at one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ApplyOutcome {
    /// It is durable.
    Durable,
    /// The replica refused or failed; it does not hold the record.
    Refused,
}

/// Digests of what all nodes should agree on, and whom the sender does not hear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gossip {
    /// Random number that the sender drew when its process started: another one means that it was restarted.
    pub boot: u64,
    /// Digest of the sender's topology.
    pub topology: u64,
    /// Digest of the sender's keyspaces.
    pub keyspaces: u64,
    /// Nodes that the sender itself has not heard of for too long: its testimony against them.
    pub silent: Vec<NodeIndex>,
}

impl Message for PeerRequest {
    const KIND: Kind = Kind::PeerRequest;
}

impl Message for PeerReply {
    const KIND: Kind = Kind::PeerReply;
}

impl Message for PeerNotice {
    const KIND: Kind = Kind::PeerNotice;
}
