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
//!    works, and longer where requests suffer (`foreground.rs`).
//!
//! 5. In 24 rounds every tree is built anew once, and compared with the one that was kept up to date (`verify.rs`).
//! 6. What this node has lost to damage is gathered from all other replicas (`gather.rs`), for `src/scrub`.
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

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::merkle::ReplicaSets;
use atoll_protocol::put::Liveness;
use atoll_protocol::time::MonoTime;
use atoll_protocol::token::Partition;
use atoll_protocol::wire::{ROOTS_MAX, RepairCommand, RepairStatus};
use tokio::sync::Semaphore;

use crate::cluster::Cluster;
use crate::env::Env;
use crate::net::Peers;
use crate::replica::Replica;
use crate::tasks::Tasks;

use claims::Claims;
use due::Due;
use owed::Owed;
use plan::Share;
use progress::Progress;
use trees::Trees;
use trouble::Trouble;

pub use gather::Gathered;
pub use records::RecordBatch;

/// Partitions that one node mends at once on its own initiative.
const EXCHANGES_MAX: usize = 2;

/// Partitions compared in one step of a round: 512 bytes of roots. After a start the step hashes all of them: at a million
/// keys a second, a deadline of 5 s is enough for 80 000 keys in each.
const STEP_PARTITIONS: usize = 64;

const _: () = assert!(STEP_PARTITIONS <= ROOTS_MAX);

/// How long a missed put may still be on its way: comparing at once would ship what is about to arrive.
const OWED_DELAY: Duration = Duration::from_millis(500);

/// Pause before partitions are tried again that were busy.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Pause before partitions are tried again that could not be compared: a damaged one stays so, and must not keep others.
const LATER_AFTER: Duration = Duration::from_secs(10);

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
    /// Records fetched because they differed or were missing here.
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

/// The steady round with one peer.
struct Round {
    left: Vec<Share>,
    number: u32,
    began: MonoTime,
    /// Between two steps, so that all of them fill a cycle.
    pause: Duration,
    next_step: MonoTime,
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
    pacing: RepairPacing,
    trees: Trees,
    claims: Claims,
    owed: Owed,
    progress: Progress,
    exchanges: Semaphore,
    counters: RepairCounters,
}

impl Repair {
    /// Anti-entropy that has not begun.
    pub fn new(
        env: Env,
        cluster: Arc<Cluster>,
        peers: Arc<Peers>,
        replica: Replica,
        pacing: RepairPacing,
    ) -> Self {
        let view = cluster.view();
        let parts = Parts {
            trees: Trees::new(view.topology.partitions().count()),
            claims: Claims::default(),
            owed: Owed::new(view.topology.nodes().len()),
            progress: Progress::new(view.topology.nodes().len()),
            exchanges: Semaphore::new(EXCHANGES_MAX),
            counters: RepairCounters::default(),
            env,
            cluster,
            peers,
            replica,
            pacing,
        };
        Self { parts: Arc::new(parts) }
    }

    /// Starts one task per peer; they end with `tasks`.
    pub fn start(&self, tasks: &Tasks) {
        let view = self.parts.cluster.view();
        for peer in view.topology.node_indices().filter(|&peer| peer != self.parts.cluster.own()) {
            let (repair, tasks) = (self.clone(), tasks.clone());
            tasks.clone().spawn("repair", async move {
                tokio::select! {
                    biased;
                    () = tasks.cancelled() => {}
                    () = repair.keep_mending(peer) => {}
                }
            });
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

    async fn keep_mending(&self, peer: NodeIndex) {
        let env = &self.parts.env;
        loop {
            if self.parts.peers.liveness(peer) == Liveness::Alive {
                self.mend_while_connected(peer).await;
            }
            let changed = self.parts.peers.changed(peer);
            // Only a wake-up; what is true is asked again.
            let _ = env.until(env.mono().after(LOOK_EVERY), changed).await;
        }
    }

    /// Compares all that is shared with `peer` at once, then steadily; returns when the connection is gone.
    async fn mend_while_connected(&self, peer: NodeIndex) {
        let (env, progress) = (&self.parts.env, &self.parts.progress);
        let mut due = Due::default();
        // When the comparison of everything began that is under way, and the number of the start that asked for it.
        let (mut everything_began, mut starts) = (None, None);
        let now = env.mono();
        let pause = Duration::ZERO;
        let mut round = Round { left: Vec::new(), number: 0, began: now, pause, next_step: now };
        while self.parts.peers.liveness(peer) == Liveness::Alive {
            if starts != Some(progress.starts()) {
                starts = Some(progress.starts());
                due.now.extend(self.shares_with(peer));
                everything_began = Some(env.mono());
            }
            due.now.extend(self.parts.owed.take(peer));
            due.wake(env.mono());
            progress.note_pending(peer, due.len());
            if progress.is_paused() || self.is_deferred(peer) {
                env.sleep(LOOK_EVERY).await;
            } else if !due.now.is_empty() {
                let shares = std::mem::take(&mut due.now);
                self.compare_all(peer, shares, &mut due).await;
                if !due.now.is_empty() {
                    env.sleep(env.jitter(AGAIN_AFTER / 2)).await;
                }
            } else if let Some(began) = everything_began.take() {
                progress.complete(peer, began);
            } else if env.mono() >= round.next_step {
                self.take_step(peer, &mut round, &mut due).await;
            } else {
                let wake = round.next_step.min(env.mono().after(LOOK_EVERY));
                if env.until(wake, self.parts.owed.added(peer)).await.is_some() {
                    env.sleep(OWED_DELAY).await;
                }
            }
        }
        // What is not done is owed still: not all of it is compared by itself when the peer is back.
        due.into_shares().for_each(|share| self.parts.owed.add(peer, share));
        progress.note_pending(peer, 0);
    }

    /// Compares the next partitions of the steady round.
    async fn take_step(&self, peer: NodeIndex, round: &mut Round, due: &mut Due) {
        let env = &self.parts.env;
        if round.left.is_empty() {
            (round.left, round.began) = (self.shares_with(peer), env.mono());
            round.number += 1;
            let steps = round.left.len().div_ceil(STEP_PARTITIONS).max(1);
            round.pause = self.parts.pacing.cycle / u32::try_from(steps).unwrap_or(u32::MAX);
        }
        let rest = round.left.split_off(round.left.len().min(STEP_PARTITIONS));
        let step = std::mem::replace(&mut round.left, rest);
        self.verify_trees(&step, round.number).await;
        self.compare_all(peer, step, due).await;
        if round.left.is_empty() {
            self.parts.progress.complete(peer, round.began);
        }
        // Between two thirds and four thirds of it.
        round.next_step = env.mono().after(env.jitter(round.pause * 2 / 3));
    }

    /// What this node compares with `peer` on its own initiative.
    fn shares_with(&self, peer: NodeIndex) -> Vec<Share> {
        let cluster = &self.parts.cluster;
        let own = cluster.own();
        let is_alive = |node| node == own || self.parts.peers.liveness(node) == Liveness::Alive;
        plan::shares(&cluster.view(), own, peer, is_alive)
    }

    /// Compares `shares` with `peer` and mends what differs; what has to be tried again becomes due.
    async fn compare_all(&self, peer: NodeIndex, shares: Vec<Share>, due: &mut Due) {
        let mut sorted = shares;
        sorted.sort_unstable();
        sorted.dedup();
        for group in sorted.chunk_by(|left, right| left.sets == right.sets) {
            for step in group.chunks(STEP_PARTITIONS) {
                let Some(sets) = step.first().map(|share| share.sets) else { continue };
                let partitions: Vec<Partition> = step.iter().map(|share| share.partition).collect();
                match self.differing(peer, sets, partitions).await {
                    Ok(differing) => self.mend_all(peer, sets, differing, due).await,
                    Err(trouble) => self.put_off(peer, step, &trouble, due),
                }
            }
        }
    }

    async fn mend_all(
        &self,
        peer: NodeIndex,
        sets: ReplicaSets,
        partitions: Vec<Partition>,
        due: &mut Due,
    ) {
        for partition in partitions {
            let share = Share { sets, partition };
            if self.parts.progress.is_paused() {
                due.now.push(share);
                continue;
            }
            let Ok(_turn) = self.parts.exchanges.acquire().await else { return };
            count(&self.parts.counters.differed, 1);
            let began = self.parts.env.mono();
            if let Err(trouble) = self.mend(peer, share).await {
                self.put_off(peer, &[share], &trouble, due);
            }
            self.parts.replica.yield_to_requests(began).await;
        }
    }

    /// Has `shares` tried again: soon, or after a while if something failed that may last, so that the others go on.
    fn put_off(&self, peer: NodeIndex, shares: &[Share], trouble: &Trouble, due: &mut Due) {
        match trouble {
            Trouble::Busy | Trouble::Gone => due.now.extend(shares),
            Trouble::Failed(detail) => {
                count(&self.parts.counters.failed, 1);
                tracing::warn!(?peer, detail, "repair failed; trying again later");
                due.later.extend(shares);
                due.later_at = self.parts.env.mono().after(LATER_AFTER);
            }
        }
    }
}

fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}
