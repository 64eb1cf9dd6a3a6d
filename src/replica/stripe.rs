//! A stripe: the single writer of its partitions.
//!
//! 1. Wait for a job, let whatever else is ready run once, then take what has queued up, at most `BATCH_JOBS_MAX`.
//! 2. Mint in order; an overlay holds what this batch has already decided per key, so that two puts of one key in one
//!    batch see each other.
//! 3. Write one engine batch: a whole record where one was read and joined, a merge operand where not.
//! 4. Tell every waiter. What is agreed to be forgotten is deleted here, too (`purge.rs`).
//!
//! A mint is shipped before it is written here. Should the engine then refuse the write (a full disk), peers may hold a
//! cell that this replica does not: the record is kept in memory as *unwritten*, and every later mint of the key starts
//! from it.
//!
//! Invariant: a minted record contains every cell that was ever minted for its key by this incarnation and not superseded,
//! because its context claims to have seen them all.

mod draft;
mod image;
mod purge;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use atoll_protocol::keyspace::Conflict;
use atoll_protocol::limits::PAYLOAD_BYTES_MAX;
use atoll_protocol::record::{CellBody, Record};
use atoll_protocol::token::Token;
use atoll_seeded_bug::{Mutant, seeded_bug};
use atoll_storage::Batch;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::commit::Committer;
use super::mint::{self, CounterHistory};
use super::{Fate, MintError, MintRequest, Minted, Reach, ReplicaError, Shared, StoredKey};
use crate::tasks::Tasks;

use draft::{Draft, Waiter, Write};
use image::Image;

pub(super) use draft::{Job, Then};
pub use purge::Applied;

/// Jobs in one batch: 256 records of 10 KiB are 2.5 MiB of log, a few milliseconds of disk.
const BATCH_JOBS_MAX: usize = 256;

/// Blind applies of one key after which it is read and written whole, so that a hot key's operands do not pile up.
const BLIND_APPLIES_MAX: u16 = 16;

/// Keys whose minted records wait to be written; beyond, nothing is minted until the disk takes writes again:
/// 1 024 × 10 KiB are 10 MiB in each stripe.
const UNWRITTEN_KEYS_MAX: usize = 1_024;

/// Keys whose blind applies are counted; beyond, counting starts anew.
const COUNTED_KEYS_MAX: usize = 4_096;

/// Works until every sender is gone or the node stops; queued jobs are finished first.
pub(super) async fn run(worker: Worker, mut jobs: mpsc::Receiver<Job>, tasks: Tasks) {
    let Worker { shared, committer } = worker;
    let (blind_applies, unwritten) = (BTreeMap::new(), BTreeMap::new());
    let mut stripe = Stripe { shared, committer, blind_applies, unwritten };
    let mut queued = Vec::with_capacity(BATCH_JOBS_MAX);
    loop {
        let received = tokio::select! {
            biased;
            count = jobs.recv_many(&mut queued, BATCH_JOBS_MAX) => count,
            () = tasks.cancelled() => 0,
        };
        if received == 0 {
            return;
        }
        // Whoever is ready may have a job, too: one append for all of them.
        tokio::task::yield_now().await;
        while queued.len() < BATCH_JOBS_MAX
            && let Ok(job) = jobs.try_recv()
        {
            queued.push(job);
        }
        stripe.work(&mut queued).await;
    }
}

/// What a stripe works with.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) committer: Committer,
}

struct Stripe {
    shared: Arc<Shared>,
    committer: Committer,
    blind_applies: BTreeMap<StoredKey, u16>,
    /// Records that were minted and shipped, and that the engine refused.
    unwritten: BTreeMap<StoredKey, Record>,
}

impl Stripe {
    async fn work(&mut self, jobs: &mut Vec<Job>) {
        let mut draft = Draft::default();
        for job in jobs.drain(..) {
            match job {
                Job::Mint { key, request, minter, since } => {
                    let result = self.mint(&mut draft, key, &request);
                    if result.is_ok() {
                        draft.waiters.push(Waiter::Mint(minter.clone(), since));
                    }
                    minter.minted(result);
                }
                Job::Apply { key, record, then } => match self.apply(&mut draft, key, record) {
                    Ok(applied) => draft.waiters.push(Waiter::Apply(applied, then)),
                    Err(error) => then(Err(error)),
                },
                Job::Cut { partition, cut } => Self::cut(&mut draft, partition, cut),
                Job::Purge { key, frontier, dots, purged } => {
                    let what = (&*frontier, dots.as_deref());
                    // Who asked hears nothing, and asks again.
                    if let Err(error) = self.purge(&mut draft, key, what, purged) {
                        tracing::warn!(%error, "a deletion cannot be purged");
                    }
                }
            }
        }
        self.write(draft).await;
    }

    fn mint(
        &self,
        draft: &mut Draft,
        key: StoredKey,
        request: &MintRequest,
    ) -> Result<Minted, MintError> {
        let expired = self.shared.env.mono() >= request.deadline;
        if expired && !seeded_bug(Mutant::ExpiredPutApplied) {
            return Err(MintError::Expired);
        }
        if self.unwritten.len() >= UNWRITTEN_KEYS_MAX && !self.unwritten.contains_key(&key) {
            return Err(MintError::Storage { detail: "the disk refuses writes".to_owned() });
        }
        let unread = seeded_bug(Mutant::OnlyNewCellShipped) && !draft.writes.contains_key(&key);
        let current = if unread {
            Ok(Record::empty(request.conflict))
        } else {
            self.current(draft, &key, request.conflict)
        };
        let mut record =
            current.map_err(|error| MintError::Storage { detail: error.to_string() })?;
        let partition = key.partition(self.shared.partitions);
        let history = {
            let mut life = self.shared.life.lock();
            let incarnation = life.incarnation;
            let counter = life.minted.entry(partition).or_default();
            if seeded_bug(Mutant::CounterRestart) {
                *counter = record.counter_max(incarnation);
            }
            let actor = (incarnation, counter);
            let frontier = self.shared.frontiers.of(&key, self.shared.partitions);
            let later_than = frontier.map(|frontier| frontier.timestamp()).unwrap_or_default();
            mint::mint(&mut record, request, actor, (self.shared.env.wall(), later_than))?
        };
        self.shared.frontiers.note_minted(partition, record.timestamp_max());
        if history == CounterHistory::RolledBack {
            self.shared.counters.alarms.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                partition = partition.0,
                "ALARM: somebody has seen a dot of ours that we have not minted; the data directory was rolled back"
            );
        }
        let bytes = record.encode();
        if bytes.len() > PAYLOAD_BYTES_MAX {
            // Nobody could be sent it. Large siblings get here long before there are too many of them.
            let siblings = u16::try_from(record.sibling_count()).unwrap_or(u16::MAX);
            return Err(MintError::TooManySiblings { siblings });
        }
        draft.minted.insert(key.clone());
        let write = if unread { Write::Operand } else { Write::Whole };
        draft.writes.insert(key, write(Image::encoded(record.clone(), bytes.clone())));
        Ok(Minted { record, bytes })
    }

    fn apply(
        &mut self,
        draft: &mut Draft,
        key: StoredKey,
        bytes: Bytes,
    ) -> Result<Applied, ReplicaError> {
        let mut incoming = Record::decode(bytes.clone())
            .map_err(|error| ReplicaError::Storage(error.to_string()))?;
        let applied = self.strip(draft, &key, &mut incoming)?;
        if applied != Applied::Joined && incoming.cells().next().is_none() {
            return Ok(applied);
        }
        if incoming.conflict() == Conflict::Lww || self.is_hot(&key) {
            match self.current(draft, &key, incoming.conflict()) {
                Ok(mut record) => {
                    self.count_lww_loser(&record, &incoming);
                    record.join(&incoming);
                    draft.writes.insert(key, Write::Whole(Image::of(record)));
                    return Ok(applied);
                }
                // An operand needs no reading; it is what mends the key.
                Err(ReplicaError::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let incoming = match applied {
            Applied::Joined => Image::encoded(incoming, bytes),
            Applied::Stripped(_) => Image::of(incoming),
        };
        match draft.writes.get_mut(&key) {
            Some(Write::Whole(image) | Write::Operand(image)) => {
                if image.record().conflict() != incoming.record().conflict() {
                    return Err(conflict_mismatch());
                }
                image.join(incoming.record());
            }
            None if seeded_bug(Mutant::BlindApplyOverwrites) => {
                draft.writes.insert(key, Write::Whole(incoming));
            }
            None => {
                draft.writes.insert(key, Write::Operand(incoming));
            }
            Some(purged @ Write::Purge) => *purged = Write::Whole(incoming),
        }
        Ok(applied)
    }

    /// What is stored joined with what this batch adds.
    fn current(
        &self,
        draft: &Draft,
        key: &StoredKey,
        conflict: Conflict,
    ) -> Result<Record, ReplicaError> {
        let pending = match draft.writes.get(key) {
            Some(Write::Whole(image)) => return Ok(image.record().clone()),
            Some(Write::Operand(image)) => Some(image.record()),
            Some(Write::Purge) => return Ok(Record::empty(conflict)),
            None => None,
        };
        let mut record =
            self.shared.read(key, Reach::Disk)?.unwrap_or_else(|| Record::empty(conflict));
        if record.conflict() != conflict {
            return Err(conflict_mismatch());
        }
        for unseen in pending.into_iter().chain(self.unwritten.get(key)) {
            record.join(unseen);
        }
        Ok(record)
    }

    fn is_hot(&mut self, key: &StoredKey) -> bool {
        if self.blind_applies.len() >= COUNTED_KEYS_MAX {
            self.blind_applies.clear();
        }
        let count = self.blind_applies.entry(key.clone()).or_default();
        *count += 1;
        if *count < BLIND_APPLIES_MAX {
            return false;
        }
        self.blind_applies.remove(key);
        true
    }

    /// Counts a pair of an `lww` keyspace of which one write disappears without having been seen by the other: the
    /// incoming one is older than what is stored.
    fn count_lww_loser(&self, stored: &Record, incoming: &Record) {
        let is_lww = incoming.conflict() == Conflict::Lww;
        let is_other = stored != incoming && !stored.is_empty();
        if is_lww && is_other && incoming.timestamp_max() <= stored.timestamp_max() {
            self.shared.counters.lww_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn write(&mut self, draft: Draft) {
        if draft.waiters.is_empty() {
            return;
        }
        let is_marked =
            |key: &&StoredKey| draft.minted.contains(*key) || !seeded_bug(Mutant::LeafMarkLost);
        let tokens: Vec<Token> =
            draft.writes.keys().filter(is_marked).map(StoredKey::token).collect();
        let dead_from = draft.dead_from();
        let (batch, minted) = self.encode(draft.writes, &draft.minted);
        let bytes = batch.encoded_len() as u64;
        let result = match self.shared.engine.try_write(batch) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(batch)) => match self.committer.write(batch).await {
                Some(result) => result,
                // The committer ends after its last stripe, unless the node is torn down around both.
                None => return,
            },
            Err(error) => Err(error),
        };
        self.shared.writes.add(bytes);
        tokens.into_iter().for_each(|token| self.shared.marks.mark(token));
        dead_from.into_iter().for_each(|(token, at)| self.shared.deletions.note(token, at));
        if let Err(error) = &result {
            tracing::error!(%error, "write failed");
            if error.may_have_applied() {
                // The engine is poisoned: what reached the disk is unknown until it is opened again.
                self.shared.env.exit(&format!("storage failed: {error}"));
            }
        }
        self.settle_mints(minted, &result);
        for waiter in draft.waiters {
            // Waiters that are gone need no answer.
            match (waiter, &result) {
                (Waiter::Mint(minter, since), Ok(())) => {
                    let now = self.shared.env.mono();
                    self.shared.foreground.note(now, now.since(since));
                    minter.settled(Fate::Durable);
                }
                (Waiter::Mint(minter, _), Err(_)) => minter.settled(Fate::Refused),
                (Waiter::Apply(applied, then), Ok(())) => then(Ok(applied)),
                (Waiter::Cut(partition, cut), Ok(())) => self.answer_cut(partition, cut),
                (Waiter::Purge(trimmed, purged), Ok(())) => drop(purged.send(trimmed)),
                (Waiter::Cut(..) | Waiter::Purge(..), Err(_)) => {}
                (Waiter::Apply(_, then), Err(error)) => {
                    then(Err(ReplicaError::Storage(error.to_string())));
                }
            }
        }
    }

    /// One batch of all writes; and the records among them that were shipped already, or hold such.
    fn encode(
        &self,
        writes: BTreeMap<StoredKey, Write>,
        minted: &BTreeSet<StoredKey>,
    ) -> (Batch, Vec<(StoredKey, Record)>) {
        let (mut batch, mut shipped) = (Batch::new(), Vec::new());
        let bytes = writes.iter().map(|(key, write)| key.as_bytes().len() + write.encoded_len());
        batch.reserve(writes.len(), bytes.sum());
        for (key, write) in writes {
            let image = match write {
                Write::Operand(image) => {
                    batch.merge(key.as_bytes(), &image.bytes());
                    continue;
                }
                Write::Whole(image) => image,
                Write::Purge => {
                    batch.delete(key.as_bytes());
                    continue;
                }
            };
            if seeded_bug(Mutant::DeleteDropsRecord)
                && image.record().cells().all(|(_, cell)| cell.body == CellBody::Tombstone)
            {
                batch.delete(key.as_bytes());
            } else {
                batch.put(key.as_bytes(), &image.bytes());
            }
            if minted.contains(&key) || self.unwritten.contains_key(&key) {
                shipped.push((key, image.into_record()));
            }
        }
        (batch, shipped)
    }

    /// Keeps what the engine refused, and forgets what it took.
    fn settle_mints<E>(&mut self, minted: Vec<(StoredKey, Record)>, written: &Result<(), E>) {
        let before = self.unwritten.len();
        for (key, record) in minted {
            if written.is_ok() {
                self.unwritten.remove(&key);
            } else if !seeded_bug(Mutant::RefusedMintForgotten) {
                self.unwritten.insert(key, record);
            }
        }
        let counter = &self.shared.unwritten;
        counter.fetch_add(self.unwritten.len(), Ordering::Relaxed);
        counter.fetch_sub(before, Ordering::Relaxed);
    }
}

/// Two records of one key with different conflict modes: a damaged store or a peer's defect, never a reason to panic.
fn conflict_mismatch() -> ReplicaError {
    ReplicaError::Storage("the stored record has another conflict mode".to_owned())
}
