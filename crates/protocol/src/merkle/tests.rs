//! Leaves tile partitions, trees depend on contents alone, comparisons find every difference.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::{Difference, Holding, Leaf, LeafHasher, ReplicaSets, Tree, compare};
use crate::ids::DcIndex;
use crate::token::{Partition, Partitions, Token};

fn partitions(log2: u32) -> Partitions {
    Partitions::new(1 << log2).unwrap()
}

#[test]
fn leaves_tile_every_partition() {
    for log2 in [0, 1, 10, 16] {
        let partitions = partitions(log2);
        for partition in
            [Partition(0), Partition(partitions.count() / 2), Partition(partitions.count() - 1)]
        {
            let (first, last) = partitions.token_range(partition).unwrap();
            let mut next = Some(first.0);
            for leaf in Leaf::all() {
                let (start, end) = leaf.token_range(partitions, partition).unwrap();
                assert_eq!(Some(start.0), next, "{log2} {partition} {leaf:?}");
                assert!([start, end].iter().all(|token| Leaf::of(*token, partitions) == leaf));
                next = end.0.checked_add(1);
            }
            assert_eq!(next, last.0.checked_add(1));
        }
        assert_eq!(Leaf(0).token_range(partitions, Partition(partitions.count())), None);
    }
}

/// Stored nowhere, but compared between versions of the binary. Computed with the reference library of xxHash.
#[test]
fn golden_hashes() {
    let mut hasher = LeafHasher::default();
    assert_eq!(hasher.finish(), 0);
    hasher.add(b"key", 7);
    let leaf = hasher.finish();
    let mut tree = Tree::default();
    assert_eq!(tree.root(), 0);
    tree.set(Leaf(3), leaf);
    let sets = ReplicaSets::of([(DcIndex(0), 3), (DcIndex(1), 2)]);
    let golden = (520_417_768_532_066_234, 11_466_567_953_093_795_401, 6_953_994_028_147_866_634);
    assert_eq!((leaf, tree.root(), sets.0), golden);
}

#[test]
fn replica_sets_depend_on_factors_alone() {
    let (a, b) = (DcIndex(0), DcIndex(1));
    let sets = ReplicaSets::of([(a, 3), (b, 2)]);
    assert_eq!(sets, ReplicaSets::of([(b, 2), (a, 3)]));
    assert_eq!(ReplicaSets::of([(a, 3)]), ReplicaSets::of([(a, 3), (b, 0)]));
    for other in [[(a, 2), (b, 3)], [(a, 3), (b, 3)]] {
        assert_ne!(sets, ReplicaSets::of(other));
    }
}

type Contents = BTreeMap<Vec<u8>, u64>;

fn tree(contents: &Contents) -> Tree {
    let mut hashers: BTreeMap<Leaf, LeafHasher> = BTreeMap::new();
    for (key, digest) in contents {
        hashers.entry(leaf_of(key)).or_default().add(key, *digest);
    }
    let mut tree = Tree::default();
    hashers.iter().for_each(|(leaf, hasher)| tree.set(*leaf, hasher.finish()));
    tree
}

fn leaf_of(key: &[u8]) -> Leaf {
    Leaf::of(Token(u64::from(key.first().copied().unwrap_or(0)) << 56), partitions(0))
}

fn holdings(contents: &Contents) -> Vec<Holding> {
    contents
        .iter()
        .map(|(key, digest)| Holding { key: Bytes::from(key.clone()), digest: *digest })
        .collect()
}

proptest! {
    #[test]
    fn trees_differ_in_the_leaves_of_different_keys_only(
        ours in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 1..4), 0u64..3, 0..40),
        changes in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..4), prop::option::of(0u64..3)), 0..8),
    ) {
        let mut theirs = ours.clone();
        for (key, digest) in changes {
            match digest {
                Some(digest) => drop(theirs.insert(key, digest)),
                None => drop(theirs.remove(&key)),
            }
        }
        let (our_list, their_list) = (holdings(&ours), holdings(&theirs));
        let differences = compare(&our_list, &their_list);
        let (our_tree, their_tree) = (tree(&ours), tree(&theirs));
        let mut leaves: Vec<Leaf> = differences.iter().map(|difference| {
            let key = match difference {
                Difference::Ours(key) | Difference::Theirs(key) => key,
                Difference::Both(held) => &held.key,
            };
            leaf_of(key)
        }).collect();
        leaves.dedup();
        prop_assert_eq!(our_tree.differing(&their_tree).collect::<Vec<_>>(), leaves);
        prop_assert_eq!(our_tree.root() == their_tree.root(), ours == theirs);
        // Taking over what differs makes the two equal.
        let mut healed = ours.clone();
        for difference in &differences {
            match difference {
                Difference::Ours(key) => drop(healed.remove(&key[..])),
                Difference::Theirs(key) => drop(healed.insert(key.to_vec(), theirs[&key[..]])),
                Difference::Both(held) => {
                    prop_assert_eq!(held.digest, theirs[&held.key[..]]);
                    healed.insert(held.key.to_vec(), held.digest);
                }
            }
        }
        prop_assert_eq!(healed, theirs);
    }
}
