//! One partition, compared and mended on this node's initiative.
//!
//! 1. Leaves are compared; the partition is claimed on both sides from here on.
//! 2. Keys and digests of the leaves that differ are compared page by page; both pages are cut at the key that the
//!    shorter one reaches.
//! 3. What the peer has and we lack is fetched and joined here, durably; then what the peer lacks is sent.
//!
//! Invariant: pages, requests and what is held in memory are bounded, however much differs.

use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::merkle::{
    Difference, Holding, Leaf, ReplicaSets, Tree, compare, record_digest,
};
use atoll_protocol::token::Partition;
use atoll_protocol::wire::{
    HOLDINGS_BYTES_MAX, PeerReply, PeerRequest, RECORDS_MAX, RepairReply, RepairRequest,
};
use atoll_seeded_bug::{Mutant, seeded_bug};
use atoll_storage::KeyRange;
use bytes::Bytes;

use super::claims::Side;
use super::gather::is_within;
use super::plan::Share;
use super::purged::{Lives, Mended};
use super::records::{malformed, split};
use super::serve::cut;
use super::trouble::Trouble;
use super::{RecordBatch, Repair, count};
use crate::net::CallError;
use crate::replica::{Reach, ReplicaError, StoredKey};

/// Longest wait for one answer: the slowest reads a page from a busy disk, far away.
const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// What of a page has to move.
#[derive(Default)]
struct Errand {
    fetch: Vec<Bytes>,
    /// Keys to send, with the digest of the record that the peer has.
    send: Vec<(Bytes, Option<u64>)>,
}

/// What the roots of some partitions have shown.
pub(super) struct Compared {
    pub(super) differing: Vec<Partition>,
    pub(super) equal: Vec<Partition>,
    /// Whether the two have different purge frontiers somewhere there.
    pub(super) frontiers_differ: bool,
    pub(super) lives: Lives,
}

impl Repair {
    /// The partitions whose roots are not the peer's, and whether frontiers are not.
    pub(super) async fn differing(
        &self,
        peer: NodeIndex,
        sets: ReplicaSets,
        partitions: Vec<Partition>,
    ) -> Result<Compared, Trouble> {
        let request = RepairRequest::Roots { sets, partitions: partitions.clone() };
        let reply = self.ask(peer, request, Bytes::new()).await?.0;
        let ours = self.parts.replica.incarnation();
        let RepairReply::Roots { roots: theirs, frontiers, incarnation } = reply else {
            return Err(unexpected());
        };
        let lives = Lives { peer, ours, theirs: incarnation };
        if theirs.len() != partitions.len() {
            return Err(unexpected());
        }
        count(&self.parts.counters.compared, partitions.len());
        let ours = self.roots(sets, partitions.clone()).await?;
        let frontiers_differ = self.frontiers_digest(sets, &partitions) != frontiers;
        let pairs = partitions.into_iter().zip(ours.into_iter().zip(theirs));
        let (differing, equal): (Vec<_>, Vec<_>) =
            pairs.partition(|(_, (our, their))| our != their);
        let names =
            |pairs: Vec<(Partition, (u64, u64))>| pairs.into_iter().map(|(of, _)| of).collect();
        let (differing, equal) = (names(differing), names(equal));
        Ok(Compared { differing, equal, frontiers_differ, lives })
    }

    /// Compares one partition with `peer` and mends what differs.
    pub(super) async fn mend(&self, peer: NodeIndex, share: Share) -> Result<(), Trouble> {
        self.claimed(peer, share.partition, self.mend_claimed(peer, share)).await
    }

    /// Does `work` while `partition` is claimed for `peer`, on both sides, and releases it there, too.
    pub(super) async fn claimed<T>(
        &self,
        peer: NodeIndex,
        partition: Partition,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let claim = (peer, Side::Initiator);
        if !self.parts.claims.claim(partition, claim, self.parts.env.mono()) {
            return Err(Trouble::Busy);
        }
        let done = work.await;
        self.parts.claims.release(partition, claim);
        if !matches!(done, Err(Trouble::Busy | Trouble::Gone)) {
            // Otherwise the peer's claim ends by itself.
            let _ = self.ask(peer, RepairRequest::Done { partition }, Bytes::new()).await;
        }
        done
    }

    async fn mend_claimed(&self, peer: NodeIndex, share: Share) -> Result<(), Trouble> {
        let Share { sets, partition } = share;
        let request = RepairRequest::Leaves { sets, partition };
        let ours = self.parts.replica.incarnation();
        let reply = self.ask(peer, request, Bytes::new()).await?.0;
        let RepairReply::Leaves { leaves: theirs, incarnation } = reply else {
            return Err(unexpected());
        };
        let (lives, mut mended) = (Lives { peer, ours, theirs: incarnation }, Mended::default());
        let theirs = Tree::from_leaves(&theirs).ok_or_else(unexpected)?;
        let ours = self.tree(sets, partition).await?;
        let is_empty = |leaf: &Leaf| ours.leaves().get(usize::from(leaf.0)) == Some(&0);
        let (lacking, differing) = ours.differing(&theirs).partition::<Vec<_>, _>(is_empty);
        self.fetch_everything((peer, share), lacking, None, &mut mended).await?;
        self.mend_leaves((peer, share), differing, &mut mended).await?;
        if mended.fetched > 0 {
            self.pass_on(peer, share);
        }
        self.settle_purged(lives, share, mended).await
    }

    /// Fetches all that `leaves` hold there, because they hold nothing here, or of all `wanted`.
    pub(super) async fn fetch_everything(
        &self,
        (peer, Share { sets, partition }): (NodeIndex, Share),
        leaves: Vec<Leaf>,
        wanted: Option<&[KeyRange]>,
        mended: &mut Mended,
    ) -> Result<(), Trouble> {
        let mut after: Option<Bytes> = None;
        while !leaves.is_empty() {
            let step = self.step(peer);
            let now = self.parts.env.mono();
            self.parts.claims.claim(partition, (peer, Side::Initiator), now);
            let (asked, from) = (leaves.clone(), after.clone());
            let request = RepairRequest::Everything { sets, partition, leaves: asked, after: from };
            let (reply, payload) = self.ask(peer, request, Bytes::new()).await?;
            let RepairReply::Everything { keys, lengths, more } = reply else {
                return Err(unexpected());
            };
            let goes_on = keys.first().is_none_or(|first| Some(first) > after.as_ref());
            if !goes_on || !keys.is_sorted_by(|left, right| left < right) {
                return Err(unexpected());
            }
            let mut records = split(&keys, &lengths, payload).ok_or_else(malformed)?;
            records.retain(|(key, _)| wanted.is_none_or(|wanted| is_within(wanted, key)));
            let joined = self.join_records(records).await?;
            count(&self.parts.counters.fetched, joined.records - joined.purged.len());
            mended.fetched += joined.records;
            mended.ours.extend(joined.purged);
            if !more || keys.is_empty() {
                break;
            }
            after = keys.last().cloned();
            self.rest_after(step).await;
        }
        Ok(())
    }

    /// Compares `leaves` key by key and mends what differs, both ways.
    async fn mend_leaves(
        &self,
        (peer, Share { sets, partition }): (NodeIndex, Share),
        leaves: Vec<Leaf>,
        mended: &mut Mended,
    ) -> Result<(), Trouble> {
        let mut after: Option<Bytes> = None;
        while !leaves.is_empty() {
            let step = self.step(peer);
            let now = self.parts.env.mono();
            self.parts.claims.claim(partition, (peer, Side::Initiator), now);
            let (wanted, from) = (leaves.clone(), after.clone());
            let request = RepairRequest::Holdings { sets, partition, leaves: wanted, after: from };
            let (reply, _) = self.ask(peer, request, Bytes::new()).await?;
            let RepairReply::Holdings { holdings: mut theirs, more: more_theirs } = reply else {
                return Err(unexpected());
            };
            let (wanted, from) = (leaves.clone(), after.clone());
            let page = self.holdings((sets, partition), wanted, from, HOLDINGS_BYTES_MAX).await?;
            let (mut ours, more_ours) = page;
            after = cut((&mut ours, more_ours), (&mut theirs, more_theirs));
            let Errand { fetch, send } = errand(&ours, &theirs)?;
            self.fetch(peer, fetch, mended).await?;
            if !seeded_bug(Mutant::RepairNeverSends) {
                self.send(peer, send, mended).await?;
            }
            if after.is_none() {
                break;
            }
            self.rest_after(step).await;
        }
        Ok(())
    }

    /// Fetches the records of `keys` and joins them here.
    pub(super) async fn fetch(
        &self,
        peer: NodeIndex,
        keys: Vec<Bytes>,
        mended: &mut Mended,
    ) -> Result<(), Trouble> {
        for keys in keys.chunks(RECORDS_MAX) {
            let mut left = keys;
            while !left.is_empty() {
                let request = RepairRequest::Fetch { keys: left.to_vec() };
                let (reply, payload) = self.ask(peer, request, Bytes::new()).await?;
                let RepairReply::Records { lengths } = reply else { return Err(unexpected()) };
                let (these, rest) = left.split_at_checked(lengths.len()).ok_or_else(unexpected)?;
                if these.is_empty() {
                    return Err(unexpected());
                }
                let joined = self.join(these, &lengths, payload).await?;
                count(&self.parts.counters.fetched, joined.records - joined.purged.len());
                mended.fetched += joined.records;
                mended.ours.extend(joined.purged);
                left = rest;
            }
        }
        Ok(())
    }

    /// Sends our records of `keys`, except those that are what the peer has.
    async fn send(
        &self,
        peer: NodeIndex,
        keys: Vec<(Bytes, Option<u64>)>,
        mended: &mut Mended,
    ) -> Result<(), Trouble> {
        let mut keys = keys.into_iter().peekable();
        while keys.peek().is_some() {
            let replica = self.parts.replica.clone();
            let (batch, rest) = self
                .parts
                .env
                .blocking(move || {
                    let mut batch = RecordBatch::default();
                    while let Some((key, theirs)) = keys.peek() {
                        if batch.is_full() {
                            break;
                        }
                        let stored = StoredKey::parse(key.clone()).ok_or_else(|| {
                            ReplicaError::Storage("a stored key is malformed".to_owned())
                        })?;
                        let record = replica.read_encoded(&stored, Reach::Disk)?;
                        let lacks = |record: &Bytes| Some(record_digest(record)) != *theirs;
                        if let Some(record) = record.filter(lacks) {
                            batch.add(key.clone(), &record);
                        }
                        keys.next();
                    }
                    Ok::<_, ReplicaError>((batch, keys))
                })
                .await?;
            keys = rest;
            if batch.keys.is_empty() {
                continue;
            }
            count(&self.parts.counters.sent, batch.keys.len());
            let RecordBatch { keys: stored, lengths, payload } = batch;
            let request = RepairRequest::Store { keys: stored, lengths };
            let (reply, _) = self.ask(peer, request, Bytes::from(payload)).await?;
            let RepairReply::Stored { purged } = reply else { return Err(unexpected()) };
            mended.theirs.extend(purged);
        }
        Ok(())
    }

    /// What came from another datacenter is news to our neighbours.
    pub(super) fn pass_on(&self, from: NodeIndex, share: Share) {
        let view = self.parts.cluster.view();
        let own_dc = self.parts.cluster.own_dc();
        if view.topology.node(from).is_none_or(|node| node.dc == own_dc) {
            return;
        }
        let Some(keyspace) = view.keyspaces.iter().find(|k| view.replica_sets(k) == share.sets)
        else {
            return;
        };
        let replicas = view.replicas(keyspace, share.partition).nodes;
        let neighbours = replicas
            .into_iter()
            .filter(|(node, dc)| *dc == own_dc && *node != self.parts.cluster.own());
        neighbours.for_each(|(node, _)| self.parts.owed.add(node, share));
    }

    pub(super) async fn ask(
        &self,
        peer: NodeIndex,
        request: RepairRequest,
        payload: Bytes,
    ) -> Result<(RepairReply, Bytes), Trouble> {
        let began = self.parts.env.mono();
        let (request, deadline) = (PeerRequest::Tree(request), began.after(CALL_DEADLINE));
        let answered = self.parts.peers.call_counted(peer, &request, payload, deadline).await;
        self.note_answer(peer, began);
        let answered = match answered {
            Ok(answered) => answered,
            Err(CallError::NotSent | CallError::Lost) => return Err(Trouble::Gone),
            Err(error) => return Err(Trouble::Failed(error.to_string())),
        };
        count(&self.parts.counters.wire_bytes, answered.wire_bytes);
        match answered.reply {
            PeerReply::Tree(RepairReply::Busy) => Err(Trouble::Busy),
            PeerReply::Tree(reply) => Ok((reply, answered.payload)),
            PeerReply::Failed(failure) => Err(Trouble::Failed(format!("the peer says: {failure}"))),
            _ => Err(unexpected()),
        }
    }
}

/// What has to move so that both sides hold the join.
fn errand(ours: &[Holding], theirs: &[Holding]) -> Result<Errand, Trouble> {
    if !theirs.is_sorted_by(|left, right| left.key < right.key) {
        return Err(unexpected());
    }
    let mut errand = Errand::default();
    for difference in compare(ours, theirs) {
        match difference {
            Difference::Theirs(key) => errand.fetch.push(key.clone()),
            Difference::Ours(key) => errand.send.push((key.clone(), None)),
            Difference::Both(held) => {
                errand.fetch.push(held.key.clone());
                // Unless the join turns out to be what the peer has.
                errand.send.push((held.key.clone(), Some(held.digest)));
            }
        }
    }
    Ok(errand)
}

pub(super) fn unexpected() -> Trouble {
    Trouble::Failed("the peer's answer does not fit the question".to_owned())
}
