//! What owners are told to purge: by then every one of them has seen all of it (I8).

use std::collections::{BTreeMap, BTreeSet};

use atoll_protocol::ids::{DcIndex, Incarnation, NodeIndex};
use atoll_protocol::keyspace::Conflict;
use atoll_protocol::purge::PurgeFrontier;
use atoll_protocol::record::{Cell, Record};
use atoll_protocol::time::{MonoTime, WallTime};
use atoll_protocol::version::Dot;
use atoll_protocol::wire::PurgeRequest;

use super::Recorder;
use crate::history::{KeyId, Purge};

/// Sweeps that were sent, and hints that waited when a round began.
#[derive(Default)]
pub(super) struct Purges {
    /// Keys that an owner was told to purge.
    told: BTreeSet<(NodeIndex, KeyId)>,
    /// Hints for owners at the last cut that each leader asked for.
    at_cut: BTreeSet<Waiting>,
}

/// A hint that waits: holder, target and key, and since when. One that was delivered and noted again is another one.
type Waiting = (NodeIndex, NodeIndex, KeyId, WallTime);

impl Recorder {
    /// `leader` is about to ask an owner something.
    pub(super) fn on_purge_request(&self, leader: NodeIndex, request: &PurgeRequest) {
        match request {
            PurgeRequest::Cut { partitions } => {
                let waiting =
                    self.hints_in(|partition| partitions.iter().any(|p| p.0 == partition));
                self.state().purges.at_cut = waiting;
            }
            PurgeRequest::Adopt { frontiers, .. } => {
                self.reach("owners agree on a purge frontier");
                let is_meant = |partition| frontiers.iter().any(|(p, _)| p.0 == partition);
                let waiting = self.hints_in(is_meant);
                let still: Vec<_> =
                    waiting.intersection(&self.state().purges.at_cut).copied().collect();
                for (holder, target, key, _) in still {
                    let detail = format!(
                        "n{} has owners agree on a purge, while n{} keeps a hint for n{} since before",
                        leader.0, holder.0, target.0
                    );
                    self.find_for(key, "I8/P6 no hint is outstanding at a purge", detail);
                }
            }
            PurgeRequest::Sweep { frontier, keys } => {
                for key in keys {
                    let known = self
                        .state()
                        .ids
                        .iter()
                        .find(|(_, (_, stored, _))| stored.bytes() == key)
                        .map(|(id, _)| *id);
                    if let Some(key) = known {
                        self.on_sweep(key, leader, frontier);
                    }
                }
            }
        }
    }

    /// `leader` is about to tell an owner to purge `key`.
    fn on_sweep(&self, key: KeyId, leader: NodeIndex, frontier: &PurgeFrontier) {
        let owners = match self.state().history.keys.get(key.0) {
            Some(key) => key.owners.clone(),
            None => return,
        };
        let held = owners.iter().filter_map(|(node, _)| match self.read(*node, key) {
            Some(Ok(record)) => Some((*node, record)),
            Some(Err(_)) | None => None,
        });
        let held: Vec<(NodeIndex, Option<Record>)> = held.collect();
        let forgotten = held.iter().filter_map(|(_, record)| record.as_ref());
        let forgotten: Vec<Purge> = forgotten
            .filter_map(|record| forgotten_of(record, frontier, self.exec.now()))
            .collect();
        let Some(whole) = forgotten.iter().find(|purge| !purge.counters.is_empty()) else {
            return self.note_purges(key, &owners, forgotten);
        };
        self.reach("deletion purged");
        for (node, record) in &held {
            let was_told = self.state().purges.told.contains(&(*node, key));
            // It may have forgotten some of it by an earlier order, which this leader has missed.
            let left = if was_told { self.not_purged_before(key, whole) } else { whole.clone() };
            let has_seen = record.as_ref().map_or(was_told, |record| has_seen(record, &left));
            // A disk that forgot is mended before the next round.
            let forgot = self.state().history.forgettings.iter().any(|forgot| forgot.node == *node);
            if !has_seen && !forgot {
                let detail = format!("n{} has purged what n{} has not seen", leader.0, node.0);
                self.find_for(key, "I8/P6 every owner has seen what is purged", detail);
            }
        }
        self.note_purges(key, &owners, forgotten);
    }

    /// What of `purge` no earlier order had owners forget.
    fn not_purged_before(&self, key: KeyId, purge: &Purge) -> Purge {
        let state = self.state();
        let earlier = state.history.purges.get(&key).map(Vec::as_slice).unwrap_or_default();
        let was_purged = |of: Incarnation, counter: u64| {
            earlier.iter().any(|earlier| {
                let is_within = earlier.counters.get(&of).is_some_and(|last| *last >= counter);
                is_within || earlier.dots.contains(&Dot { incarnation: of, counter })
            })
        };
        let mut left = purge.clone();
        left.counters.retain(|of, counter| !was_purged(*of, *counter));
        left
    }

    fn note_purges(&self, key: KeyId, owners: &[(NodeIndex, DcIndex)], purges: Vec<Purge>) {
        let mut state = self.state();
        state.purges.told.extend(owners.iter().map(|(node, _)| (*node, key)));
        state.history.purges.entry(key).or_default().extend(purges);
    }

    /// Hints of running nodes for owners of keys in some partitions.
    fn hints_in(&self, is_meant: impl Fn(u32) -> bool) -> BTreeSet<Waiting> {
        let keys: Vec<_> = {
            let state = self.state();
            let meant = state.ids.iter().filter(|(_, (_, _, partition))| is_meant(*partition));
            let owners = |id: &KeyId| state.history.keys.get(id.0).map(|key| key.owners.clone());
            meant
                .filter_map(|(id, (_, stored, _))| Some((*id, stored.clone(), owners(id)?)))
                .collect()
        };
        let stores = self.state().held.stores();
        let mut waiting = BTreeSet::new();
        for (holder, (store, disk)) in stores {
            for (id, stored, owners) in &keys {
                for (target, _) in owners {
                    if let Ok(Some(since)) = disk.observe(|| store.keeps(*target, stored)) {
                        waiting.insert((holder, *target, *id, since));
                    }
                }
            }
        }
        waiting
    }
}

/// What is forgotten of `record` under `frontier`, by the recorder's own judgement.
fn forgotten_of(record: &Record, frontier: &PurgeFrontier, at: MonoTime) -> Option<Purge> {
    let now = WallTime::from_micros(frontier.timestamp().0);
    let is_due = |(dot, cell): &(Dot, &Cell)| frontier.covers(*dot) && !cell.is_visible(now);
    let due: Vec<(Dot, &Cell)> = record.cells().filter(is_due).collect();
    let is_covered = |(incarnation, counter)| frontier.covers(Dot { incarnation, counter });
    let is_whole = due.len() == record.sibling_count() && record.counters().all(is_covered);
    (is_whole || due.len() < record.sibling_count()).then(|| Purge {
        at,
        dots: due.iter().map(|(dot, _)| *dot).collect(),
        counters: if is_whole { record.counters().collect() } else { BTreeMap::new() },
        last: due.iter().map(|(dot, cell)| (cell.timestamp, *dot)).max(),
    })
}

/// Whether who holds `record` has seen all that is forgotten.
fn has_seen(record: &Record, purge: &Purge) -> bool {
    match record.conflict() {
        Conflict::Siblings => {
            purge.counters.iter().all(|(of, counter)| record.counter_max(*of) >= *counter)
        }
        Conflict::Lww => {
            record.cells().map(|(dot, cell)| (cell.timestamp, dot)).max() >= purge.last
        }
    }
}
