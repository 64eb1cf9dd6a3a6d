//! What nodes tell operators, and the faults that operators ask for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{Epoch, Incarnation, Name};

/// One node as the asked node knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// The node.
    pub node: Name,
    /// Its datacenter.
    pub dc: Name,
    /// Its rack.
    pub rack: Name,
    /// Its address.
    pub address: String,
    /// Share of the partitions of its datacenter that it replicates, in thousandths.
    pub owns_per_mille: u16,
    /// What it says of itself, or why it says nothing.
    pub state: NodeState,
}

/// Whether a node answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeState {
    /// Its own words.
    Up(NodeStatus),
    /// No connection; since when, if it ever was connected.
    Down {
        /// How long there has been no connection.
        silent_for: Option<Duration>,
        /// The last thing that went wrong.
        reason: String,
    },
}

/// A node's own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Version of the binary.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Time since the process started serving.
    pub uptime: Duration,
    /// Its topology's epoch.
    pub epoch: Epoch,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Bytes of its storage engine in tables, value files and memtables.
    pub data_bytes: u64,
    /// SSTables of its storage engine.
    pub tables: u32,
    /// Connections of clients.
    pub clients: u32,
    /// Its connections to other nodes.
    pub peers: Vec<PeerStatus>,
    /// The nodes that it does not believe to be alive.
    pub suspicions: Vec<SuspicionStatus>,
    /// Operations that it coordinates now.
    pub operations: u32,
    /// Puts that it coordinated since it started.
    pub puts: u64,
    /// Gets that it coordinated since it started.
    pub gets: u64,
    /// Replicas that missed a put, as coordinated by it since it started.
    pub missed: u64,
    /// Stale replicas that gets repaired, as coordinated by it since it started.
    pub repaired: u64,
    /// Writes that lost against a concurrent one in an `lww` keyspace, as seen by it since it started.
    pub lww_dropped: u64,
    /// Speculative reads of the gets that it coordinated since it started.
    pub speculation: SpeculationStatus,
}

/// Reads that gets sent because others were overdue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpeculationStatus {
    /// Paid from the budget.
    pub sent: u64,
    /// Beside replicas that had fallen silent; they cost nothing.
    pub replaced: u64,
    /// Of both, those that answered while a replica that was asked before still had not.
    pub won: u64,
    /// Times that the budget had too little left.
    pub refused: u64,
}

/// A connection to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// The peer.
    pub node: Name,
    /// Smoothed round-trip time; `None` when not connected.
    pub rtt: Option<Duration>,
    /// How long it has been in this state.
    pub since: Duration,
    /// What the path to it shows; `None` when not connected.
    pub path: Option<PathStatus>,
}

/// The path to a peer, as the asked node's end of the connection sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStatus {
    /// Time since the peer was last heard.
    pub silent_for: Duration,
    /// Packets sent on the connection, or on both while there are two.
    pub sent_packets: u64,
    /// Those of them that were lost.
    pub lost_packets: u64,
    /// Bytes of UDP sent, acknowledgements among them.
    pub sent_bytes: u64,
    /// Bytes of UDP received.
    pub received_bytes: u64,
}

/// What a node believes of another one that it does not believe to be alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspicionStatus {
    /// The node that is suspected.
    pub node: Name,
    /// How far it has come.
    pub state: SuspicionState,
    /// How long it has been in this state.
    pub since: Duration,
    /// The nodes that do not hear it, as far as the asked node knows; itself among them, if it does not.
    pub observers: Vec<Name>,
}

/// How far a suspicion has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SuspicionState {
    /// Somebody does not hear the node.
    Suspect,
    /// Several do not hear it, nobody reaches it, and it has not contradicted: it is taken for dead.
    Convicted,
}

/// A change to the emulated links of the asked node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultCommand {
    /// Say what is in force.
    Show,
    /// Take back every fault that was set at run time; the delays of `--wan` stay.
    Heal,
    /// Change the links to these nodes.
    Set {
        /// The nodes at the other end.
        nodes: Vec<Name>,
        /// What happens on the links to them.
        fault: LinkFault,
    },
}

/// What happens on a link, in the direction from the asked node (a block also drops what arrives).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkFault {
    /// Nothing gets through.
    Block,
    /// Datagrams take this much longer, one way.
    Delay(Duration),
    /// So many of a thousand datagrams vanish.
    LossPerMille(u16),
}
