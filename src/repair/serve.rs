//! Answers what peers ask while they compare and mend.
//!
//! Invariant: every answer is bounded, and no key is believed before it was checked.

use std::collections::BTreeSet;

use atoll_protocol::ids::{Incarnation, NodeIndex};
use atoll_protocol::merkle::{Holding, Leaf, ReplicaSets, Tree};
use atoll_protocol::token::Partition;
use atoll_protocol::wire::{
    Failure, HOLDINGS_BYTES_MAX, Invalid, KnownFrontier, RECORDS_BYTES_MAX, RECORDS_MAX, ROOTS_MAX,
    RepairReply, RepairRequest,
};
use bytes::Bytes;

use super::Repair;
use super::claims::Side;
use super::plan::Share;
use super::ranges::{runs_of, sets_of, tokens_of};
use super::trouble::{Trouble, failure};
use crate::cluster::View;
use crate::replica::{Reach, Replica, ReplicaError, StoredKey};

/// Bytes of keys looked for at once where their records follow: about [`RECORDS_MAX`] keys of 56 bytes with digest.
const EVERYTHING_BYTES: usize = RECORDS_MAX * 64;

impl Repair {
    /// Answers `from`.
    ///
    /// # Errors
    /// What keeps this node from answering, or what is wrong with the request.
    pub async fn answer(
        &self,
        from: NodeIndex,
        request: RepairRequest,
        payload: Bytes,
    ) -> Result<(RepairReply, Bytes), Failure> {
        let reply = match request {
            RepairRequest::Roots { sets, partitions } => {
                self.answer_roots(from, sets, partitions).await?
            }
            RepairRequest::Leaves { sets, partition } => {
                if self.is_deferred(from) || !self.is_free_for(from, partition) {
                    return Ok((RepairReply::Busy, Bytes::new()));
                }
                let incarnation = self.parts.replica.incarnation();
                let tree = self.tree(sets, partition).await.map_err(failure)?;
                RepairReply::Leaves { leaves: tree.leaves().to_vec(), incarnation }
            }
            RepairRequest::Holdings { sets, partition, leaves, after } => {
                if !leaves.is_sorted_by(|left, right| left < right) {
                    return Err(invalid("leaves must ascend"));
                }
                if !self.is_free_for(from, partition) {
                    return Ok((RepairReply::Busy, Bytes::new()));
                }
                let page =
                    self.holdings((sets, partition), leaves, after, HOLDINGS_BYTES_MAX).await;
                let (holdings, more) = page.map_err(failure)?;
                RepairReply::Holdings { holdings, more }
            }
            RepairRequest::Everything { sets, partition, leaves, after } => {
                if !leaves.is_sorted_by(|left, right| left < right) {
                    return Err(invalid("leaves must ascend"));
                }
                if !self.is_free_for(from, partition) {
                    return Ok((RepairReply::Busy, Bytes::new()));
                }
                return self.everything((sets, partition), leaves, after).await;
            }
            RepairRequest::Fetch { keys } => {
                check_count(keys.len())?;
                let (lengths, payload) = self.records(keys).await?;
                return Ok((RepairReply::Records { lengths }, payload));
            }
            RepairRequest::Store { keys, lengths } => {
                self.store(from, &keys, &lengths, payload).await?
            }
            RepairRequest::Frontiers { sets, partitions, frontiers, incarnation } => {
                self.swap_frontiers((sets, &partitions), frontiers, incarnation).await?
            }
            RepairRequest::Forget { purged } => {
                check_count(purged.len())?;
                self.forget_purged(purged).await;
                RepairReply::Done
            }
            RepairRequest::Done { partition } => {
                self.parts.claims.release(partition, (from, Side::Responder));
                RepairReply::Done
            }
        };
        Ok((reply, Bytes::new()))
    }

    async fn answer_roots(
        &self,
        from: NodeIndex,
        sets: ReplicaSets,
        partitions: Vec<Partition>,
    ) -> Result<RepairReply, Failure> {
        if partitions.len() > ROOTS_MAX {
            return Err(invalid("too many partitions at once"));
        }
        if self.is_deferred(from) {
            // It lacks what its hints are bringing: most partitions would differ.
            return Ok(RepairReply::Busy);
        }
        let frontiers = self.frontiers_digest(sets, &partitions);
        let incarnation = self.parts.replica.incarnation();
        let roots = self.roots(sets, partitions).await.map_err(failure)?;
        Ok(RepairReply::Roots { roots, frontiers, incarnation })
    }

    async fn swap_frontiers(
        &self,
        (sets, partitions): (ReplicaSets, &[Partition]),
        theirs: Vec<KnownFrontier>,
        incarnation: Incarnation,
    ) -> Result<RepairReply, Failure> {
        if partitions.len() > ROOTS_MAX {
            return Err(invalid("too many partitions at once"));
        }
        let ours = self.frontiers_of(sets, partitions);
        self.take_frontiers(sets, theirs, incarnation).await.map_err(failure)?;
        Ok(RepairReply::Frontiers(ours))
    }

    fn is_free_for(&self, peer: NodeIndex, partition: Partition) -> bool {
        self.parts.claims.claim(partition, (peer, Side::Responder), self.parts.env.mono())
    }

    async fn store(
        &self,
        from: NodeIndex,
        keys: &[Bytes],
        lengths: &[u32],
        payload: Bytes,
    ) -> Result<RepairReply, Failure> {
        check_count(keys.len())?;
        let joined = self.join(keys, lengths, payload).await.map_err(failure)?;
        let view = self.parts.cluster.view();
        let partitions = self.parts.replica.partitions();
        let share_of = |key: &Bytes| {
            let partition = partitions.partition_of(StoredKey::head(key)?);
            Some(Share { sets: sets_of(&view, key)?, partition })
        };
        // Usually all keys are of one.
        let shares: BTreeSet<Share> = keys.iter().filter_map(share_of).collect();
        shares.into_iter().for_each(|share| self.pass_on(from, share));
        Ok(RepairReply::Stored { purged: joined.purged })
    }

    /// A page of the keys and records of `leaves`.
    async fn everything(
        &self,
        tree: (ReplicaSets, Partition),
        leaves: Vec<Leaf>,
        after: Option<Bytes>,
    ) -> Result<(RepairReply, Bytes), Failure> {
        let page = self.holdings(tree, leaves, after, EVERYTHING_BYTES).await;
        let (holdings, more_holdings) = page.map_err(failure)?;
        let mut keys: Vec<Bytes> = holdings.into_iter().map(|holding| holding.key).collect();
        let held = keys.len();
        keys.truncate(RECORDS_MAX);
        let (lengths, payload) = self.records(keys.clone()).await?;
        keys.truncate(lengths.len());
        let more = more_holdings || keys.len() < held;
        Ok((RepairReply::Everything { keys, lengths, more }, payload))
    }

    /// Our records of the first of `keys`, as many as fit: their lengths, and all of them one behind the other.
    async fn records(&self, keys: Vec<Bytes>) -> Result<(Vec<u32>, Bytes), Failure> {
        let replica = self.parts.replica.clone();
        self.parts
            .env
            .blocking(move || {
                let (mut lengths, mut payload) = (Vec::new(), Vec::new());
                for key in keys {
                    if payload.len() >= RECORDS_BYTES_MAX {
                        break;
                    }
                    let key = StoredKey::parse(key).ok_or_else(|| invalid("a key is malformed"))?;
                    let record = replica.read_encoded(&key, Reach::Disk);
                    let record =
                        record.map_err(|error| failure(Trouble::from(error)))?.unwrap_or_default();
                    lengths.push(u32::try_from(record.len()).unwrap_or(u32::MAX));
                    payload.extend_from_slice(&record);
                }
                Ok((lengths, Bytes::from(payload)))
            })
            .await
    }

    pub(super) async fn roots(
        &self,
        sets: ReplicaSets,
        partitions: Vec<Partition>,
    ) -> Result<Vec<u64>, Trouble> {
        let repair = self.clone();
        let job = move || {
            let view = repair.parts.cluster.view();
            partitions.into_iter().map(|p| Ok(repair.tree_of(&view, sets, p)?.root())).collect()
        };
        self.parts.env.blocking(job).await
    }

    pub(super) async fn tree(
        &self,
        sets: ReplicaSets,
        partition: Partition,
    ) -> Result<Tree, Trouble> {
        let repair = self.clone();
        let job = move || repair.tree_of(&repair.parts.cluster.view(), sets, partition);
        self.parts.env.blocking(job).await
    }

    fn tree_of(
        &self,
        view: &View,
        sets: ReplicaSets,
        partition: Partition,
    ) -> Result<Tree, Trouble> {
        let tree = self.parts.trees.tree((view, &self.parts.replica), sets, partition);
        Ok(tree.ok_or_else(|| Trouble::Failed(format!("there is no partition {partition}")))??)
    }

    /// A page of keys and digests of `leaves`, above `after`; and whether there are more.
    pub(super) async fn holdings(
        &self,
        (sets, partition): (ReplicaSets, Partition),
        leaves: Vec<Leaf>,
        after: Option<Bytes>,
        bytes_max: usize,
    ) -> Result<(Vec<Holding>, bool), Trouble> {
        let (view, replica) = (self.parts.cluster.view(), self.parts.replica.clone());
        let job = move || {
            page((&view, &replica), (sets, partition), &leaves, (after.as_deref(), bytes_max))
        };
        Ok(self.parts.env.blocking(job).await?)
    }
}

fn page(
    (view, replica): (&View, &Replica),
    (sets, partition): (ReplicaSets, Partition),
    leaves: &[Leaf],
    (after, bytes_max): (Option<&[u8]>, usize),
) -> Result<(Vec<Holding>, bool), ReplicaError> {
    let partitions = replica.partitions();
    let reached = after.and_then(StoredKey::head);
    let (mut holdings, mut bytes) = (Vec::new(), 0);
    for run in runs_of(leaves) {
        let Some(range) = tokens_of(partitions, partition, run) else { continue };
        if reached.is_some_and(|reached| range.1 < reached) {
            continue;
        }
        let mut after = after.map(<[u8]>::to_vec);
        loop {
            let (found, more) = replica.holdings(range, after.as_deref(), bytes_max)?;
            after = found.last().map(|last| last.key.to_vec());
            let ours = found.into_iter().filter(|h| sets_of(view, &h.key) == Some(sets));
            for holding in ours {
                bytes += holding.key.len() + size_of::<u64>();
                holdings.push(holding);
            }
            if bytes >= bytes_max {
                // There may be none behind; then the next page is empty.
                return Ok((holdings, true));
            }
            if !more {
                break;
            }
        }
    }
    Ok((holdings, false))
}

/// Cuts two pages at the key that both have reached, and returns that key if there is more behind it.
pub(super) fn cut(
    (ours, more_ours): (&mut Vec<Holding>, bool),
    (theirs, more_theirs): (&mut Vec<Holding>, bool),
) -> Option<Bytes> {
    let end = |page: &[Holding], more| page.last().filter(|_| more).map(|last| last.key.clone());
    let (our_end, their_end) = (end(ours, more_ours), end(theirs, more_theirs));
    let boundary = our_end.into_iter().chain(their_end).min()?;
    for page in [ours, theirs] {
        page.truncate(page.partition_point(|holding| holding.key <= boundary));
    }
    Some(boundary)
}

/// A message names so many keys at most.
fn check_count(keys: usize) -> Result<(), Failure> {
    if keys > RECORDS_MAX { Err(invalid("too many keys at once")) } else { Ok(()) }
}

fn invalid(detail: &str) -> Failure {
    Invalid::Message { detail: detail.to_owned() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(keys: &[&'static str]) -> Vec<Holding> {
        let holding =
            |key: &&'static str| Holding { key: Bytes::from_static(key.as_bytes()), digest: 1 };
        keys.iter().map(holding).collect()
    }

    /// Keys behind the shorter page are compared once both sides have them.
    #[test]
    fn pages_are_cut_where_the_shorter_one_ends() {
        let check =
            |ours: (&[&'static str], bool), theirs: (&[&'static str], bool), boundary, left| {
                let (mut our_page, mut their_page) = (page(ours.0), page(theirs.0));
                let reached = cut((&mut our_page, ours.1), (&mut their_page, theirs.1));
                let wanted: Option<&str> = boundary;
                assert_eq!(reached.as_deref(), wanted.map(str::as_bytes), "{ours:?} {theirs:?}");
                assert_eq!((our_page.len(), their_page.len()), left, "{ours:?} {theirs:?}");
            };
        check((&["a", "c"], false), (&["b", "d"], false), None, (2, 2));
        check((&["a", "c"], true), (&["b", "d"], false), Some("c"), (2, 1));
        check((&["a", "c"], true), (&["b", "d"], true), Some("c"), (2, 1));
        check((&["a", "z"], false), (&["b", "d"], true), Some("d"), (1, 2));
        check((&[], false), (&["b"], true), Some("b"), (0, 1));
    }
}
