//! Delivers what waits for one target.
//!
//! 1. While the target is away, or nothing waits, it looks once a second whether anything grew too old.
//! 2. A page of the oldest hints is read, and their keys are in flight from then on; then the records are read, so that
//!    a put that misses the target meanwhile is in the record or touches the hint.
//! 3. What the target holds durably is settled; what it does not is tried again after a pause that grows.

use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::put::Liveness;
use atoll_protocol::wire::{HandoffReply, HandoffRequest, PeerReply, PeerRequest, RECORDS_MAX};
use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::Handoff;
use super::backlog::Backlog;
use super::store::{Hint, age};
use super::writer::{Change, Fate};
use crate::repair::RecordBatch;
use crate::replica::{ReplicaError, StoredKey};

/// Longest sleep of a task, so that it notices what nobody tells it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a record that was just missed may still be on its way.
const STRAGGLE: Duration = Duration::from_millis(500);

/// Longest wait for an answer: the target joins a page on a busy disk, far away.
const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// First and longest pause after a page that was not taken.
const AGAIN_FIRST: Duration = Duration::from_millis(100);
const AGAIN_LONGEST: Duration = Duration::from_secs(5);

/// Anti-entropy with the target waits for this long after a page, for the next one.
const REPAIR_WAITS: Duration = Duration::from_secs(5);

/// A page, and what becomes of its hints if the target takes it.
#[derive(Default)]
struct Page {
    batch: RecordBatch,
    fates: Vec<(Hint, Fate)>,
}

impl Handoff {
    /// Works for ever.
    pub(super) async fn keep_delivering(self, target: NodeIndex) {
        let env = self.parts.env.clone();
        let Some(backlog) = self.parts.backlogs.of(target) else { return };
        let mut pause = AGAIN_FIRST;
        loop {
            self.expire(target, backlog).await;
            let is_alive = self.parts.peers.liveness(target) == Liveness::Alive;
            if !is_alive || backlog.waiting().hints == 0 {
                self.wait(target, backlog).await;
                pause = AGAIN_FIRST;
                continue;
            }
            self.parts.repair.defer(target, env.mono().after(REPAIR_WAITS));
            let began = env.mono();
            if self.deliver_page(target).await {
                pause = AGAIN_FIRST;
                if backlog.waiting().hints == 0 {
                    self.parts.repair.defer(target, env.mono());
                }
                self.parts.replica.yield_to_requests(began).await;
            } else {
                let again = env.mono().after(env.jitter(pause));
                // An operator need not wait.
                let _ = env.until(again, backlog.woken()).await;
                pause = (pause * 2).min(AGAIN_LONGEST);
            }
        }
    }

    /// Waits until there may be something to do.
    async fn wait(&self, target: NodeIndex, backlog: &Backlog) {
        let env = &self.parts.env;
        let is_alive = self.parts.peers.liveness(target) == Liveness::Alive;
        let changed = self.parts.peers.changed(target);
        let look = env.mono().after(env.jitter(LOOK_EVERY));
        if is_alive {
            if env.until(look, backlog.woken()).await.is_some() {
                env.sleep(STRAGGLE).await;
            }
        } else {
            // Only a wake-up; what is true is asked again.
            let _ = env.until(look, changed).await;
        }
    }

    /// Ends what is too old; its partitions are compared instead.
    pub(super) async fn expire(&self, target: NodeIndex, backlog: &Backlog) {
        let parts = &self.parts;
        let is_old = |since| age(since, parts.env.wall()) > parts.limits.age_max;
        while backlog.waiting().oldest.is_some_and(is_old) {
            let Some(page) = self.oldest(target).await else { return };
            let expired: Arc<[Hint]> = page.into_iter().filter(|hint| is_old(hint.since)).collect();
            backlog.note_oldest(expired.first().map(|hint| hint.since));
            expired.iter().for_each(|hint| self.owe(target, &hint.key));
            if expired.is_empty() || !self.begin(target, &expired).await {
                return;
            }
            let fates = expired.iter().map(|hint| (hint.clone(), Fate::Expired));
            self.settle(target, fates.collect()).await;
        }
    }

    /// Delivers a page; false if nothing came of it.
    async fn deliver_page(&self, target: NodeIndex) -> bool {
        let Some(hints) = self.oldest(target).await else { return false };
        if let Some(backlog) = self.parts.backlogs.of(target) {
            backlog.note_oldest(hints.first().map(|hint| hint.since));
        }
        let hints: Arc<[Hint]> = hints.into();
        if hints.is_empty() || !self.begin(target, &hints).await {
            return false;
        }
        let handoff = self.clone();
        let Page { batch, mut fates } =
            self.parts.env.blocking(move || handoff.read(target, &hints)).await;
        let is_held = batch.keys.is_empty() || self.send(target, batch).await;
        if !is_held && !seeded_bug(Mutant::HintRemovedUnacked) {
            let delivered = fates.iter_mut().filter(|(_, fate)| *fate == Fate::Delivered);
            delivered.for_each(|(_, fate)| *fate = Fate::Kept);
        }
        let is_any_over = fates.iter().any(|(_, fate)| *fate != Fate::Kept);
        self.settle(target, fates).await;
        is_any_over
    }

    /// The oldest hints for `target`. Hints that cannot be read are dropped: what they cover is compared.
    pub(super) async fn oldest(&self, target: NodeIndex) -> Option<Vec<Hint>> {
        let store = self.parts.store.clone();
        match self.parts.env.blocking(move || store.oldest(target, RECORDS_MAX)).await {
            Ok(hints) => Some(hints),
            Err(error) => {
                tracing::error!(?target, %error, "hints cannot be read and are dropped");
                self.drop_all(target).await;
                None
            }
        }
    }

    /// Reads what `hints` stand for. Blocks on disk.
    fn read(&self, target: NodeIndex, hints: &[Hint]) -> Page {
        let mut page = Page::default();
        for hint in hints {
            let fate = if !self.replicates(target, &hint.key) {
                Fate::Superseded
            } else if page.batch.is_full() {
                Fate::Kept
            } else {
                match self.record_for(target, &hint.key) {
                    Ok(Some(record)) => {
                        page.batch.add(hint.key.bytes().clone(), &record);
                        Fate::Delivered
                    }
                    Ok(None) => Fate::Superseded,
                    Err(error) => {
                        tracing::warn!(?target, %error, "a hinted record cannot be read");
                        Fate::Kept
                    }
                }
            };
            page.fates.push((hint.clone(), fate));
        }
        page
    }

    /// What the holder keeps for `target`, or its own record.
    fn record_for(
        &self,
        target: NodeIndex,
        key: &StoredKey,
    ) -> Result<Option<Bytes>, ReplicaError> {
        let entry = self.parts.store.find(target, key);
        let entry = entry.map_err(|error| ReplicaError::Storage(error.to_string()))?;
        match entry {
            Some(entry) if !entry.record.is_empty() => Ok(Some(entry.record)),
            _ => self.parts.replica.read_encoded(key),
        }
    }

    async fn send(&self, target: NodeIndex, batch: RecordBatch) -> bool {
        let RecordBatch { keys, lengths, payload } = batch;
        let request = PeerRequest::Handoff(HandoffRequest::Deliver { keys, lengths });
        let deadline = self.parts.env.mono().after(CALL_DEADLINE);
        let called = self.parts.peers.call(target, &request, Bytes::from(payload), deadline).await;
        match called {
            Ok((PeerReply::Handoff(HandoffReply::Held), _)) => true,
            Ok((PeerReply::Handoff(HandoffReply::Busy), _)) => false,
            Ok((PeerReply::Failed(failure), _)) => {
                tracing::warn!(?target, %failure, "hints were refused; trying again");
                false
            }
            Ok(_) | Err(_) => false,
        }
    }

    /// False if the node is stopping.
    pub(super) async fn begin(&self, target: NodeIndex, hints: &Arc<[Hint]>) -> bool {
        let change = Change::Begin { target, hints: hints.clone() };
        self.parts.changes.send(change).await.is_ok()
    }

    /// Resolves once it is written; what has ended is not read again then.
    pub(super) async fn settle(&self, target: NodeIndex, fates: Vec<(Hint, Fate)>) {
        let (done, settled) = oneshot::channel();
        // A node that stops keeps its hints, and a disk that refuses has them delivered once more.
        if self.parts.changes.send(Change::Settle { target, fates, done }).await.is_ok() {
            let _ = settled.await;
        }
    }
}
