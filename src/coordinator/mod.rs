//! The coordinator: runs client operations. It carries what the state machines of `atoll-protocol` decide.
//!
//! ```text
//! service ─▶ Coordinator::put ─▶ PutMachine ─effects─▶ own replica, peers
//!                 ▲                   ▲
//!                 └── answer          └── Operations ◀─ Applied notices, lost peers
//! ```
//!
//! 1. A request takes its view of the cluster once ([`Target::locate`]).
//! 2. The machine admits it or fails it before anything is written.
//! 3. An operation is an entry, not a task: whoever brings an answer moves it on, effects out, completions in, until the
//!    machine is closed (`running_put.rs`, `running_get.rs`).
//!
//! Invariants
//! - An operation is owned here, not by the client's connection: a client that goes away loses only its
//!   answer.
//! - The answer is given exactly once.
//! - Operations under way are bounded by [`OPERATIONS_MAX`].

mod budget;
mod get;
mod operations;
mod put;
mod laggard;
mod running_get;
mod running_put;
mod session;
mod speculate;
mod target;
mod wakes;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atoll_protocol::ids::{DcIndex, NodeIndex};
use atoll_protocol::limits::Limit;
use atoll_protocol::put::{Liveness, Replica as ReplicaSlot};
use atoll_protocol::quorum::{Level, QuorumSpec, Shortfall};
use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{Failure, Invalid};

use atoll_seeded_bug::{Mutant, seeded_bug};

use crate::cluster::{Cluster, View};
use crate::env::Env;
use crate::handoff::Handoff;
use crate::net::Peers;
use crate::replica::Replica;
use crate::tasks::Tasks;

use budget::HedgeBudget;
use laggard::Laggards;
use wakes::Wakes;

pub use budget::{GETS_PER_READ, IN_ADVANCE};
pub use get::{Get, GetAnswer};
pub use operations::{OPERATIONS_MAX, Operations};
pub use put::Put;
pub use target::Target;

/// Slack on top of 5/4 of the round-trip time before a slow replica is backed up or a relay is doubted: ten syncs of a
/// busy disk and a scheduling hiccup.
const PATIENCE: Duration = Duration::from_millis(50);

/// Gives an operation's result to whoever asked; called exactly once.
pub type Answer<T> = Box<dyn FnOnce(Result<T, Failure>) + Send>;

/// Counters of the operations that one node coordinated, since it started.
#[derive(Debug, Default)]
pub struct CoordinatorCounters {
    /// Puts and deletes.
    pub puts: AtomicU64,
    /// Gets.
    pub gets: AtomicU64,
    /// Replicas that missed a put.
    pub missed: AtomicU64,
    /// Stale replicas that gets found and repaired.
    pub repaired: AtomicU64,
    /// Speculative reads that were paid from the budget.
    pub speculated: AtomicU64,
    /// Reads beside replicas that had fallen silent: they cost nothing.
    pub replaced: AtomicU64,
    /// Speculative reads that answered while a replica asked before still had not.
    pub won: AtomicU64,
    /// Times that the budget had too little left.
    pub refused: AtomicU64,
}

/// The coordinator of one node. Cheap to clone.
#[derive(Clone)]
pub struct Coordinator {
    parts: Arc<Parts>,
}

struct Parts {
    env: Env,
    cluster: Arc<Cluster>,
    peers: Arc<Peers>,
    replica: Replica,
    handoff: Handoff,
    operations: Arc<Operations>,
    counters: CoordinatorCounters,
    hedges: HedgeBudget,
    laggards: Laggards,
    tasks: Tasks,
    wakes: Arc<Wakes>,
}

/// What a coordinator works with.
pub struct Surroundings {
    /// Time and chance.
    pub env: Env,
    /// The cluster as this node knows it.
    pub cluster: Arc<Cluster>,
    /// The other nodes.
    pub peers: Arc<Peers>,
    /// This node's replica.
    pub replica: Replica,
    /// Told who missed what.
    pub handoff: Handoff,
    /// Runs what waits for the disk, and repairs.
    pub tasks: Tasks,
}

impl Coordinator {
    /// A coordinator without operations.
    pub fn new(surroundings: Surroundings) -> Self {
        let Surroundings { env, cluster, peers, replica, handoff, tasks } = surroundings;
        let is_reused = seeded_bug(Mutant::OperationIdsRestart);
        let first_id = if is_reused { 1 } else { env.random_u64() };
        let laggards = Laggards::new(cluster.view().topology.nodes().len());
        let wakes = Arc::new(Wakes::default());
        tasks.spawn_until_stopped("operation-wakes", wakes.clone().run(env.clone()));
        let parts = Parts {
            env,
            cluster,
            peers,
            replica,
            handoff,
            operations: Arc::new(Operations::new(first_id)),
            counters: CoordinatorCounters::default(),
            hedges: HedgeBudget::new(),
            laggards,
            tasks,
            wakes,
        };
        Self { parts: Arc::new(parts) }
    }

    /// The operations under way.
    pub fn operations(&self) -> &Operations {
        &self.parts.operations
    }

    /// Counters since the start.
    pub fn counters(&self) -> &CoordinatorCounters {
        &self.parts.counters
    }

    /// The replicas of a target as this node sees them now: itself first, then by datacenter, the nearest first, within
    /// one by what another read would cost; those that have fallen silent last.
    fn nearest_first(&self, target: &Target) -> Vec<ReplicaSlot> {
        let own = self.parts.cluster.own();
        let own_dc = self.parts.cluster.own_dc();
        let peers = &self.parts.peers;
        let nodes = &target.replicas.nodes;
        let to_dc = |dc: DcIndex| {
            let in_dc = nodes.iter().filter(|(node, its)| *its == dc && !peers.is_quiet(*node));
            in_dc.filter_map(|(node, _)| peers.rtt(*node)).min().unwrap_or(Duration::MAX)
        };
        let distances: Vec<_> = target.view.topology.dc_indices().map(to_dc).collect();
        let rank = |&(node, dc): &(NodeIndex, DcIndex)| {
            let distance = distances.get(usize::from(dc.0)).copied().unwrap_or(Duration::MAX);
            let is_quiet = node != own && peers.is_quiet(node);
            (is_quiet, node != own, dc != own_dc, distance, dc, peers.read_cost(node))
        };
        let mut slots: Vec<_> =
            nodes.iter().map(|slot| (rank(slot), self.slot(slot.0, slot.1))).collect();
        slots.sort_by_key(|(rank, _)| *rank);
        slots.into_iter().map(|(_, slot)| slot).collect()
    }

    /// The replicas of a target in preference order, those that lag or have fallen silent last: the first of a remote
    /// datacenter relays. And which of them lag.
    fn preference_list(&self, target: &Target) -> (Vec<ReplicaSlot>, Vec<NodeIndex>) {
        let nodes = target.replicas.nodes.iter();
        let mut slots: Vec<ReplicaSlot> = nodes.map(|&(node, dc)| self.slot(node, dc)).collect();
        let (own, peers) = (self.parts.cluster.own(), &self.parts.peers);
        let laggards = self.laggards(&slots);
        slots.sort_by_key(|&ReplicaSlot { node, .. }| {
            (node != own && peers.is_quiet(node), laggards.contains(&node))
        });
        (slots, laggards)
    }

    /// Those of `slots` that answer much later than their neighbours.
    fn laggards(&self, slots: &[ReplicaSlot]) -> Vec<NodeIndex> {
        let own = self.parts.cluster.own();
        let others = slots.iter().filter(|slot| slot.node != own);
        let nodes: Vec<_> =
            others.map(|slot| (slot.node, slot.dc, self.parts.peers.rtt(slot.node))).collect();
        self.parts.laggards.among(&nodes, self.parts.env.mono())
    }

    fn slot(&self, node: NodeIndex, dc: DcIndex) -> ReplicaSlot {
        let liveness = if node == self.parts.cluster.own() {
            Liveness::Alive
        } else {
            self.parts.peers.liveness(node)
        };
        ReplicaSlot { node, dc, liveness }
    }

    /// How long to wait for the slowest of `slots` before doubting it, `laggards` aside; at most half of what is left, so
    /// that there is time for another one.
    fn patience(
        &self,
        slots: &[ReplicaSlot],
        laggards: &[NodeIndex],
        deadline: MonoTime,
    ) -> Duration {
        let waited_for = slots.iter().filter(|slot| !laggards.contains(&slot.node));
        let slowest = waited_for.filter_map(|slot| self.parts.peers.rtt(slot.node)).max();
        let left = deadline.since(self.parts.env.mono());
        Self::patience_with(slowest).min(left / 2)
    }

    /// How long to wait for a replica at this distance before doubting it.
    fn patience_with(rtt: Option<Duration>) -> Duration {
        PATIENCE + rtt.unwrap_or_default() * 5 / 4
    }

    fn count(counter: &AtomicU64) {
        Self::add(counter, 1);
    }

    fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

/// What `level` demands of a target, asked in datacenter `local`.
fn quorum_spec(target: &Target, level: Level, local: DcIndex) -> Result<QuorumSpec, Failure> {
    QuorumSpec::new(level, &target.replicas.counts, local)
        .map_err(|error| Invalid::Level { detail: error.to_string() }.into())
}

/// The failure of an operation that was not admitted.
fn unavailable(view: &View, level: Level, shortfall: Shortfall) -> Failure {
    Failure::Unavailable {
        level,
        dc: shortfall.dc.and_then(|dc| view.dc_name(dc).cloned()),
        needed: shortfall.needed,
        alive: shortfall.have,
    }
}

fn overloaded(what: Limit) -> Failure {
    Failure::Overloaded { what, retry_after: crate::replica::STRIPE_RETRY_AFTER }
}
