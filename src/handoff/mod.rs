//! Hinted handoff: who missed a put gets it as soon as it is back.
//!
//! ```text
//! coordinator ─missed─▶ writer.rs ─batch, fsync─▶ store.rs (an engine of its own)
//!                          ▲                          │ oldest first
//!                          └── delivered ── deliver.rs ◀┘ ─digests, records─▶ take.rs ─join, fsync─▶ Held
//! ```
//!
//! 1. A hint is a target and a key, nothing more: its holder replicates the key, and reads the newest record when it
//!    delivers. However often a key is written while its target is away, there is one hint.
//! 2. One task writes: what has queued up becomes one batch of the hint store.
//! 3. One task per target offers a page at a time, oldest first, as keys and digests, and delivers what the target then asks
//!    for: what it has from another holder, or from a later put, is not shipped (`take.rs`). Between two messages it rests as
//!    long as they took, and longer beside requests of either side (`foreground.rs`).
//! 4. A fallback of a sloppy put does not replicate the key: its hint has the record ([`Handoff::hold`]).
//! 5. What cannot be hinted (no room, a disk that refuses, a replica that refused) and what ends otherwise than by being
//!    delivered (too old, dropped) is owed: [`Repair::owe`] has the partition compared. A start compares everything.
//! 6. While hints for a peer are being delivered, anti-entropy with it waits, so that nothing is shipped twice.
//!
//! Invariants
//! - A hint ends exactly once: delivered, superseded, expired or dropped; the latter two owe their partition first.
//! - A hint that was added again while it was being delivered stays.
//! - Hints for one target are bounded in bytes and age.
//!
//! Source: DeCandia et al., "Dynamo", SOSP 2007, §4.6; hints without values follow from every coordinator being a replica
//! (docs/decisions/0010).

mod deliver;
mod take;
mod writer;
mod backlog;
mod store;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::record::Record;
use atoll_protocol::token::Partition;
use atoll_protocol::wire::{HintsCommand, HintsStatus, HintsWaiting};
use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::cluster::Cluster;
use crate::env::Env;
use crate::net::Peers;
use crate::repair::Repair;
use crate::replica::{Replica, StoredKey};
use crate::tasks::Tasks;

use backlog::Backlogs;
use take::{Awaited, TAKEN_AT_ONCE};
use writer::Change;

pub use store::HintStore;

/// Changes that wait for the writer: at 40 bytes each a few hundred KiB, and some seconds of misses.
const CHANGES_MAX: usize = 16_384;

/// Bounds of what a node keeps for one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandoffLimits {
    /// Hints for one target may take this many bytes, before compression.
    pub bytes_max: u64,
    /// A hint that is older is not delivered any more.
    pub age_max: Duration,
}

/// Counters of one node's hints, since it started.
#[derive(Debug, Default)]
pub struct HandoffCounters {
    /// Hints written.
    pub written: AtomicU64,
    /// Hints whose target holds the record now.
    pub delivered: AtomicU64,
    /// Hints that no longer applied.
    pub superseded: AtomicU64,
    /// Hints that grew too old.
    pub expired: AtomicU64,
    /// Hints that were dropped.
    pub dropped: AtomicU64,
    /// Misses that became no hint.
    pub overflowed: AtomicU64,
}

/// The hints of one node. Cheap to clone.
#[derive(Clone)]
pub struct Handoff {
    parts: Arc<Parts>,
}

struct Parts {
    env: Env,
    cluster: Arc<Cluster>,
    peers: Arc<Peers>,
    replica: Replica,
    repair: Repair,
    store: HintStore,
    limits: HandoffLimits,
    changes: mpsc::Sender<Change>,
    backlogs: Backlogs,
    counters: HandoffCounters,
    takers: Semaphore,
    awaited: Awaited,
}

/// What handoff works with.
pub struct Surroundings {
    /// Time and chance.
    pub env: Env,
    /// The cluster as this node knows it.
    pub cluster: Arc<Cluster>,
    /// The other nodes.
    pub peers: Arc<Peers>,
    /// This node's replica.
    pub replica: Replica,
    /// Compares what is not hinted.
    pub repair: Repair,
    /// Where hints are kept.
    pub store: HintStore,
    /// How many, and for how long.
    pub limits: HandoffLimits,
}

impl Handoff {
    /// Starts the writer, which ends with `storage_tasks`, and one deliverer per peer, which end with `tasks`.
    pub fn start(surroundings: Surroundings, tasks: &Tasks, storage_tasks: &Tasks) -> Self {
        let Surroundings { env, cluster, peers, replica, repair, store, limits } = surroundings;
        let (changes, queue) = mpsc::channel(CHANGES_MAX);
        let own = cluster.own();
        let nodes: Vec<NodeIndex> = cluster.view().topology.node_indices().collect();
        let backlogs = Backlogs::new(nodes.len(), store.found());
        let parts = Parts {
            env,
            cluster,
            peers,
            replica,
            repair,
            store,
            limits,
            changes,
            backlogs,
            counters: HandoffCounters::default(),
            takers: Semaphore::new(TAKEN_AT_ONCE),
            awaited: Awaited::default(),
        };
        let handoff = Self { parts: Arc::new(parts) };
        storage_tasks
            .spawn("hint-writer", handoff.clone().keep_writing(queue, storage_tasks.clone()));
        for target in nodes.into_iter().filter(|&node| node != own) {
            tasks.spawn_until_stopped("handoff", handoff.clone().keep_delivering(target));
        }
        handoff
    }

    /// Notes that `target` missed the record of `key`, which this replica holds durably.
    pub fn miss(&self, target: NodeIndex, key: &StoredKey) {
        let change = Change::Add { target, key: key.clone() };
        if self.parts.changes.try_send(change).is_err() {
            count(&self.parts.counters.overflowed, 1);
            self.owe(target, key);
        }
    }

    /// Keeps `record` for `target`, which is away; resolves once it is durable.
    ///
    /// # Errors
    /// Why it is not kept, in words.
    pub async fn hold(
        &self,
        target: NodeIndex,
        key: &StoredKey,
        record: Bytes,
    ) -> Result<(), String> {
        Record::decode(record.clone()).map_err(|error| error.to_string())?;
        if !self.replicates(target, key) {
            return Err("it is not for a replica of its key".to_owned());
        }
        let (held, durable) = oneshot::channel();
        let change = Change::Hold { target, key: key.clone(), record, held };
        let queued = self.parts.changes.try_send(change);
        if seeded_bug(Mutant::HeldBeforeWritten) {
            return Ok(());
        }
        queued.map_err(|_| "too many wait to be kept".to_owned())?;
        durable.await.map_err(|_| "there is no room, or the disk refuses".to_owned())
    }

    /// Has `target` compared with this node where `key` is, without a hint. Only replicas of the key have something to
    /// compare: what a fallback kept is left to them.
    pub fn owe(&self, target: NodeIndex, key: &StoredKey) {
        if !self.replicates(self.parts.cluster.own(), key) {
            return;
        }
        let sets = StoredKey::keyspace_in(key.as_bytes())
            .and_then(|keyspace| self.parts.cluster.view().replica_sets_by_id(keyspace));
        if let Some(sets) = sets {
            self.parts.repair.owe(target, sets, self.partition(key));
        }
    }

    /// Carries out an operator's command, and tells how it goes.
    pub async fn command(&self, command: HintsCommand) -> HintsStatus {
        let view = self.parts.cluster.view();
        match command {
            HintsCommand::List => {}
            HintsCommand::Replay => self.parts.backlogs.wake_all(),
            HintsCommand::Drop { target } => {
                let is_meant = |index: &NodeIndex| {
                    let node = view.topology.node(*index);
                    node.is_some_and(|node| target.as_ref().is_none_or(|name| *name == node.name))
                };
                for index in view.topology.node_indices().filter(is_meant) {
                    self.drop_all(index).await;
                }
            }
        }
        self.status()
    }

    /// Counters since the start.
    pub fn counters(&self) -> &HandoffCounters {
        &self.parts.counters
    }

    /// Hints that were found when the store was opened, for all targets.
    pub fn found(&self) -> u64 {
        self.parts.store.found().values().map(|waiting| waiting.hints).sum()
    }

    /// Hints that wait, for all targets.
    pub fn waiting(&self) -> u64 {
        self.parts.backlogs.all().map(|(_, backlog)| backlog.waiting().hints).sum()
    }

    fn status(&self) -> HintsStatus {
        let (parts, view) = (&self.parts, self.parts.cluster.view());
        let now = parts.env.wall();
        let waiting = parts.backlogs.all().filter_map(|(target, backlog)| {
            let waiting = backlog.waiting();
            let target = view.node_name(target)?.clone();
            let oldest = waiting.oldest.map_or(Duration::ZERO, |since| store::age(since, now));
            let (hints, bytes) = (waiting.hints, waiting.bytes);
            (hints > 0).then_some(HintsWaiting { target, hints, bytes, oldest })
        });
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HintsStatus {
            waiting: waiting.collect(),
            bytes_max: parts.limits.bytes_max,
            written: read(&parts.counters.written),
            delivered: read(&parts.counters.delivered),
            superseded: read(&parts.counters.superseded),
            expired: read(&parts.counters.expired),
            dropped: read(&parts.counters.dropped),
            overflowed: read(&parts.counters.overflowed),
        }
    }

    /// Forgets the hints for `target`; what they cover is compared.
    async fn drop_all(&self, target: NodeIndex) {
        if self.parts.backlogs.of(target).is_none_or(|backlog| backlog.waiting().hints == 0) {
            return;
        }
        self.parts.repair.owe_everything(target);
        let (done, dropped) = oneshot::channel();
        // A node that stops keeps its hints; nobody waits then.
        if self.parts.changes.send(Change::Drop { target, done }).await.is_ok() {
            let _ = dropped.await;
        }
    }

    /// Whether `node` replicates `key`.
    fn replicates(&self, node: NodeIndex, key: &StoredKey) -> bool {
        let view = self.parts.cluster.view();
        let keyspace =
            StoredKey::keyspace_in(key.as_bytes()).and_then(|id| view.keyspaces.by_id(id));
        keyspace.is_some_and(|keyspace| {
            let replicas = view.replicas(keyspace, self.partition(key)).nodes;
            replicas.iter().any(|(of, _)| *of == node)
        })
    }

    fn partition(&self, key: &StoredKey) -> Partition {
        key.partition(self.parts.replica.partitions())
    }
}

fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}
