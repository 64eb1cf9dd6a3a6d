//! The status as JSON: the same facts as the table, with units in the names, and more of them.
//!
//! Invariants
//! - Member names are stable: scripts depend on them.

use std::time::Duration;

use atoll_client::NodeReport;
use atoll_protocol::ids::Name;
use atoll_protocol::wire::{NodeState, NodeStatus, SuspicionState};
use serde::Serialize;

use super::Status;

/// The document.
#[derive(Serialize)]
pub(super) struct StatusJson<'a> {
    cluster: &'a str,
    epoch: u64,
    health: &'static str,
    problems: &'a [String],
    dcs: Vec<DcJson<'a>>,
    nodes: Vec<NodeJson<'a>>,
}

#[derive(Serialize)]
struct DcJson<'a> {
    dc: &'a str,
    nodes: usize,
    up: usize,
    replication_factor: u8,
    partitions: u32,
    partitions_without_quorum: u32,
    partitions_without_all: u32,
}

#[derive(Serialize)]
struct NodeJson<'a> {
    node: &'a str,
    dc: &'a str,
    rack: &'a str,
    address: &'a str,
    owns_per_mille: u16,
    #[serde(flatten)]
    state: StateJson<'a>,
}

#[derive(Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum StateJson<'a> {
    Up(UpJson<'a>),
    Down { silent_for_ms: Option<u64>, reason: &'a str },
}

#[derive(Serialize)]
struct UpJson<'a> {
    version: &'a str,
    pid: u32,
    uptime_ms: u64,
    epoch: u64,
    incarnation: String,
    data_bytes: u64,
    tables: u32,
    clients: u32,
    peers: Vec<PeerJson<'a>>,
    suspicions: Vec<SuspicionJson<'a>>,
    operations: u32,
    puts: u64,
    gets: u64,
    missed: u64,
    repaired: u64,
    lww_dropped: u64,
    speculation: SpeculationJson,
}

#[derive(Serialize)]
struct SpeculationJson {
    sent: u64,
    replaced: u64,
    won: u64,
    refused: u64,
}

#[derive(Serialize)]
struct PeerJson<'a> {
    node: &'a str,
    rtt_us: Option<u64>,
    since_ms: u64,
    silent_for_ms: Option<u64>,
    sent_packets: Option<u64>,
    lost_packets: Option<u64>,
    sent_bytes: Option<u64>,
    received_bytes: Option<u64>,
}

#[derive(Serialize)]
struct SuspicionJson<'a> {
    node: &'a str,
    state: &'static str,
    since_ms: u64,
    observers: Vec<&'a str>,
}

/// The document of `status`.
pub(super) fn of(status: &Status) -> StatusJson<'_> {
    let health = &status.health;
    let dcs = health.dcs.iter().map(|dc| DcJson {
        dc: dc.dc.as_str(),
        nodes: dc.nodes,
        up: dc.up,
        replication_factor: dc.replication_factor,
        partitions: dc.partitions,
        partitions_without_quorum: dc.without_quorum,
        partitions_without_all: dc.without_all,
    });
    StatusJson {
        cluster: status.view.topology.cluster().as_str(),
        epoch: status.view.topology.epoch().0,
        health: if health.problems.is_empty() { "ok" } else { "degraded" },
        problems: &health.problems,
        dcs: dcs.collect(),
        nodes: status.reports.iter().map(node).collect(),
    }
}

fn node(report: &NodeReport) -> NodeJson<'_> {
    let state = match &report.state {
        NodeState::Up(status) => StateJson::Up(up(status)),
        NodeState::Down { silent_for, reason } => {
            StateJson::Down { silent_for_ms: silent_for.map(millis), reason }
        }
    };
    NodeJson {
        node: report.node.as_str(),
        dc: report.dc.as_str(),
        rack: report.rack.as_str(),
        address: &report.address,
        owns_per_mille: report.owns_per_mille,
        state,
    }
}

fn up(status: &NodeStatus) -> UpJson<'_> {
    let peers = status.peers.iter().map(|peer| PeerJson {
        node: peer.node.as_str(),
        rtt_us: peer.rtt.map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
        since_ms: millis(peer.since),
        silent_for_ms: peer.path.map(|path| millis(path.silent_for)),
        sent_packets: peer.path.map(|path| path.sent_packets),
        lost_packets: peer.path.map(|path| path.lost_packets),
        sent_bytes: peer.path.map(|path| path.sent_bytes),
        received_bytes: peer.path.map(|path| path.received_bytes),
    });
    let suspicions = status.suspicions.iter().map(|suspicion| SuspicionJson {
        node: suspicion.node.as_str(),
        state: match suspicion.state {
            SuspicionState::Suspect => "suspect",
            SuspicionState::Convicted => "convicted",
        },
        since_ms: millis(suspicion.since),
        observers: suspicion.observers.iter().map(Name::as_str).collect(),
    });
    UpJson {
        version: &status.version,
        pid: status.pid,
        uptime_ms: millis(status.uptime),
        epoch: status.epoch.0,
        incarnation: status.incarnation.to_string(),
        data_bytes: status.data_bytes,
        tables: status.tables,
        clients: status.clients,
        peers: peers.collect(),
        suspicions: suspicions.collect(),
        operations: status.operations,
        puts: status.puts,
        gets: status.gets,
        missed: status.missed,
        repaired: status.repaired,
        lww_dropped: status.lww_dropped,
        speculation: SpeculationJson {
            sent: status.speculation.sent,
            replaced: status.speculation.replaced,
            won: status.speculation.won,
            refused: status.speculation.refused,
        },
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
