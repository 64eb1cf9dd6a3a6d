//! Purging: deletions and expired values are forgotten, once every owner has seen them and will not be told otherwise.
//!
//! ```text
//! leader of a partition: census ─dead─▶ round: cut ─▶ hints ─▶ mend twice ─▶ adopt ─purge_after─▶ sweep
//!                        (census.rs)    (round.rs asks, serve.rs answers)                       (sweep.rs)
//! ```
//!
//! 1. One owner of a partition leads it: they take turns. It counts what is dead there, where writes or the clock say that
//!    something may be (`census.rs`).
//! 2. A round makes a frontier (`protocol::purge`): every owner names how far it has minted; nobody may keep hints for an
//!    owner; the leader mends itself with every owner, and once more, so that all of them have seen all cuts; every owner
//!    stores the frontier and refuses from then on what is older and not there (`round.rs`).
//! 3. No sooner than `purge_after` later the leader has every owner delete what is dead and covered (`sweep.rs`). By then no
//!    get is under way that began before the round: a get lasts no longer than that.
//! 4. What is in the way is kept, by node, for `atoll tombstones` (`ledger.rs`).
//!
//! Invariants
//! - Nothing is purged by a timer alone: without every owner's word nothing is.
//! - Every node must be there for a round: one that is away may keep a record for an owner.
//! - An owner purges only under a frontier that it has stored itself.

mod round;
mod sweep;
mod serve;
mod census;
mod ledger;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atoll_protocol::ids::{KeyspaceId, NodeIndex};
use atoll_protocol::keyspace::Keyspace;
use atoll_protocol::merkle::ReplicaSets;
use atoll_protocol::token::Partition;
use atoll_protocol::wire::{
    PURGE_PARTITIONS_MAX, PeerReply, PeerRequest, PurgeReply, PurgeRequest, TombstonesStatus,
};
use parking_lot::Mutex;

use crate::cluster::{Cluster, View};
use crate::env::Env;
use crate::frontiers::FrontierStore;
use crate::handoff::Handoff;
use crate::net::Peers;
use crate::repair::{Repair, Share};
use crate::replica::Replica;
use crate::tasks::Tasks;

use ledger::Ledger;

/// Longest wait for one answer: storing frontiers takes a sync or two, of a disk that is busy.
const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// Looks at what is due, in one `purge_after`.
const LOOKS: u32 = 4;

/// Shortest and longest pause between two looks.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));

/// How purging is paced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurgePacing {
    /// What all owners have seen is purged no sooner than this later; and no get lasts longer.
    pub after: Duration,
}

/// Purging at one node. Cheap to clone.
#[derive(Clone)]
pub struct Purge {
    parts: Arc<Parts>,
}

struct Parts {
    surroundings: Surroundings,
    pacing: PurgePacing,
    ledger: Mutex<Ledger>,
    purged: AtomicU64,
}

/// What purging works with.
pub struct Surroundings {
    /// Time and chance.
    pub env: Env,
    /// The cluster as this node knows it.
    pub cluster: Arc<Cluster>,
    /// The other nodes.
    pub peers: Arc<Peers>,
    /// This node's replica.
    pub replica: Replica,
    /// Mends owners before they agree.
    pub repair: Repair,
    /// This node's hints for others.
    pub handoff: Handoff,
    /// This node's frontiers.
    pub frontiers: FrontierStore,
}

/// The keyspaces that have the same replica sets.
struct Family {
    sets: ReplicaSets,
    keyspaces: Vec<KeyspaceId>,
    /// The partitions that this node leads.
    led: BTreeSet<Partition>,
}

impl Purge {
    /// Starts the task that looks after this node's partitions; it ends with `tasks`.
    pub fn start(tasks: &Tasks, pacing: PurgePacing, surroundings: Surroundings) -> Self {
        let (ledger, purged) = (Mutex::default(), AtomicU64::default());
        let purge = Self { parts: Arc::new(Parts { surroundings, pacing, ledger, purged }) };
        let looking = purge.clone();
        tasks.spawn_until_stopped("purge", async move { looking.keep_looking().await });
        purge
    }

    /// What waits to be purged in the partitions that this node leads, and for what.
    pub fn status(&self) -> TombstonesStatus {
        let env = &self.with().env;
        let status = self.parts.ledger.lock().status((env.mono(), env.wall()));
        TombstonesStatus {
            purge_after: self.parts.pacing.after,
            purged: self.parts.purged.load(Ordering::Relaxed),
            ..status
        }
    }

    /// Longest time that a get may take: what it was told in the beginning must not have been purged in the end.
    pub fn get_max(&self) -> Duration {
        self.parts.pacing.after
    }

    /// Keys purged in the partitions that this node leads, since it started.
    pub fn purged(&self) -> u64 {
        self.parts.purged.load(Ordering::Relaxed)
    }

    fn with(&self) -> &Surroundings {
        &self.parts.surroundings
    }

    async fn keep_looking(&self) {
        let pause = (self.parts.pacing.after / LOOKS).clamp(PAUSE.0, PAUSE.1);
        loop {
            self.with().env.sleep(self.with().env.jitter(pause)).await;
            let view = self.with().cluster.view();
            let families = Family::all(&view, self.with().cluster.own());
            self.take_due(&view, &families);
            for family in &families {
                self.look_at(&view, family).await;
            }
        }
    }

    /// Notes which leaves are due, for every family whose share of them this node leads. What others lead they look for
    /// themselves.
    fn take_due(&self, view: &View, families: &[Family]) {
        let (now, deletions) = (self.with().env.wall(), self.with().replica.deletions());
        for partition in view.topology.partitions().iter() {
            let leaves = deletions.take(partition, now);
            let led = families.iter().filter_map(|family| family.share(partition));
            led.for_each(|share| self.parts.ledger.lock().add_pending(share, &leaves));
        }
    }

    /// Takes every step that is due for the partitions of `family` that this node leads.
    async fn look_at(&self, view: &View, family: &Family) {
        let led: Vec<Share> =
            family.led.iter().filter_map(|partition| family.share(*partition)).collect();
        for &share in &led {
            self.sweep_if_due(view, family, share).await;
        }
        for &share in &led {
            self.count_if_due(view, family, share).await;
        }
        let waiting: Vec<Partition> = {
            let ledger = self.parts.ledger.lock();
            led.iter()
                .filter(|share| ledger.wants_round(share))
                .map(|share| share.partition)
                .collect()
        };
        for partitions in waiting.chunks(PURGE_PARTITIONS_MAX) {
            self.agree(view, family, partitions).await;
        }
    }

    /// Asks a node; this one without a message.
    async fn ask(&self, node: NodeIndex, request: PurgeRequest) -> Result<PurgeReply, String> {
        if node == self.with().cluster.own() {
            return Ok(self.answer(request).await);
        }
        let deadline = self.with().env.mono().after(CALL_DEADLINE);
        let request = PeerRequest::Purge(request);
        let read = |reply| match reply {
            PeerReply::Purge(reply) => Some(reply),
            _ => None,
        };
        self.with().peers.told(node, &request, deadline, read).await
    }
}

impl Family {
    /// Those of `view`, and what `own` leads of them: the owners of a partition take turns.
    fn all(view: &View, own: NodeIndex) -> Vec<Self> {
        let family = |(sets, keyspaces): (ReplicaSets, Vec<&Arc<Keyspace>>)| {
            let keyspaces = keyspaces.into_iter().map(|keyspace| keyspace.id).collect();
            let mut family = Self { sets, keyspaces, led: BTreeSet::new() };
            let leads = |partition: &Partition| {
                let mut owners = owners_of(view, &family, *partition);
                owners.sort_unstable();
                let at = (partition.0 as usize).checked_rem(owners.len());
                at.and_then(|at| owners.get(at)) == Some(&own)
            };
            family.led = view.topology.partitions().iter().filter(leads).collect();
            family
        };
        view.keyspaces_by_sets().into_iter().map(family).collect()
    }

    /// What of a partition is this family's, if this node leads it.
    fn share(&self, partition: Partition) -> Option<Share> {
        self.led.contains(&partition).then_some(Share { sets: self.sets, partition })
    }
}

/// The nodes that replicate a partition.
fn owners_of(view: &View, family: &Family, partition: Partition) -> Vec<NodeIndex> {
    let keyspace = family.keyspaces.first().and_then(|id| view.keyspaces.by_id(*id));
    let nodes = keyspace.map(|keyspace| view.replicas(keyspace, partition).nodes);
    nodes.unwrap_or_default().into_iter().map(|(node, _)| node).collect()
}
