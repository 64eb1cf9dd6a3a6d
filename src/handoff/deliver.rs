//! Delivers what waits for one target.
//!
//! 1. While the target is away, or nothing waits, it looks once a second whether anything grew too old.
//! 2. A page of the oldest hints is read, and their keys are in flight from then on; then the records are read, so that
//!    a put that misses the target meanwhile is in the record or touches the hint.
//! 3. Their digests are offered, and what the target asks for is delivered in small messages: one large one would keep its
//!    processors from requests for milliseconds.
//! 4. What the target holds durably is settled; what somebody else is bringing is offered again soon, and what failed after
//!    a pause that grows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::merkle::record_digest;
use atoll_protocol::put::Liveness;
use atoll_protocol::wire::{
    HandoffReply, HandoffRequest, PeerReply, PeerRequest, RECORDS_BYTES_MAX, RECORDS_MAX,
};
use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::Handoff;
use super::backlog::Backlog;
use super::store::{Hint, age};
use super::writer::{Change, Fate};
use crate::repair::RecordBatch;
use crate::replica::{Reach, ReplicaError, StoredKey};

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

/// Records in one message: they keep a processor of the target for a millisecond or two.
const DELIVERED_AT_ONCE: usize = 64;

/// Pause before what somebody else is bringing is offered again.
const COMING: Duration = Duration::from_millis(250);

/// Longest rest that a target is granted between two messages, below what anti-entropy waits.
const REST_MAX: Duration = Duration::from_secs(4);

/// A page of hints with what becomes of them, and the records of those that are to be delivered.
#[derive(Default)]
struct Page {
    fates: Vec<(Hint, Fate)>,
    records: Vec<Carried>,
    bytes: usize,
}

/// A record, its key, and the place of its hint in the page.
struct Carried {
    place: usize,
    key: Bytes,
    record: Bytes,
}

impl Page {
    fn is_full(&self) -> bool {
        self.records.len() >= RECORDS_MAX || self.bytes >= RECORDS_BYTES_MAX
    }

    fn add(&mut self, hint: Hint, record: Bytes) {
        self.bytes += record.len();
        let (place, key) = (self.fates.len(), hint.key.bytes().clone());
        self.records.push(Carried { place, key, record });
        self.fates.push((hint, Fate::Kept));
    }

    /// Notes what the target holds already; what it asks for, by the places in the offer that it answered.
    fn sort(&mut self, lacks: &BTreeSet<usize>, coming: &BTreeSet<usize>) -> Vec<Carried> {
        let mut lacking = Vec::new();
        for (offered, carried) in std::mem::take(&mut self.records).into_iter().enumerate() {
            if lacks.contains(&offered) {
                lacking.push(carried);
            } else if !coming.contains(&offered) || seeded_bug(Mutant::ComingCountsAsHeld) {
                self.held(carried.place);
            }
        }
        lacking
    }

    /// The target holds the record of the hint at `place`.
    fn held(&mut self, place: usize) {
        if let Some((_, fate)) = self.fates.get_mut(place) {
            *fate = Fate::Delivered;
        }
    }
}

/// How a page went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Hints ended.
    Made,
    /// Others are bringing all of it.
    Coming,
    /// Nothing came of it.
    Failed,
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
            match self.deliver_page(target).await {
                Progress::Made => {
                    pause = AGAIN_FIRST;
                    if backlog.waiting().hints == 0 {
                        self.parts.repair.defer(target, env.mono());
                    }
                }
                Progress::Coming => {
                    pause = AGAIN_FIRST;
                    env.sleep(env.jitter(COMING)).await;
                }
                Progress::Failed => {
                    let again = env.mono().after(env.jitter(pause));
                    // An operator need not wait.
                    let _ = env.until(again, backlog.woken()).await;
                    pause = (pause * 2).min(AGAIN_LONGEST);
                }
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

    /// Delivers a page.
    async fn deliver_page(&self, target: NodeIndex) -> Progress {
        let began = self.parts.env.mono();
        let Some(hints) = self.oldest(target).await else { return Progress::Failed };
        if let Some(backlog) = self.parts.backlogs.of(target) {
            backlog.note_oldest(hints.first().map(|hint| hint.since));
        }
        let hints: Arc<[Hint]> = hints.into();
        if hints.is_empty() || !self.begin(target, &hints).await {
            return Progress::Failed;
        }
        let handoff = self.clone();
        let mut page = self.parts.env.blocking(move || handoff.read(target, &hints)).await;
        let own_rest = self.parts.replica.rest_in_turn_after(began);
        let carried: Vec<usize> = page.records.iter().map(|carried| carried.place).collect();
        let coming = self.offer(target, &mut page, own_rest).await;
        if seeded_bug(Mutant::HintRemovedUnacked) {
            carried.into_iter().for_each(|place| page.held(place));
        }
        let is_any_over = page.fates.iter().any(|(_, fate)| *fate != Fate::Kept);
        self.settle(target, page.fates).await;
        match (is_any_over, coming) {
            (true, _) => Progress::Made,
            (false, 0) => Progress::Failed,
            (false, _) => Progress::Coming,
        }
    }

    /// Offers what is in `page`, and delivers what the target lacks; how many records somebody else is bringing.
    async fn offer(&self, target: NodeIndex, page: &mut Page, own_rest: Duration) -> usize {
        if page.records.is_empty() {
            self.parts.env.sleep(own_rest).await;
            return 0;
        }
        let keys = page.records.iter().map(|carried| carried.key.clone()).collect();
        let digests = page.records.iter().map(|carried| record_digest(&carried.record)).collect();
        let request = HandoffRequest::Offer { keys, digests };
        let Some(HandoffReply::Wanted { lacks, coming, rest }) =
            self.ask(target, request, Bytes::new()).await
        else {
            return 0;
        };
        let lacking = page.sort(&places(&lacks), &places(&coming));
        self.parts.env.sleep(own_rest.max(rest.min(REST_MAX))).await;
        for some in lacking.chunks(DELIVERED_AT_ONCE) {
            if !self.deliver(target, page, some).await {
                break;
            }
        }
        coming.len()
    }

    /// Delivers `some` of the page, and rests; false if they were not taken.
    async fn deliver(&self, target: NodeIndex, page: &mut Page, some: &[Carried]) -> bool {
        let mut batch = RecordBatch::default();
        for carried in some {
            batch.add(carried.key.clone(), &carried.record);
        }
        let RecordBatch { keys, lengths, payload } = batch;
        let request = HandoffRequest::Deliver { keys, lengths };
        let reply = self.ask(target, request, Bytes::from(payload)).await;
        let Some(HandoffReply::Held { rest }) = reply else { return false };
        some.iter().for_each(|carried| page.held(carried.place));
        self.parts.env.sleep(rest.min(REST_MAX)).await;
        true
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
            } else if page.is_full() {
                Fate::Kept
            } else {
                match self.record_for(target, &hint.key) {
                    Ok(Some(record)) => {
                        page.add(hint.clone(), record);
                        continue;
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
            _ => self.parts.replica.read_encoded(key, Reach::Disk),
        }
    }

    /// The target's answer; `None` if there is none that helps. Anti-entropy with it waits while hints make progress.
    async fn ask(
        &self,
        target: NodeIndex,
        request: HandoffRequest,
        payload: Bytes,
    ) -> Option<HandoffReply> {
        let parts = &self.parts;
        let deadline = parts.env.mono().after(CALL_DEADLINE);
        let request = PeerRequest::Handoff(request);
        match parts.peers.call(target, &request, payload, deadline).await {
            Ok((PeerReply::Handoff(HandoffReply::Busy), _)) => None,
            Ok((PeerReply::Handoff(reply), _)) => {
                parts.repair.defer(target, parts.env.mono().after(REPAIR_WAITS));
                Some(reply)
            }
            Ok((PeerReply::Failed(failure), _)) => {
                tracing::warn!(?target, %failure, "hints were refused; trying again");
                None
            }
            Ok(_) | Err(_) => None,
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

fn places(listed: &[u16]) -> BTreeSet<usize> {
    listed.iter().map(|place| usize::from(*place)).collect()
}

#[cfg(test)]
mod tests {
    use atoll_protocol::ids::KeyspaceId;
    use atoll_protocol::time::WallTime;

    use super::*;

    /// Whoever promised to bring it may be lost before it does.
    #[test]
    fn a_hint_stays_while_somebody_else_is_bringing_its_record() {
        let hint = |number: u64| {
            let key = StoredKey::new(KeyspaceId(1), &number.to_be_bytes());
            Hint { since: WallTime::from_micros(number), key }
        };
        let mut page = Page::default();
        page.fates.push((hint(0), Fate::Superseded));
        for number in 1..4 {
            page.add(hint(number), Bytes::from_static(b"record"));
        }
        let lacking = page.sort(&BTreeSet::from([0]), &BTreeSet::from([1]));
        assert_eq!(lacking.iter().map(|carried| carried.place).collect::<Vec<_>>(), [1]);
        let fates: Vec<Fate> = page.fates.iter().map(|(_, fate)| *fate).collect();
        assert_eq!(fates, [Fate::Superseded, Fate::Kept, Fate::Kept, Fate::Delivered]);
    }
}
