//! The one task that changes the hint store.
//!
//! 1. It takes what has queued up, at most `CHANGES_AT_ONCE`, and decides what each change means for the hints as they
//!    will be: a draft, over what is stored.
//! 2. The draft becomes one batch, and one sync.
//! 3. What is in flight to its target is remembered: a key that is missed again meanwhile is *touched*, and its hint stays
//!    when the delivery settles.
//!
//! Invariant: a change that is not written is not counted, and what it would have hinted is owed.

use std::collections::{BTreeMap, btree_map};
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::record::Record;
use atoll_seeded_bug::{Mutant, seeded_bug};
use atoll_storage::{Batch, Error};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::store::{self, Entry, Hint};
use super::{Handoff, count};
use crate::replica::StoredKey;
use crate::tasks::Tasks;

/// Changes in one batch.
const CHANGES_AT_ONCE: usize = 1_024;

/// Bytes of records after which a batch is written.
const BATCH_BYTES: u64 = 4 * 1_024 * 1_024;

/// Pause after a batch. A hint that a crash forgets meanwhile is made good by the comparison after the start; without the
/// pause each put that misses a replica would cost a sync of its own.
const PAUSE: Duration = Duration::from_millis(10);

/// What is done to the hints.
pub(super) enum Change {
    /// `target` missed the record of `key`, which this node replicates.
    Add { target: NodeIndex, key: StoredKey },
    /// `target` missed `record`, which this node keeps for it.
    Hold { target: NodeIndex, key: StoredKey, record: Bytes, held: oneshot::Sender<()> },
    /// These are being delivered from now on.
    Begin { target: NodeIndex, hints: Arc<[Hint]> },
    /// Their delivery is over.
    Settle { target: NodeIndex, fates: Vec<(Hint, Fate)>, done: oneshot::Sender<()> },
    /// Forget them all.
    Drop { target: NodeIndex, done: oneshot::Sender<()> },
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// The target holds the records.
    Delivered,
    /// There was nothing to deliver any more.
    Superseded,
    /// Too old, and owed.
    Expired,
    /// It failed; the hints stay.
    Kept,
}

/// What happened to a key while it was being delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flight {
    Untouched,
    /// It was missed again.
    Touched,
}

/// What is in flight. Held by the writer alone.
type InFlight = BTreeMap<(NodeIndex, StoredKey), Flight>;

/// The hints as they will be.
#[derive(Default)]
struct Draft {
    entries: BTreeMap<(NodeIndex, StoredKey), Planned>,
    /// Bytes of records among them.
    bytes: u64,
    /// Hints that begin.
    begun: usize,
    /// Hints that end, by how.
    ended: BTreeMap<Fate, usize>,
    /// Misses that became no hint.
    overflowed: Vec<(NodeIndex, StoredKey)>,
    /// Who wants to know that it is written.
    waiters: Vec<oneshot::Sender<()>>,
}

struct Planned {
    before: Option<Entry>,
    after: Option<Entry>,
}

impl Handoff {
    /// Works until every sender is gone or the node stops; what has queued up is written first.
    pub(super) async fn keep_writing(self, mut queue: mpsc::Receiver<Change>, tasks: Tasks) {
        let mut in_flight = InFlight::new();
        loop {
            let mut changes = Vec::new();
            let received = tokio::select! {
                biased;
                received = queue.recv_many(&mut changes, CHANGES_AT_ONCE) => received,
                () = tasks.cancelled() => 0,
            };
            if received == 0 {
                return;
            }
            let handoff = self.clone();
            in_flight = self.parts.env.blocking(move || handoff.work(changes, in_flight)).await;
            tokio::select! {
                biased;
                () = tasks.cancelled() => {}
                () = self.parts.env.sleep(PAUSE) => {}
            }
        }
    }

    /// Carries out `changes` in order. Blocks on disk.
    fn work(&self, changes: Vec<Change>, mut in_flight: InFlight) -> InFlight {
        let mut draft = Draft::default();
        for change in changes {
            match change {
                Change::Drop { target, done } => {
                    self.write(std::mem::take(&mut draft));
                    in_flight.retain(|(of, _), _| *of != target);
                    self.drop_stored(target);
                    // Nobody need wait for it.
                    let _ = done.send(());
                }
                change => self.plan(&mut draft, &mut in_flight, change),
            }
            if draft.bytes >= BATCH_BYTES {
                self.write(std::mem::take(&mut draft));
            }
        }
        self.write(draft);
        if let Err(error) = self.parts.store.maintain() {
            self.on_failure("maintain hints", &error);
        }
        in_flight
    }

    /// Adds one change to the draft.
    fn plan(&self, draft: &mut Draft, in_flight: &mut InFlight, change: Change) {
        match change {
            Change::Add { target, key } => {
                self.plan_hint(draft, in_flight, (target, key), Bytes::new());
            }
            Change::Hold { target, key, record, held } => {
                if self.plan_hint(draft, in_flight, (target, key), record) {
                    draft.waiters.push(held);
                }
            }
            Change::Begin { target, hints } => {
                for hint in hints.iter() {
                    in_flight.insert((target, hint.key.clone()), Flight::Untouched);
                }
            }
            Change::Settle { target, fates, done } => {
                for (hint, fate) in fates {
                    let place = (target, hint.key);
                    let flight = in_flight.remove(&place);
                    let is_touched = flight != Some(Flight::Untouched)
                        && !(flight.is_some() && seeded_bug(Mutant::TouchedHintForgotten));
                    if !is_touched && fate != Fate::Kept {
                        self.plan_end(draft, place, fate);
                    }
                }
                draft.waiters.push(done);
            }
            Change::Drop { .. } => unreachable!("the caller carries it out"),
        }
    }

    /// Plans a hint, unless there is one that says the same; false if it cannot be had.
    fn plan_hint(
        &self,
        draft: &mut Draft,
        in_flight: &mut InFlight,
        place: (NodeIndex, StoredKey),
        record: Bytes,
    ) -> bool {
        if let Some(flight) = in_flight.get_mut(&place) {
            *flight = Flight::Touched;
        }
        let planned = match self.planned(draft, &place) {
            Ok(planned) => planned,
            Err(error) => {
                self.on_failure("read hints", &error);
                draft.overflowed.push(place);
                return false;
            }
        };
        let entry = match &planned.after {
            Some(entry) if record.is_empty() || entry.record == record => return true,
            Some(entry) => match joined(&entry.record, &record) {
                Some(record) => Entry { since: entry.since, record },
                None => return false,
            },
            None => Entry { since: self.parts.env.wall(), record },
        };
        let begins = planned.after.is_none();
        let (target, key) = &place;
        let waiting = self.parts.backlogs.of(*target).map(|backlog| backlog.waiting().bytes);
        let bytes = store::bytes_of(key, &entry.record);
        // What this batch adds is not counted yet; it is little.
        if waiting.is_none_or(|waiting| waiting + bytes > self.parts.limits.bytes_max) {
            draft.overflowed.push(place);
            return false;
        }
        planned.after = Some(entry);
        draft.begun += usize::from(begins);
        draft.bytes += bytes;
        true
    }

    fn plan_end(&self, draft: &mut Draft, place: (NodeIndex, StoredKey), fate: Fate) {
        match self.planned(draft, &place) {
            Ok(planned) => {
                let was_there = planned.after.take().is_some();
                *draft.ended.entry(fate).or_default() += usize::from(was_there);
            }
            // It is delivered once more.
            Err(error) => self.on_failure("read hints", &error),
        }
    }

    fn planned<'a>(
        &self,
        draft: &'a mut Draft,
        place: &(NodeIndex, StoredKey),
    ) -> Result<&'a mut Planned, Error> {
        match draft.entries.entry(place.clone()) {
            btree_map::Entry::Occupied(planned) => Ok(planned.into_mut()),
            btree_map::Entry::Vacant(vacant) => {
                let before = self.parts.store.find(place.0, &place.1)?;
                Ok(vacant.insert(Planned { after: before.clone(), before }))
            }
        }
    }

    /// Writes a draft, then tells and counts what has become of it.
    fn write(&self, draft: Draft) {
        let changed = draft.entries.iter().filter(|(_, planned)| planned.before != planned.after);
        let mut batch = Batch::new();
        for ((target, key), planned) in changed.clone() {
            // A hint that ended and began again within the draft has another place in the order.
            if let Some(before) = &planned.before {
                store::remove(&mut batch, *target, key, before.since);
            }
            if let Some(after) = &planned.after {
                store::put(&mut batch, *target, key, after);
            }
        }
        let written = self.parts.store.write(batch);
        let (mut overflowed, mut waiters) = (draft.overflowed, draft.waiters);
        match written {
            Ok(()) => {
                self.account(changed);
                count(&self.parts.counters.written, draft.begun);
                for (fate, ended) in draft.ended {
                    self.count_ended(fate, ended);
                }
            }
            Err(error) => {
                self.on_failure("write hints", &error);
                let added = changed.filter(|(_, planned)| planned.after.is_some());
                overflowed.extend(added.map(|(place, _)| place.clone()));
                waiters.clear();
            }
        }
        count(&self.parts.counters.overflowed, overflowed.len());
        overflowed.into_iter().for_each(|(target, key)| self.owe(target, &key));
        for waiter in waiters {
            // Whoever wanted to know may be gone.
            let _ = waiter.send(());
        }
    }

    fn account<'a>(
        &self,
        changed: impl Iterator<Item = (&'a (NodeIndex, StoredKey), &'a Planned)>,
    ) {
        for ((target, key), planned) in changed {
            let Some(backlog) = self.parts.backlogs.of(*target) else { continue };
            if let Some(before) = &planned.before {
                backlog.remove(store::bytes_of(key, &before.record));
            }
            if let Some(after) = &planned.after {
                backlog.add(store::bytes_of(key, &after.record), after.since);
            }
        }
    }

    fn count_ended(&self, fate: Fate, ended: usize) {
        let counters = &self.parts.counters;
        let counter = match fate {
            Fate::Delivered => &counters.delivered,
            Fate::Superseded => &counters.superseded,
            Fate::Expired => &counters.expired,
            Fate::Kept => return,
        };
        count(counter, ended);
    }

    fn drop_stored(&self, target: NodeIndex) {
        match self.parts.store.drop_all(target) {
            Ok(()) => {
                let dropped = self.parts.backlogs.of(target).map_or(0, |backlog| backlog.clear());
                count(&self.parts.counters.dropped, usize::try_from(dropped).unwrap_or(usize::MAX));
            }
            Err(error) => self.on_failure("drop hints", &error),
        }
    }

    /// Hints are a convenience, a disk in doubt is not: then the node stops, as for its records.
    fn on_failure(&self, what: &str, error: &Error) {
        if error.may_have_applied() {
            self.parts.env.exit(&format!("cannot {what}: {error}"));
        }
        tracing::warn!(%error, "cannot {what}");
    }
}

/// The join of what is kept for a target and what it missed now; `None` if one of them is no record.
fn joined(kept: &Bytes, missed: &Bytes) -> Option<Bytes> {
    if kept.is_empty() {
        return Some(missed.clone());
    }
    let (mut kept, missed) =
        (Record::decode(kept.clone()).ok()?, Record::decode(missed.clone()).ok()?);
    if kept.conflict() != missed.conflict() {
        return None;
    }
    kept.join(&missed);
    Some(kept.encode())
}
