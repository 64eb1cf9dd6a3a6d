//! What operators ask: the state of the nodes, and the state of one key.

use std::sync::atomic::Ordering;
use std::time::Duration;

use atoll_protocol::ids::{Name, NodeIndex};
use atoll_protocol::put::Liveness;
use atoll_protocol::record::{CellBody, Record};
use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{
    Explanation, Failure, NodeReport, NodeState, NodeStatus, PathStatus, PeerReply, PeerRequest,
    PeerStatus, ReplicaReport, ReplicaState, Reply, SpeculationStatus, SuspicionStatus,
    VersionSummary,
};
use bytes::Bytes;
use futures_util::future::join_all;

use super::Service;
use super::check::check_key;
use crate::cluster::View;
use crate::coordinator::Target;
use crate::membership::Suspicion;
use crate::replica::Reach;

/// Observers of a suspicion that a status names: enough to see that it is several.
const OBSERVERS_SHOWN_MAX: usize = 8;

impl Service {
    /// Asks every node for its own words.
    pub(super) async fn status(&self, deadline: MonoTime) -> Reply {
        let view = self.parts.cluster.view();
        let reports = view.topology.node_indices().map(|node| self.report(&view, node, deadline));
        Reply::Status(join_all(reports).await.into_iter().flatten().collect())
    }

    async fn report(
        &self,
        view: &View,
        index: NodeIndex,
        deadline: MonoTime,
    ) -> Option<NodeReport> {
        let node = view.topology.node(index)?;
        let state = if index == self.parts.cluster.own() {
            NodeState::Up(self.own_status())
        } else {
            let request = PeerRequest::Status;
            match self.parts.peers.call(index, &request, Bytes::new(), deadline).await {
                Ok((PeerReply::Status(status), _)) => NodeState::Up(status),
                Ok(_) => self.down(index, "it answered something else"),
                Err(error) => self.down(index, &error.to_string()),
            }
        };
        Some(NodeReport {
            node: node.name.clone(),
            dc: view.dc_name(node.dc)?.clone(),
            rack: node.rack.clone(),
            address: node.address.clone().unwrap_or_default(),
            owns_per_mille: view.owns_per_mille(index),
            state,
        })
    }

    fn down(&self, index: NodeIndex, error: &str) -> NodeState {
        match self.parts.peers.state(index) {
            Some(state) if state.liveness == Liveness::Down => NodeState::Down {
                silent_for: state.ever_connected.then_some(state.since),
                reason: state.trouble,
            },
            _ => NodeState::Down { silent_for: None, reason: error.to_owned() },
        }
    }

    /// This node's own words.
    pub(super) fn own_status(&self) -> NodeStatus {
        let view = self.parts.cluster.view();
        let own = self.parts.cluster.own();
        let facts = &self.parts.facts;
        let statistics = self.parts.replica.statistics();
        let operations = self.parts.coordinator.operations().running();
        let counters = self.parts.coordinator.counters();
        let peers = view.topology.node_indices().filter(|&node| node != own);
        NodeStatus {
            version: facts.version.clone(),
            pid: facts.pid,
            uptime: self.parts.env.mono().since(facts.started),
            epoch: view.topology.epoch(),
            incarnation: self.parts.replica.incarnation(),
            data_bytes: statistics.table_bytes
                + statistics.value_file_bytes
                + statistics.memtable_bytes,
            tables: u32::try_from(statistics.tables).unwrap_or(u32::MAX),
            clients: self.clients.load(Ordering::Relaxed),
            peers: peers.filter_map(|node| self.peer_status(&view, node)).collect(),
            suspicions: self.suspicion_statuses(&view),
            operations: u32::try_from(operations).unwrap_or(u32::MAX),
            puts: counters.puts.load(Ordering::Relaxed),
            gets: counters.gets.load(Ordering::Relaxed),
            missed: counters.missed.load(Ordering::Relaxed),
            repaired: counters.repaired.load(Ordering::Relaxed),
            speculation: SpeculationStatus {
                sent: counters.speculated.load(Ordering::Relaxed),
                replaced: counters.replaced.load(Ordering::Relaxed),
                won: counters.won.load(Ordering::Relaxed),
                refused: counters.refused.load(Ordering::Relaxed),
            },
            lww_dropped: self.parts.replica.counters().lww_dropped.load(Ordering::Relaxed),
        }
    }

    fn peer_status(&self, view: &View, node: NodeIndex) -> Option<PeerStatus> {
        let state = self.parts.peers.state(node)?;
        let path = state.path.map(|path| PathStatus {
            silent_for: state.silent_for,
            sent_packets: path.sent_packets,
            lost_packets: path.lost_packets,
            sent_bytes: path.sent_bytes,
            received_bytes: path.received_bytes,
        });
        let (node, rtt, since) = (view.node_name(node)?.clone(), state.rtt, state.since);
        Some(PeerStatus { node, rtt, since, path })
    }

    fn suspicion_statuses(&self, view: &View) -> Vec<SuspicionStatus> {
        let (now, suspicions) = (self.parts.env.mono(), self.parts.detection.suspicions());
        let name = |node: NodeIndex| view.node_name(node).cloned();
        let status = |suspicion: &Suspicion| {
            let observers = suspicion.observers.iter().take(OBSERVERS_SHOWN_MAX);
            Some(SuspicionStatus {
                node: name(suspicion.node)?,
                state: suspicion.state,
                since: now.since(suspicion.since),
                observers: observers.filter_map(|&node| name(node)).collect(),
            })
        };
        suspicions.suspicions.iter().filter_map(status).collect()
    }

    /// The state of one key at every replica.
    pub(super) async fn explain(
        &self,
        keyspace: &Name,
        key: Bytes,
        deadline: MonoTime,
    ) -> Result<Reply, Failure> {
        check_key(&key)?;
        let target = Target::locate(&self.parts.cluster, keyspace, key)?;
        let replicas = target.replicas.nodes.iter();
        let reports = replicas.map(|&(node, _)| self.replica_report(&target, node, deadline));
        let reports = join_all(reports).await.into_iter();
        let costs = target.replicas.nodes.iter().map(|&(node, _)| self.read_cost(node));
        let mut replicas: Vec<_> =
            costs.zip(reports).filter_map(|(cost, report)| Some((cost, report?))).collect();
        number_local_order(&mut replicas);
        let replicas = replicas.into_iter().map(|(_, report)| report).collect();
        let fallbacks = target
            .fallbacks()
            .filter_map(|(node, _)| target.view.node_name(node).cloned())
            .collect();
        Ok(Reply::Explain(Explanation {
            token: target.stored.token().0,
            partition: target.partition.0,
            replicas,
            fallbacks,
        }))
    }

    fn read_cost(&self, node: NodeIndex) -> Duration {
        match node == self.parts.cluster.own() {
            true => Duration::ZERO,
            false => self.parts.peers.read_cost(node),
        }
    }

    async fn replica_report(
        &self,
        target: &Target,
        index: NodeIndex,
        deadline: MonoTime,
    ) -> Option<ReplicaReport> {
        let node = target.view.topology.node(index)?;
        let state = if index == self.parts.cluster.own() {
            match self.parts.replica.read(&target.stored, Reach::Disk) {
                Ok(record) => replica_state(record.as_ref()),
                Err(error) => ReplicaState::Unreachable { reason: error.to_string() },
            }
        } else {
            self.peer_replica_state(target, index, deadline).await
        };
        Some(ReplicaReport {
            node: node.name.clone(),
            dc: target.view.dc_name(node.dc)?.clone(),
            rack: node.rack.clone(),
            state,
            rtt: self.parts.peers.rtt(index),
            local_order: 0,
        })
    }

    async fn peer_replica_state(
        &self,
        target: &Target,
        index: NodeIndex,
        deadline: MonoTime,
    ) -> ReplicaState {
        let request = PeerRequest::Read {
            keyspace: target.keyspace.id,
            key: target.key.clone(),
            known: None,
        };
        let unreachable = |reason: String| ReplicaState::Unreachable { reason };
        match self.parts.peers.call(index, &request, Bytes::new(), deadline).await {
            Ok((PeerReply::Absent, _)) => ReplicaState::Absent,
            Ok((PeerReply::Record, payload)) => match Record::decode(payload) {
                Ok(record) => replica_state(Some(&record)),
                Err(error) => unreachable(error.to_string()),
            },
            Ok((PeerReply::Failed(failure), _)) => unreachable(failure.to_string()),
            Ok(_) => unreachable("it answered something else".to_owned()),
            Err(error) => unreachable(error.to_string()),
        }
    }
}

fn replica_state(record: Option<&Record>) -> ReplicaState {
    let Some(record) = record else {
        return ReplicaState::Absent;
    };
    let versions = record.cells().map(|(dot, cell)| VersionSummary {
        dot,
        timestamp: cell.timestamp,
        length: match &cell.body {
            CellBody::Value(value) => Some(u32::try_from(value.len()).unwrap_or(u32::MAX)),
            CellBody::Tombstone => None,
        },
    });
    ReplicaState::Present { versions: versions.collect(), digest: record.digest() }
}

/// Numbers the replicas of each datacenter in the order in which a LOCAL_QUORUM get asked at this node would ask
/// them: itself, then by what a read costs; unreachable ones last.
fn number_local_order(replicas: &mut [(Duration, ReplicaReport)]) {
    let mut order: Vec<usize> = (0..replicas.len()).collect();
    order.sort_by_key(|&index| {
        replicas.get(index).map(|(cost, report)| {
            let is_unreachable = matches!(report.state, ReplicaState::Unreachable { .. });
            (is_unreachable, *cost)
        })
    });
    let mut next_in_dc = std::collections::BTreeMap::<Name, u16>::new();
    for index in order {
        let Some((_, report)) = replicas.get_mut(index) else {
            continue;
        };
        let next = next_in_dc.entry(report.dc.clone()).or_default();
        report.local_order = *next;
        *next += 1;
    }
}
