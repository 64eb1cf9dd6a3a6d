//! The replica: joins records with the storage engine. The only module that turns records into stored bytes.
//!
//! ```text
//! mint (coordinator's own put) ─┐
//! apply (a record from a peer) ─┴─▶ stripe queue ─▶ one batch ─▶ engine.write (fsync) ─▶ durable
//! read ───────────────────────────▶ engine.get, joined lazily
//! ```
//!
//! 1. Partitions are dealt to a few stripes; each stripe has one worker task and a bounded queue, so that minting
//!    needs no lock: whoever mints for a partition is alone with it.
//! 2. A worker drains its queue into one batch. For a mint it reads the own record, raises the floors that the context
//!    names and adds the cell under a fresh dot; the coordinator gets the record at once and ships it while the batch
//!    is being synced.
//! 3. A blind apply adds a merge operand without a read. Only keys of `lww` keyspaces are read first, to count losers.
//! 4. A write that has to wait for the disk goes to the committer, which writes what all workers have as one (group commit).
//! 5. What was purged here is not joined again ([`Frontiers`]); a record is deleted by its stripe, once that is agreed.
//! 6. Every write marks its Merkle leaf ([`LeafMarks`]), so that `src/repair` hashes only what changed.
//!
//! Invariants
//! - A counter is minted once per (incarnation, partition), and counters only grow.
//! - A write is reported durable only after the engine said so.
//! - What was minted and shipped stays part of the key's record here, also if the engine refused it.
//! - A record that does not decode is refused, never stored.
//! - A context or record that names our incarnation with a counter that we have not minted proves a rollback: it
//!   raises an alarm, and minting continues above it.
//!
//! Source: Dynamo §4.3–4.4; one writer per partition in place of a lock is the single-writer principle.

mod commit;
mod deletions;
mod frontiers;
mod life;
mod keys;
mod marks;
mod merge;
mod mint;
mod read;
mod scan;
mod way;
mod signal;
mod stripe;
mod suspects;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use atoll_protocol::ids::Incarnation;
use atoll_protocol::limits::Limit;
use atoll_protocol::purge::{PurgeFrontier, Trimmed};
use atoll_protocol::record::Record;
use atoll_protocol::token::{Partition, Partitions};
use atoll_protocol::version::Dot;
use atoll_storage::{Engine, Statistics};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::env::Env;
use crate::foreground::Foreground;
use crate::tasks::Tasks;

use commit::Committer;
use life::Lived;
use stripe::Worker;

pub use deletions::DeletionMarks;
pub use frontiers::Frontiers;
pub use keys::StoredKey;
pub use life::Life;
pub use marks::LeafMarks;
pub use merge::JoinRecords;
pub use mint::{MintError, MintRequest};
pub use read::Reach;
pub use signal::WriteSignal;
pub use stripe::Applied;
pub use suspects::Suspects;

/// Most stripes of one node: enough to keep the log busy while one of them reads, few enough to batch well.
///
/// A node has no more of them than can work at the same moment: others would only take from each other's batches. Measured
/// with three nodes of one thread each on two processors, one stripe instead of four: puts at QUORUM cost 93 instead of 103 us of
/// processor (`periodic`), and 117 instead of 147 (`fsync`).
const STRIPES_MAX: usize = 4;

/// Jobs that wait for all stripes of a node; with records of 10 KiB they are 80 MiB. Measured with three nodes on two
/// processors, of which each works off some 25 000 a second: 4 000 puts under way are all taken, of 8 000 some are refused
/// (decision 0017).
const QUEUED_JOBS_MAX: usize = 8_192;

/// What a client is told to wait when a stripe's queue is full: about the time that the queue needs to drain.
pub const STRIPE_RETRY_AFTER: Duration = Duration::from_millis(100);

/// Counters of one node's replica, since it started.
#[derive(Debug, Default)]
pub struct ReplicaCounters {
    /// Writes that lost against a concurrent one in an `lww` keyspace.
    pub lww_dropped: AtomicU64,
    /// Records whose dots were minted twice, or that prove a rollback.
    pub alarms: AtomicU64,
}

/// The replica of one node. Cheap to clone.
#[derive(Clone)]
pub struct Replica {
    shared: Arc<Shared>,
    stripes: Arc<[mpsc::Sender<stripe::Job>]>,
}

struct Shared {
    env: Env,
    engine: Arc<Engine>,
    partitions: Partitions,
    counters: ReplicaCounters,
    /// Keys of all stripes with a minted record that the engine refused.
    unwritten: AtomicUsize,
    /// What is minted under. Each counter is written by its stripe's worker only.
    life: Mutex<Lived>,
    suspects: Suspects,
    writes: Arc<WriteSignal>,
    marks: LeafMarks,
    deletions: DeletionMarks,
    frontiers: Frontiers,
    foreground: Foreground,
}

/// A put that has its record minted by the own replica: told by the stripe itself, so that it must not wait for anything.
/// Not told, but dropped, if the node stops first.
pub trait Minter: Send + Sync {
    /// The record to ship, or why nothing was written.
    fn minted(self: Arc<Self>, minted: Result<Minted, MintError>);

    /// What became of a minted record here.
    fn settled(self: Arc<Self>, fate: Fate);
}

/// What became of a minted record at its own replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is durable.
    Durable,
    /// The engine refused it: it never will be.
    Refused,
}

/// A minted record.
#[derive(Clone, Debug)]
pub struct Minted {
    /// The whole record, the new cell included.
    pub record: Record,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Why the replica cannot read or write.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReplicaError {
    /// The queue is full; nothing was done.
    #[error("overloaded: {0}")]
    Overloaded(Limit),
    /// What is stored is damaged: another replica has to be asked.
    #[error("{0}")]
    Damaged(String),
    /// The record is not in memory, and the disk was out of reach: nothing is wrong.
    #[error("the record is not in memory")]
    NotInMemory,
    /// Storage failed, or holds something that is not a record.
    #[error("{0}")]
    Storage(String),
    /// The node is stopping.
    #[error("the replica is stopping")]
    Stopping,
}

impl Replica {
    /// A replica on `engine` that goes on from `life`.
    pub fn start(
        env: Env,
        tasks: &Tasks,
        engine: Arc<Engine>,
        partitions: Partitions,
        life: Life,
    ) -> Self {
        let lived = Mutex::new(Lived { incarnation: life.incarnation, minted: life.minted });
        let shared = Arc::new(Shared {
            env,
            engine,
            partitions,
            counters: ReplicaCounters::default(),
            unwritten: AtomicUsize::default(),
            life: lived,
            suspects: Suspects::default(),
            writes: Arc::default(),
            marks: LeafMarks::new(partitions),
            deletions: DeletionMarks::new(partitions),
            frontiers: Frontiers::new(life.frontiers),
            foreground: Foreground::default(),
        });
        let count = shared.env.parallelism().clamp(1, STRIPES_MAX);
        let (committer, commits) = Committer::new(shared.env.clone(), shared.engine.clone(), count);
        // Ends after the stripes, which hold its door.
        tasks.spawn("replica-commit", commits.run());
        let stripes = (0..count)
            .map(|_| {
                let (sender, jobs) = mpsc::channel(QUEUED_JOBS_MAX / count);
                let worker = Worker { shared: shared.clone(), committer: committer.clone() };
                tasks.spawn("replica-stripe", stripe::run(worker, jobs, tasks.clone()));
                sender
            })
            .collect();
        Self { shared, stripes }
    }

    /// Mints a dot for a put, applies it here and tells `minter` how that goes, the record first.
    ///
    /// # Errors
    /// [`Limit::StripeQueue`] when the queue is full; nothing was written.
    pub fn mint(
        &self,
        key: StoredKey,
        request: MintRequest,
        minter: Arc<dyn Minter>,
    ) -> Result<(), Limit> {
        let since = self.shared.env.mono();
        let job = stripe::Job::Mint { key, request, minter, since };
        self.enqueue(job).map_err(|_| Limit::StripeQueue)
    }

    /// Applies a record that somebody else minted; resolves once it is durable.
    ///
    /// # Errors
    /// [`ReplicaError`]; the record is not stored, or storage failed and the node is about to stop.
    pub async fn apply(&self, key: StoredKey, record: Bytes) -> Result<Applied, ReplicaError> {
        let (then, applied) = way::awaited();
        self.submit(key, record, then);
        applied.await
    }

    /// The last counter minted in `partition`; resolves once everything up to it is durable.
    ///
    /// # Errors
    /// [`ReplicaError::Overloaded`]; [`ReplicaError::Storage`] while a minted record waits for a disk that refuses it.
    pub async fn minted_durably(&self, partition: Partition) -> Result<u64, ReplicaError> {
        let (cut, minted) = oneshot::channel();
        self.enqueue(stripe::Job::Cut { partition, cut }).map_err(|_| overloaded())?;
        let refused = || ReplicaError::Storage("the disk refuses writes".to_owned());
        minted.await.map_err(|_| refused())
    }

    /// Forgets what is dead of the record of `key` and covered by `frontier`, durably; of some dots only, if they are given. How
    /// much that was.
    ///
    /// # Errors
    /// [`ReplicaError::Overloaded`]; [`ReplicaError::Storage`] if it cannot be read or written.
    pub async fn purge(
        &self,
        key: StoredKey,
        frontier: &Arc<PurgeFrontier>,
        dots: Option<Vec<Dot>>,
    ) -> Result<Trimmed, ReplicaError> {
        let (purged, trimmed) = oneshot::channel();
        let job = stripe::Job::Purge { key, frontier: frontier.clone(), dots, purged };
        self.enqueue(job).map_err(|_| overloaded())?;
        trimmed.await.map_err(|_| ReplicaError::Storage("a deletion cannot be purged".to_owned()))
    }

    /// Up to where this replica has seen everything, and refuses what comes late.
    pub fn frontiers(&self) -> &Frontiers {
        &self.shared.frontiers
    }

    /// Which Merkle leaves were written.
    pub fn marks(&self) -> &LeafMarks {
        &self.shared.marks
    }

    /// When partitions may hold something deleted or expired.
    pub fn deletions(&self) -> &DeletionMarks {
        &self.shared.deletions
    }

    /// Makes every write that was acknowledged durable, whatever the durability. Blocks on disk.
    ///
    /// # Errors
    /// [`ReplicaError::Storage`].
    pub fn sync(&self) -> Result<(), ReplicaError> {
        let synced = self.shared.engine.sync();
        synced.map_err(|error| ReplicaError::Storage(error.to_string()))
    }

    /// How the hash space is divided.
    pub fn partitions(&self) -> Partitions {
        self.shared.partitions
    }

    /// The incarnation that this replica mints under.
    pub fn incarnation(&self) -> Incarnation {
        self.shared.life.lock().incarnation
    }

    /// From now on mints as `incarnation`, which nobody has used.
    ///
    /// For a replica that has lost records for good: what it minted for their keys may still be on its way to others, and a
    /// later counter of the same incarnation would claim to have seen it.
    pub fn begin_incarnation(&self, incarnation: Incarnation) {
        *self.shared.life.lock() = Lived { incarnation, minted: BTreeMap::new() };
        self.shared.frontiers.forget(&[]);
    }

    /// Files that reads have found damaged.
    pub fn suspects(&self) -> &Suspects {
        &self.shared.suspects
    }

    /// Counters since the start.
    pub fn counters(&self) -> &ReplicaCounters {
        &self.shared.counters
    }

    /// The storage engine's statistics.
    pub fn statistics(&self) -> Statistics {
        self.shared.engine.statistics()
    }

    /// Wakes who flushes and compacts.
    pub fn writes(&self) -> &Arc<WriteSignal> {
        &self.shared.writes
    }

    /// Greatest counter minted per partition, for the clean-shutdown marker. Meaningful once the workers stopped.
    pub fn minted(&self) -> BTreeMap<Partition, u64> {
        self.shared.life.lock().minted.clone()
    }

    /// Whether peers may hold cells of this incarnation that are not on this disk: then it must not be used again.
    pub fn has_unwritten(&self) -> bool {
        self.shared.unwritten.load(Ordering::Relaxed) > 0
    }

    /// Hands a job to its stripe; gives it back, not begun, if that takes no more.
    fn enqueue(&self, job: stripe::Job) -> Result<(), Box<stripe::Job>> {
        let partition = job.partition(self.shared.partitions);
        let index = partition.0 as usize % self.stripes.len().max(1);
        match self.stripes.get(index) {
            Some(stripe) => stripe.try_send(job).map_err(|refused| Box::new(refused.into_inner())),
            None => Err(Box::new(job)),
        }
    }
}

fn overloaded() -> ReplicaError {
    ReplicaError::Overloaded(Limit::StripeQueue)
}
