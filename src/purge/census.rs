//! Counts what is dead in a partition, where something may be.
//!
//! A leaf is looked through when a write deleted something there, or the first of its values has expired: all of its records are
//! read. A partition is looked at no more than twice in a `purge_after`, so that a leaf which is written all the time is not read
//! all the time.

use std::collections::BTreeMap;

use atoll_protocol::merkle::Leaf;
use atoll_protocol::purge::{Dead, PurgeFrontier, Trimmed};
use atoll_protocol::record::Record;
use atoll_protocol::time::WallTime;
use bytes::Bytes;

use super::ledger::{DeadCount, Share};
use super::{Family, Purge};
use crate::cluster::View;
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
        for leaf in pending {
            match self.count(family, share, leaf).await {
                Ok(dead) => drop(counts.insert(leaf, dead)),
                Err(error) => {
                    // What is damaged is mended, and looked at again.
                    self.parts.ledger.lock().add_pending(share, &[leaf]);
                    let (own, reason) = (self.with().cluster.own(), error.to_string());
                    self.note_obstacle(view, share, own, reason);
                }
            }
        }
        self.parts.ledger.lock().note_counts(share, counts, now);
    }

    async fn count(
        &self,
        family: &Family,
        share: Share,
        leaf: Leaf,
    ) -> Result<DeadCount, ReplicaError> {
        let (mut dead, mut expires_at) = (DeadCount::default(), None::<WallTime>);
        let now = self.with().env.wall();
        self.walk(family, share, leaf, |_, record| match Dead::of(record, now) {
            Dead::No { expires_at: at } => expires_at = expires_at.into_iter().chain(at).min(),
            Dead::Since(at) => dead.add(record, at),
        })
        .await?;
        if let Some(at) = expires_at {
            self.with().replica.deletions().note_leaf(share.partition, leaf, at);
        }
        Ok(dead)
    }

    /// The keys of a leaf of which something may be forgotten under `frontier`.
    pub(super) async fn purgeable(
        &self,
        family: &Family,
        (share, leaf): (Share, Leaf),
        frontier: &PurgeFrontier,
    ) -> Result<Vec<Bytes>, ReplicaError> {
        let mut keys = Vec::new();
        self.walk(family, share, leaf, |key, record| {
            if frontier.trim(&mut record.clone(), None) != Trimmed::Nothing {
                keys.push(key);
            }
        })
        .await?;
        Ok(keys)
    }

    /// Reads every record of a leaf.
    async fn walk(
        &self,
        family: &Family,
        share: Share,
        leaf: Leaf,
        mut visit: impl FnMut(Bytes, &Record),
    ) -> Result<(), ReplicaError> {
        let (env, replica) = (&self.with().env, &self.with().replica);
        let range = leaf.token_range(replica.partitions(), share.partition);
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
