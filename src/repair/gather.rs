//! Gathers what other replicas hold of keys that cannot be read here any more.
//!
//! Asked by `src/scrub` before it has a damaged file salvaged.
//!
//! 1. Plan: who else replicates the keys, in every datacenter; of ranges, the leaves that they touch.
//! 2. Forget the purge frontiers of their partitions: it is not true any more that everything up to there was seen.
//! 3. Fetch from each of them: single keys by name, ranges leaf by leaf. Records are joined here, durably, as operands: nothing
//!    has to be read for that.
//!
//! Invariants
//! - It is complete only if every other replica of every key has answered, and said all. A replica that cannot read its own
//!   leaf has not.
//! - Keys without another replica are never given up.

use std::collections::{BTreeMap, BTreeSet};

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::merkle::Leaf;
use atoll_protocol::put::Liveness;
use atoll_protocol::token::{Partition, Partitions, Token};
use atoll_storage::KeyRange;
use bytes::Bytes;

use super::Repair;
use super::plan::Share;
use super::purged::Mended;
use super::trouble::Trouble;
use crate::cluster::View;
use crate::replica::StoredKey;

/// What a gathering came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gathered {
    /// Every other replica has answered, and so many records were joined.
    Complete(usize),
    /// Of some keys there is no other replica.
    Alone,
    /// A replica is busy: ask again soon.
    Busy,
    /// A replica is away, or cannot say all it holds.
    Missing(String),
}

/// Who is asked for what.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    keys: BTreeMap<NodeIndex, Vec<Bytes>>,
    leaves: BTreeMap<(NodeIndex, Share), BTreeSet<Leaf>>,
    is_alone: bool,
}

impl Repair {
    /// Joins what all other replicas hold of `ranges` of stored keys into what is stored here.
    pub async fn gather(&self, ranges: &[KeyRange]) -> Gathered {
        let (view, own) = (self.parts.cluster.view(), self.parts.cluster.own());
        let plan = Plan::of(&view, own, ranges);
        if plan.is_alone {
            return Gathered::Alone;
        }
        let mut peers = plan.keys.keys().chain(plan.leaves.keys().map(|(peer, _)| peer));
        if let Some(away) = peers.find(|peer| self.parts.peers.liveness(**peer) != Liveness::Alive)
        {
            let name = view.topology.node(*away).map_or("?", |node| node.name.as_str());
            return Gathered::Missing(format!("node {name} is not connected"));
        }
        let partitions = view.topology.partitions();
        let touched: BTreeSet<Partition> =
            ranges.iter().flat_map(|range| partitions_of(partitions, range)).collect();
        if let Err(reason) = self.forget_frontiers(|partition| touched.contains(&partition)).await {
            return Gathered::Missing(reason);
        }
        match self.gather_planned(plan, ranges).await {
            Ok(records) => Gathered::Complete(records),
            Err(Trouble::Busy) => Gathered::Busy,
            Err(Trouble::Gone) => Gathered::Missing("a connection was lost".to_owned()),
            Err(Trouble::Failed(detail)) => Gathered::Missing(detail),
        }
    }

    /// Has everything hashed again that `ranges` touch.
    pub fn rehash(&self, ranges: &[KeyRange]) {
        let partitions = self.parts.replica.partitions();
        for partition in ranges.iter().flat_map(|range| partitions_of(partitions, range)) {
            self.parts.replica.marks().mark_all(partition);
        }
    }

    async fn gather_planned(&self, plan: Plan, ranges: &[KeyRange]) -> Result<usize, Trouble> {
        let mut mended = Mended::default();
        for (peer, keys) in plan.keys {
            self.fetch(peer, keys, &mut mended).await?;
        }
        for ((peer, share), leaves) in plan.leaves {
            let leaves = leaves.into_iter().collect();
            let fetching = self.fetch_everything((peer, share), leaves, Some(ranges), &mut mended);
            self.claimed(peer, share.partition, fetching).await?;
        }
        Ok(mended.fetched)
    }
}

impl Plan {
    fn of(view: &View, own: NodeIndex, ranges: &[KeyRange]) -> Self {
        let mut plan = Self::default();
        for range in ranges {
            if range.first == range.last {
                plan.add_key(view, own, &range.first);
            } else {
                plan.add_range(view, own, range);
            }
        }
        plan
    }

    fn add_key(&mut self, view: &View, own: NodeIndex, key: &Bytes) {
        // A keyspace that is not known here is nobody's to read.
        let keyspace = StoredKey::keyspace_in(key).and_then(|id| view.keyspaces.by_id(id));
        let (Some(keyspace), Some(token)) = (keyspace, StoredKey::head(key)) else { return };
        let partition = view.topology.partitions().partition_of(token);
        let nodes = view.replicas(keyspace, partition).nodes;
        for peer in self.others(own, &nodes) {
            self.keys.entry(peer).or_default().push(key.clone());
        }
    }

    fn add_range(&mut self, view: &View, own: NodeIndex, range: &KeyRange) {
        let partitions = view.topology.partitions();
        for (sets, keyspace) in view.representatives() {
            for partition in partitions_of(partitions, range) {
                let nodes = view.replicas(keyspace, partition).nodes;
                let share = Share { sets, partition };
                for peer in self.others(own, &nodes) {
                    let leaves = leaves_of(partitions, partition, range);
                    self.leaves.entry((peer, share)).or_default().extend(leaves);
                }
            }
        }
    }

    /// The replicas besides `own`; none if it is no replica itself: then nothing of it is asked for here.
    fn others<D>(&mut self, own: NodeIndex, nodes: &[(NodeIndex, D)]) -> Vec<NodeIndex> {
        let nodes: Vec<NodeIndex> = nodes.iter().map(|(node, _)| *node).collect();
        self.is_alone |= nodes == [own];
        if !nodes.contains(&own) {
            return Vec::new();
        }
        nodes.into_iter().filter(|node| *node != own).collect()
    }
}

/// First and last token of `range`.
fn tokens_of(range: &KeyRange) -> (Token, Token) {
    let first = StoredKey::head(&range.first).unwrap_or(Token(0));
    (first, StoredKey::head(&range.last).unwrap_or(Token(u64::MAX)))
}

/// The partitions that a range of stored keys touches.
fn partitions_of(
    partitions: Partitions,
    range: &KeyRange,
) -> impl Iterator<Item = Partition> + use<> {
    let (first, last) = tokens_of(range);
    (partitions.partition_of(first).0..=partitions.partition_of(last).0).map(Partition)
}

/// The leaves of `partition` that `range` touches.
fn leaves_of(
    partitions: Partitions,
    partition: Partition,
    range: &KeyRange,
) -> impl Iterator<Item = Leaf> {
    let (first, last) = tokens_of(range);
    Leaf::all().filter(move |leaf| {
        let tokens = leaf.token_range(partitions, partition);
        tokens.is_some_and(|(start, end)| start <= last && end >= first)
    })
}

/// Whether `key` lies in one of `ranges`, which ascend.
pub(super) fn is_within(ranges: &[KeyRange], key: &Bytes) -> bool {
    let at = ranges.partition_point(|range| range.last < *key);
    ranges.get(at).is_some_and(|range| range.first <= *key)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atoll_protocol::ids::KeyspaceId;
    use atoll_protocol::keyspace::KeyspaceMap;
    use atoll_protocol::topology::{Addresses, TopologyFile};

    use super::super::records::split;
    use super::*;

    fn view(text: &str) -> View {
        let topology = TopologyFile::parse(text).unwrap().check(Addresses::Optional).unwrap();
        let keyspaces = KeyspaceMap::new(&topology);
        View::new(Arc::new(topology), keyspaces)
    }

    fn key(number: usize) -> Bytes {
        StoredKey::new(KeyspaceId(1), format!("key {number}").as_bytes()).bytes().clone()
    }

    /// Every other replica of a key is asked for it, in every datacenter; and its leaf, where a range holds it.
    #[test]
    fn everybody_else_is_asked() {
        let view = view(include_str!("../../topology/three-dcs.toml"));
        let keyspace = view.keyspaces.iter().next().unwrap();
        let partitions = view.topology.partitions();
        for number in 0..50 {
            let stored = StoredKey::new(keyspace.id, format!("key {number}").as_bytes());
            let (key, token) = (stored.bytes().clone(), stored.token());
            let partition = stored.partition(partitions);
            let nodes: Vec<NodeIndex> = view
                .replicas(keyspace, partition)
                .nodes
                .into_iter()
                .map(|(node, _)| node)
                .collect();
            let (own, others) = nodes.split_first().unwrap();
            let others: BTreeSet<NodeIndex> = others.iter().copied().collect();
            let lone = KeyRange { first: key.clone(), last: key.clone() };
            let plan = Plan::of(&view, *own, &[lone]);
            assert_eq!(plan.keys.keys().copied().collect::<BTreeSet<_>>(), others);
            assert!(plan.keys.values().all(|keys| *keys == [key.clone()]) && !plan.is_alone);
            let last = Bytes::from([&key[..], b"x"].concat());
            let plan = Plan::of(&view, *own, &[KeyRange { first: key, last }]);
            assert_eq!(plan.leaves.len(), others.len());
            let leaf = BTreeSet::from([Leaf::of(token, partitions)]);
            for ((peer, share), leaves) in &plan.leaves {
                assert!(others.contains(peer) && share.partition == partition);
                assert_eq!(*leaves, leaf);
            }
        }
        let stranger = KeyRange { first: key(1), last: key(1) };
        let nobody = StoredKey::new(KeyspaceId(77), b"key").bytes().clone();
        let unknown = KeyRange { first: nobody.clone(), last: nobody };
        assert_eq!(Plan::of(&view, NodeIndex(0), &[unknown]), Plan::default());
        let plan = Plan::of(&view, NodeIndex(u16::MAX), &[stranger]);
        assert_eq!(plan, Plan::default(), "who is no replica has nothing to ask for");
    }

    #[test]
    fn a_range_touches_all_leaves_between_its_ends() {
        let partitions = Partitions::new(4).unwrap();
        let at = |token: u64| Bytes::copy_from_slice(&token.to_be_bytes());
        let range = KeyRange { first: at(1 << 62 | 255 << 54), last: at(3 << 62 | 1 << 54) };
        let touched: Vec<_> = partitions_of(partitions, &range).collect();
        assert_eq!(touched, [1, 2, 3].map(Partition));
        let leaves = |partition| leaves_of(partitions, Partition(partition), &range).count();
        assert_eq!([1, 2, 3].map(leaves), [1, 256, 2]);
    }

    #[test]
    fn only_wanted_records_are_taken_and_lengths_must_fit() {
        let keys = ["a", "c", "e"].map(|key| Bytes::from_static(key.as_bytes()));
        let ranges = [("b", "c"), ("e", "f")].map(|(first, last)| KeyRange {
            first: Bytes::from_static(first.as_bytes()),
            last: Bytes::from_static(last.as_bytes()),
        });
        let within = |lengths: &[u32], payload| {
            let mut records = split(&keys, lengths, payload)?;
            records.retain(|(key, _)| is_within(&ranges, key));
            Some(records)
        };
        let payload = Bytes::from_static(b"112223");
        let records = within(&[2, 3, 1], payload.clone()).unwrap();
        let (taken, values): (Vec<Bytes>, Vec<Bytes>) = records.into_iter().unzip();
        assert_eq!(taken, keys[1..]);
        assert_eq!(values, [&b"222"[..], b"3"]);
        for wrong in [&[2, 3][..], &[2, 3, 0], &[2, 3, 2], &[9, 9, 9]] {
            assert!(within(wrong, payload.clone()).is_none(), "{wrong:?}");
        }
    }
}
