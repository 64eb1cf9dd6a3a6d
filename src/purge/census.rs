//! Counts what is dead in a partition, where something may be.
//!
//! A leaf is looked through when a write deleted something there, or the first of its values has expired: all of its records are
//! read, and neighbours in one go. A partition is looked at no more than twice in a `purge_after`, so that a leaf which is
//! written all the time is not read all the time.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use atoll_protocol::merkle::Leaf;
use atoll_protocol::purge::{Dead, PurgeFrontier, Trimmed};
use atoll_protocol::record::Record;
use atoll_protocol::time::WallTime;
use bytes::Bytes;

use super::ledger::DeadCount;
use super::{Family, Purge};
use crate::cluster::View;
use crate::repair::{Share, runs_of, tokens_of};
use crate::replica::{ReplicaError, StoredKey};

/// Bytes of records read at once.
const PAGE_BYTES: usize = 256 * 1_024;

impl Purge {
    /// Counts the dead of `share`, if it is time to.
    pub(super) async fn count_if_due(&self, view: &View, family: &Family, share: Share) {
        let now = self.with().env.mono();
        let pause = self.parts.pacing.after / 2;
        let pending = self.parts.ledger.lock().take_pending(&share, now, pause);
        if pending.is_empty() {
            return;
        }
        let mut counts = BTreeMap::new();
        let pending: Vec<Leaf> = pending.into_iter().collect();
        for run in runs_of(&pending) {
            match self.count(family, share, run.clone()).await {
                Ok(dead) => counts.extend(dead),
                Err(error) => {
                    // What is damaged is mended, and looked at again.
                    let again: Vec<Leaf> =
                        pending.iter().copied().filter(|leaf| run.contains(leaf)).collect();
                    self.parts.ledger.lock().add_pending(share, &again);
                    let (own, reason) = (self.with().cluster.own(), error.to_string());
                    self.note_obstacle(view, share, own, reason);
                }
            }
        }
        self.parts.ledger.lock().note_counts(share, counts, now);
    }

    /// What is dead in a run of leaves, each of them named.
    async fn count(
        &self,
        family: &Family,
        share: Share,
        run: RangeInclusive<Leaf>,
    ) -> Result<BTreeMap<Leaf, DeadCount>, ReplicaError> {
        let replica = &self.with().replica;
        let (now, partitions) = (self.with().env.wall(), replica.partitions());
        let leaves = Leaf::all().filter(|leaf| run.contains(leaf));
        let mut counts: BTreeMap<Leaf, DeadCount> =
            leaves.map(|leaf| (leaf, DeadCount::default())).collect();
        let mut expiries = BTreeMap::<Leaf, WallTime>::new();
        self.walk(family, share, run, |key, record| {
            let Some(token) = StoredKey::head(&key) else { return };
            let leaf = Leaf::of(token, partitions);
            match Dead::of(record, now) {
                Dead::Since(at) => counts.entry(leaf).or_default().add(record, at),
                Dead::No { expires_at: Some(at) } => {
                    let first = expiries.entry(leaf).or_insert(at);
                    *first = at.min(*first);
                }
                Dead::No { expires_at: None } => {}
            }
        })
        .await?;
        for (leaf, at) in expiries {
            replica.deletions().note_leaf(share.partition, leaf, at);
        }
        Ok(counts)
    }

    /// The keys of a run of leaves of which something may be forgotten under `frontier`.
    pub(super) async fn purgeable(
        &self,
        family: &Family,
        (share, run): (Share, RangeInclusive<Leaf>),
        frontier: &PurgeFrontier,
    ) -> Result<Vec<Bytes>, ReplicaError> {
        let mut keys = Vec::new();
        self.walk(family, share, run, |key, record| {
            if frontier.trim(&mut record.clone(), None) != Trimmed::Nothing {
                keys.push(key);
            }
        })
        .await?;
        Ok(keys)
    }

    /// Reads every record of a run of leaves.
    async fn walk(
        &self,
        family: &Family,
        share: Share,
        run: RangeInclusive<Leaf>,
        mut visit: impl FnMut(Bytes, &Record),
    ) -> Result<(), ReplicaError> {
        let (env, replica) = (&self.with().env, &self.with().replica);
        let range = tokens_of(replica.partitions(), share.partition, run);
        let Some(range) = range else { return Ok(()) };
        let mut after: Option<Bytes> = None;
        loop {
            let began = env.mono();
            let (reader, from) = (replica.clone(), after.clone());
            let page = env.blocking(move || reader.records(range, from.as_deref(), PAGE_BYTES));
            let (records, more) = page.await?;
            after = records.last().map(|(key, _)| key.clone());
            for (key, record) in records {
                let keyspace = StoredKey::keyspace_in(&key);
                if keyspace.is_some_and(|keyspace| family.keyspaces.contains(&keyspace)) {
                    visit(key, &record);
                }
            }
            replica.yield_to_requests(began).await;
            if !more {
                return Ok(());
            }
        }
    }
}
