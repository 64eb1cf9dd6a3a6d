//! Requests of clients and the replies to them.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Failure, FaultCommand, HintsCommand, HintsReport, Kind, Message, NodeReport, RepairCommand,
    RepairReport, StorageReport, TombstonesReport,
};
use crate::ids::Name;
use crate::keyspace::{Conflict, KeyspaceMap};
use crate::quorum::Level;
use crate::time::WallTime;
use crate::topology::Topology;
use crate::version::{Dot, Timestamp};

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Read a key.
    Get(GetRequest),
    /// Write or delete a key. The payload is the value.
    Put(PutRequest),
    /// The topology and the keyspaces, for routing.
    Cluster,
    /// The state of every node, gathered by the one that is asked.
    Status,
    /// The state of one key at every replica.
    Explain {
        /// Keyspace.
        keyspace: Name,
        /// Key.
        key: Bytes,
    },
    /// Create a keyspace. Needs an admin certificate.
    CreateKeyspace(KeyspaceRequest),
    /// Change or show the emulated faults of the node that is asked. Needs an admin certificate.
    Fault(FaultCommand),
    /// The storage engine of every node, gathered by the one that is asked.
    Storage,
    /// Carry out a command on the anti-entropy of every node, and tell of it. Beyond `Status` it needs an admin.
    Repair(RepairCommand),
    /// Carry out a command on the hints of every node, and tell of them. Beyond `List` it needs an admin.
    Hints(HintsCommand),
    /// The deletions that wait to be purged, by node.
    Tombstones,
}

/// Read a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetRequest {
    /// Keyspace.
    pub keyspace: Name,
    /// Key.
    pub key: Bytes,
    /// How many replicas must answer.
    pub level: Level,
    /// The context that the answer must have seen at least: what the client's session saw of this key.
    pub at_least: Option<Bytes>,
}

/// Write or delete a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutRequest {
    /// Keyspace.
    pub keyspace: Name,
    /// Key.
    pub key: Bytes,
    /// How many replicas must acknowledge.
    pub level: Level,
    /// The context of the get or put that this write follows; `None` writes blindly.
    pub context: Option<Bytes>,
    /// Value (in the payload) or deletion.
    pub body: PutBody,
    /// Time until the value expires; `None` takes the keyspace's default.
    pub ttl: Option<Duration>,
    /// Who may acknowledge.
    pub quorum: QuorumKind,
    /// The context that the coordinator must have seen at least before it writes: what the client's session saw of this
    /// key. It supersedes nothing.
    pub at_least: Option<Bytes>,
}

/// Who may acknowledge a put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum QuorumKind {
    /// Replicas of the key alone.
    #[default]
    Strict,
    /// Other nodes of a replica's datacenter as well, which keep the write for a replica that is away.
    Sloppy,
}

/// What a put writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PutBody {
    /// The frame's payload.
    Value,
    /// A deletion mark.
    Tombstone,
}

/// Create a keyspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyspaceRequest {
    /// Its name.
    pub name: Name,
    /// Replicas per datacenter; datacenters not named take the topology's default.
    pub replication_factor: Vec<(Name, u8)>,
    /// How concurrent writes are resolved.
    pub conflict: Conflict,
    /// Default time to live.
    pub ttl: Option<Duration>,
    /// Cap on key plus value in bytes; `None` takes the default.
    pub record_bytes_max: Option<u32>,
}

/// What a client is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The put reached its level.
    Put(Acknowledged),
    /// What was read. The payload holds the values one after the other.
    Get {
        /// Context of the answer: pass it to the put that follows.
        context: Bytes,
        /// The visible values, in order of dots; empty if there is none.
        cells: Vec<CellMeta>,
        /// Replicas that answered.
        answered: u16,
    },
    /// Topology and keyspaces.
    Cluster(ClusterView),
    /// One report per node of the topology.
    Status(Vec<NodeReport>),
    /// The state of one key.
    Explain(Explanation),
    /// The keyspace stands; the number of nodes that already know it.
    KeyspaceCreated {
        /// Nodes that know it, the asked one included.
        known_by: u16,
    },
    /// The node's emulated faults, as lines for people.
    Faults(Vec<String>),
    /// The request failed.
    Failed(Failure),
    /// One report on storage per node of the topology.
    Storage(Vec<StorageReport>),
    /// The anti-entropy of every node.
    Repair(Vec<RepairReport>),
    /// The hints of every node.
    Hints(Vec<HintsReport>),
    /// The answer to [`Request::Tombstones`].
    Tombstones(Vec<TombstonesReport>),
}

/// A put that reached its level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Context that covers the write: pass it to the put that follows.
    pub context: Bytes,
    /// Live cells of the key as its coordinator knows them; above 1 there are concurrent writes.
    pub siblings: u16,
    /// Replicas that hold the write durably.
    pub acked: u16,
    /// Fallbacks that hold it durably for replicas that do not; 0 unless the put was sloppy.
    pub held: u16,
}

/// One visible value of a get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellMeta {
    /// Its length in bytes in the payload.
    pub length: u32,
    /// The write that made it.
    pub dot: Dot,
    /// When it was written.
    pub timestamp: Timestamp,
    /// When it expires.
    pub expires_at: Option<WallTime>,
}

/// What a client needs for routing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterView {
    /// The topology.
    pub topology: Topology,
    /// The keyspaces.
    pub keyspaces: KeyspaceMap,
    /// The node that answered.
    pub answered_by: Name,
}

/// The state of one key at every replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The key's token.
    pub token: u64,
    /// The key's partition.
    pub partition: u32,
    /// One report per replica, in preference order within each datacenter.
    pub replicas: Vec<ReplicaReport>,
    /// Nodes after the replicas in each datacenter, in fallback order.
    pub fallbacks: Vec<Name>,
}

/// The state of one key at one replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaReport {
    /// The node.
    pub node: Name,
    /// Its datacenter.
    pub dc: Name,
    /// Its rack.
    pub rack: Name,
    /// What it holds.
    pub state: ReplicaState,
    /// Smoothed round-trip time from the node that was asked; `None` for itself or when not connected.
    pub rtt: Option<Duration>,
    /// Position in the order in which a LOCAL_QUORUM get in the replica's datacenter would ask it; from 0.
    pub local_order: u16,
}

/// What a replica holds of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaState {
    /// A record.
    Present {
        /// Live cells.
        versions: Vec<VersionSummary>,
        /// Digest of the record: equal digests mean equal records.
        digest: u128,
    },
    /// Nothing.
    Absent,
    /// It could not be asked, or could not read.
    Unreachable {
        /// Why.
        reason: String,
    },
}

/// One live cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSummary {
    /// The write that made it.
    pub dot: Dot,
    /// When it was written.
    pub timestamp: Timestamp,
    /// Length of the value in bytes; `None` for a tombstone.
    pub length: Option<u32>,
}

impl Message for Request {
    const KIND: Kind = Kind::Request;
}

impl Message for Reply {
    const KIND: Kind = Kind::Reply;
}
