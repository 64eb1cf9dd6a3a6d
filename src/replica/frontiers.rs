//! The purge frontiers of this replica, by keyspace and partition, and the cuts that new ones may rest on.
//!
//! Invariants
//! - A frontier is here only while this replica has seen every write up to it: who loses records forgets it
//!   ([`Frontiers::forget`]).
//! - A cut stands only for the life of the process, and only until records are lost.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use atoll_protocol::ids::KeyspaceId;
use atoll_protocol::purge::PurgeFrontier;
use atoll_protocol::token::{Partition, Partitions};
use atoll_protocol::version::Timestamp;
use parking_lot::{Mutex, RwLock};
use xxhash_rust::xxh3::Xxh3;

use super::keys::StoredKey;
use crate::meta::StoredFrontier;

/// Cuts of a partition that are remembered: those of a few rounds. An older one is refused, and taken anew.
const CUTS_MAX: usize = 8;

/// The frontiers and cuts of one replica.
#[derive(Debug, Default)]
pub struct Frontiers {
    stored: RwLock<BTreeMap<(KeyspaceId, Partition), Arc<PurgeFrontier>>>,
    /// By partition, the oldest first: every mint looks at those of its own.
    cuts: Mutex<BTreeMap<Partition, VecDeque<OpenCut>>>,
}

/// A cut of a partition, and what was minted after it.
#[derive(Clone, Copy, Debug)]
struct OpenCut {
    id: u64,
    /// The least timestamp that was minted since; none if nothing was.
    least: Option<Timestamp>,
}

impl Frontiers {
    /// Those that the node had stored.
    pub fn new(stored: impl IntoIterator<Item = StoredFrontier>) -> Self {
        let stored = stored.into_iter().map(|(of, frontier)| (of, Arc::new(frontier))).collect();
        Self { stored: RwLock::new(stored), cuts: Mutex::default() }
    }

    /// The frontier that `key` lies under.
    pub fn of(&self, key: &StoredKey, partitions: Partitions) -> Option<Arc<PurgeFrontier>> {
        let keyspace = StoredKey::keyspace_in(key.as_bytes())?;
        self.get(keyspace, key.partition(partitions))
    }

    /// The frontier of a keyspace in a partition.
    pub fn get(&self, keyspace: KeyspaceId, partition: Partition) -> Option<Arc<PurgeFrontier>> {
        self.stored.read().get(&(keyspace, partition)).cloned()
    }

    /// A number that two replicas share if they have the same frontiers of `keyspaces` in `partitions`; 0 if there are none.
    pub fn digest(&self, keyspaces: &[KeyspaceId], partitions: &[Partition]) -> u64 {
        let stored = self.stored.read();
        let (mut hasher, mut is_any) = (Xxh3::new(), false);
        for partition in partitions {
            for keyspace in keyspaces {
                let Some(frontier) = stored.get(&(*keyspace, *partition)) else { continue };
                is_any = true;
                hasher.update(&partition.0.to_le_bytes());
                hasher.update(&keyspace.0.to_le_bytes());
                hasher.update(&frontier.timestamp().0.to_le_bytes());
                for (incarnation, counter) in frontier.counters() {
                    hasher.update(&incarnation.0.to_le_bytes());
                    hasher.update(&counter.to_le_bytes());
                }
            }
        }
        if is_any { hasher.digest() } else { 0 }
    }

    /// What a frontier will be once `frontier` is joined to it.
    pub fn joined(
        &self,
        keyspace: KeyspaceId,
        partition: Partition,
        frontier: &PurgeFrontier,
    ) -> PurgeFrontier {
        let stored = self.stored.read();
        let mut joined = stored
            .get(&(keyspace, partition))
            .map_or_else(PurgeFrontier::default, |f| (**f).clone());
        joined.join(frontier);
        joined
    }

    /// Goes by these from now on; they are stored already.
    pub fn adopt(&self, frontiers: impl IntoIterator<Item = StoredFrontier>) {
        let adopted = frontiers.into_iter().map(|(of, frontier)| (of, Arc::new(frontier)));
        self.stored.write().extend(adopted);
    }

    /// Those of all keyspaces in `partitions`.
    pub fn in_partitions(
        &self,
        is_meant: impl Fn(Partition) -> bool,
    ) -> Vec<(KeyspaceId, Partition)> {
        let stored = self.stored.read();
        stored.keys().copied().filter(|(_, partition)| is_meant(*partition)).collect()
    }

    /// Forgets these, and every cut: records were lost.
    pub fn forget(&self, lost: &[(KeyspaceId, Partition)]) {
        self.stored.write().retain(|of, _| !lost.contains(of));
        self.cuts.lock().clear();
    }

    /// Begins a cut of `partitions` under `id`.
    pub fn begin_cut(&self, id: u64, partitions: &[Partition]) {
        let mut cuts = self.cuts.lock();
        for partition in partitions {
            let open = cuts.entry(*partition).or_default();
            if open.len() == CUTS_MAX {
                open.pop_front();
            }
            open.push_back(OpenCut { id, least: None });
        }
    }

    /// Whether everything minted in `partition` since the cut `id` is later than `timestamp`; `None` if there is no such cut.
    pub fn is_later(&self, id: u64, partition: Partition, timestamp: Timestamp) -> Option<bool> {
        let cuts = self.cuts.lock();
        let cut = cuts.get(&partition)?.iter().find(|cut| cut.id == id)?;
        Some(cut.least.is_none_or(|least| least > timestamp))
    }

    /// Notes that something was minted.
    pub(super) fn note_minted(&self, partition: Partition, timestamp: Timestamp) {
        for cut in self.cuts.lock().get_mut(&partition).into_iter().flatten() {
            cut.least = Some(cut.least.map_or(timestamp, |least| least.min(timestamp)));
        }
    }
}

#[cfg(test)]
mod tests {
    use atoll_protocol::ids::Incarnation;
    use atoll_protocol::time::WallTime;

    use super::*;

    #[test]
    fn a_cut_knows_what_was_minted_since_and_old_ones_go() {
        let frontiers = Frontiers::default();
        let (here, there) = (Partition(1), Partition(2));
        frontiers.begin_cut(7, &[here]);
        assert_eq!(frontiers.is_later(7, here, Timestamp(10)), Some(true), "nothing was");
        frontiers.note_minted(there, Timestamp(1));
        frontiers.note_minted(here, Timestamp(20));
        frontiers.note_minted(here, Timestamp(30));
        assert_eq!(frontiers.is_later(7, here, Timestamp(19)), Some(true));
        assert_eq!(frontiers.is_later(7, here, Timestamp(20)), Some(false));
        assert_eq!(frontiers.is_later(7, there, Timestamp(0)), None, "it is not of that partition");
        for id in 100..100 + CUTS_MAX as u64 {
            frontiers.begin_cut(id, &[here]);
        }
        assert_eq!(frontiers.is_later(7, here, Timestamp(0)), None, "too old");
        assert_eq!(frontiers.is_later(100, here, Timestamp(0)), Some(true));
    }

    #[test]
    fn what_is_lost_forgets_its_frontier_and_every_cut() {
        let partitions = Partitions::new(4).unwrap();
        let key = StoredKey::new(KeyspaceId(3), b"key");
        let of = (KeyspaceId(3), key.partition(partitions));
        let of_partition = of.1;
        let mut frontier = PurgeFrontier::at(WallTime::from_micros(5));
        frontier.raise(Incarnation(1), 9);
        let frontiers = Frontiers::new([(of, frontier.clone())]);
        assert_eq!(frontiers.of(&key, partitions).as_deref(), Some(&frontier));
        assert_eq!(frontiers.of(&StoredKey::new(KeyspaceId(4), b"key"), partitions), None);
        let mut later = PurgeFrontier::default();
        later.raise(Incarnation(2), 1);
        let joined = frontiers.joined(of.0, of.1, &later);
        assert!(joined.includes(&frontier) && joined.includes(&later));
        frontiers.adopt([(of, joined.clone())]);
        assert_eq!(frontiers.of(&key, partitions).as_deref(), Some(&joined));
        let digest = |of: &Frontiers| of.digest(&[KeyspaceId(3)], &[of_partition]);
        assert_eq!(digest(&frontiers), digest(&Frontiers::new([(of, joined)])));
        assert_ne!(digest(&frontiers), digest(&Frontiers::new([(of, frontier)])));
        assert_eq!(digest(&Frontiers::default()), 0);
        frontiers.begin_cut(1, &[of.1]);
        assert_eq!(frontiers.in_partitions(|partition| partition == of.1), [of]);
        frontiers.forget(&[of]);
        assert_eq!(frontiers.of(&key, partitions), None);
        assert_eq!(frontiers.is_later(1, of.1, Timestamp(0)), None);
    }
}
