//! Anti-entropy: replicas compare what they hold, always, and mend what differs.
//!
//! ```text
//! per peer: keep_mending ─▶ roots ─differ─▶ leaves ─differ─▶ keys and digests ─differ─▶ records, both ways
//!                ▲                            (exchange.rs asks, serve.rs answers)
//!                └── owed: puts that the peer missed
//! ```
//!
//! 1. One task per peer. As soon as the peer is connected, all shared partitions are compared once; from then on a
//!    round goes on steadily, so that every partition is compared once per cycle.
//! 2. What the peer is known to have missed ([`Repair::owe`]) is compared soon, without waiting for its turn.
//! 3. Within a datacenter every two replicas compare; of two datacenters one replica each (`plan.rs`).
//! 4. Whatever differs is joined: a record is shipped if the other side lacks something of it. Mending rests as long as it
//!    works, and longer beside requests (`foreground.rs`).
//!
//! 5. In 24 rounds every tree is built anew once, and compared with the one that was kept up to date (`verify.rs`).
//! 6. What one side has purged is not mended but forgotten by the other side, too (`purged.rs`).
//! 7. What this node has lost to damage is gathered from all other replicas (`gather.rs`), for `src/scrub`.
//!
//! Invariants
//! - Mending only ever joins records; it neither mints nor drops.
//! - At most [`EXCHANGES_MAX`] partitions are mended at once on this node's initiative, and one exchange at a time
//!   mends a partition (`claims.rs`).
//! - A replica that cannot read a leaf is not compared: damage is never "absent".
//!
//! Source: Dynamo, SOSP 2007, §4.7; dirty leaves follow Riak's hash trees.

mod exchange;
mod gather;
mod rounds;
mod reconcile;
mod purged;
mod serve;
mod verify;
mod trees;
mod ranges;
mod plan;
mod owed;
mod due;
mod progress;
mod claims;
mod records;
mod trouble;
mod pace;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::merkle::ReplicaSets;
use atoll_protocol::put::Liveness;
use atoll_protocol::time::MonoTime;
use atoll_protocol::token::Partition;
use atoll_protocol::wire::{RepairCommand, RepairStatus};
use tokio::sync::Semaphore;

use crate::cluster::Cluster;
use crate::env::Env;
use crate::frontiers::FrontierStore;
use crate::net::Peers;
use crate::replica::Replica;
use crate::tasks::Tasks;

use claims::Claims;
use owed::Owed;
use pace::Waits;
use progress::Progress;
use trees::Trees;

pub use gather::Gathered;
pub use plan::Share;
pub use ranges::{runs_of, tokens_of};
pub use records::RecordBatch;

/// Partitions that one node mends at once on its own initiative.
const EXCHANGES_MAX: usize = 2;

/// Longest sleep of a task, so that it notices what nobody tells it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How anti-entropy is paced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepairPacing {
    /// In this time every partition is compared once.
    pub cycle: Duration,
}

/// Counters of one node's anti-entropy, since it started, of comparisons that it began.
#[derive(Debug, Default)]
pub struct RepairCounters {
    /// Partitions compared by their roots.
    pub compared: AtomicU64,
    /// Partitions that differed.
    pub differed: AtomicU64,
    /// Records fetched because they differed or were missing here, but for those that were purged here before.
    pub fetched: AtomicU64,
    /// Records sent because they differed or were missing there.
    pub sent: AtomicU64,
    /// Bytes on the wire in both directions, records included.
    pub wire_bytes: AtomicU64,
    /// Comparisons that failed.
    pub failed: AtomicU64,
    /// Trees that were not those of what is stored.
    pub wrong_trees: AtomicU64,
}

/// Anti-entropy of one node. Cheap to clone.
#[derive(Clone)]
pub struct Repair {
    parts: Arc<Parts>,
}

struct Parts {
    env: Env,
    cluster: Arc<Cluster>,
    peers: Arc<Peers>,
    replica: Replica,
    frontiers: FrontierStore,
    pacing: RepairPacing,
    trees: Trees,
    claims: Claims,
    owed: Owed,
    progress: Progress,
    exchanges: Semaphore,
    counters: RepairCounters,
    waits: Waits,
}

/// What anti-entropy works with.
pub struct Surroundings {
    /// Time and chance.
    pub env: Env,
    /// The cluster as this node knows it.
    pub cluster: Arc<Cluster>,
    /// The other nodes.
    pub peers: Arc<Peers>,
    /// This node's replica.
    pub replica: Replica,
    /// Up to where it has seen everything.
    pub frontiers: FrontierStore,
}

impl Repair {
    /// Anti-entropy that has not begun.
    pub fn new(surroundings: Surroundings, pacing: RepairPacing) -> Self {
        let Surroundings { env, cluster, peers, replica, frontiers } = surroundings;
        let view = cluster.view();
        let parts = Parts {
            trees: Trees::new(view.topology.partitions().count()),
            claims: Claims::default(),
            owed: Owed::new(view.topology.nodes().len()),
            progress: Progress::new(view.topology.nodes().len()),
            exchanges: Semaphore::new(EXCHANGES_MAX),
            counters: RepairCounters::default(),
            waits: Waits::new(view.topology.nodes().len()),
            env,
            cluster,
            peers,
            replica,
            frontiers,
            pacing,
        };
        Self { parts: Arc::new(parts) }
    }

    /// Starts one task per peer; they end with `tasks`.
    pub fn start(&self, tasks: &Tasks) {
        let view = self.parts.cluster.view();
        for peer in view.topology.node_indices().filter(|&peer| peer != self.parts.cluster.own()) {
            let repair = self.clone();
            tasks.spawn_until_stopped("repair", async move { repair.keep_mending(peer).await });
        }
    }

    /// Notes that `peer` missed a put of `partition`: the two are compared soon, or as soon as it is back.
    pub fn owe(&self, peer: NodeIndex, sets: ReplicaSets, partition: Partition) {
        self.parts.owed.add(peer, Share { sets, partition });
    }

    /// Has all that this node and `peer` share compared soon, or as soon as it is back.
    pub fn owe_everything(&self, peer: NodeIndex) {
        let shares = plan::shared(&self.parts.cluster.view(), self.parts.cluster.own(), peer);
        shares.into_iter().for_each(|share| self.parts.owed.add(peer, share));
    }

    /// Has comparisons with `peer` wait until then: what it missed is on its way.
    pub fn defer(&self, peer: NodeIndex, until: MonoTime) {
        self.parts.owed.defer(peer, until);
    }

    fn is_deferred(&self, peer: NodeIndex) -> bool {
        self.parts.env.mono() < self.parts.owed.deferred_until(peer)
    }

    /// Carries out an operator's command, and tells how it goes.
    pub fn command(&self, command: RepairCommand) -> RepairStatus {
        match command {
            RepairCommand::Status => {}
            RepairCommand::Start => self.parts.progress.start(),
            RepairCommand::Pause => self.parts.progress.pause(),
        }
        let parts = &self.parts;
        let view = parts.cluster.view();
        let peers = view.topology.node_indices().filter(|&peer| {
            peer != parts.cluster.own() && parts.peers.liveness(peer) == Liveness::Alive
        });
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RepairStatus {
            paused: parts.progress.is_paused(),
            cycle: parts.pacing.cycle,
            pending: parts.progress.pending() + parts.owed.len(),
            last_round: parts.progress.last_round(peers, parts.env.mono()),
            compared: read(&parts.counters.compared),
            differed: read(&parts.counters.differed),
            fetched: read(&parts.counters.fetched),
            sent: read(&parts.counters.sent),
            wire_bytes: read(&parts.counters.wire_bytes),
            failed: read(&parts.counters.failed),
            wrong_trees: read(&parts.counters.wrong_trees),
        }
    }

    /// Counters since the start.
    pub fn counters(&self) -> &RepairCounters {
        &self.parts.counters
    }
}

fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}
