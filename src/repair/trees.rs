//! The Merkle trees of this node's partitions, brought up to date when somebody asks.
//!
//! 1. Writes mark leaves (`replica::LeafMarks`). Whoever wants a tree takes the marks of its partition and hashes those
//!    leaves again, from keys and digests; values are not read.
//! 2. One scan serves all keyspaces of a leaf, each added to the tree of its replica sets.
//! 3. Keyspaces that became known, or were replaced, put their keys into trees: everything is hashed again then.
//!
//! Trees live in memory: 2 KiB per partition and replica sets that hold a key. A restart hashes everything once.
//!
//! Invariant: a tree is returned only if every leaf of it was hashed after its last mark was taken; an error puts the
//! marks back.

use std::collections::{BTreeMap, BTreeSet};

use atoll_protocol::merkle::{Leaf, LeafHasher, ReplicaSets, Tree};
use atoll_protocol::token::{Partition, Token};
use parking_lot::Mutex;

use super::ranges::{runs_of, sets_of, tokens_of};
use crate::cluster::View;
use crate::replica::{Replica, ReplicaError, StoredKey};

/// Bytes of keys read at once: some thousand of them, a few milliseconds.
const PAGE_BYTES: usize = 256 * 1_024;

/// The trees of all partitions.
pub(super) struct Trees {
    partitions: Box<[Mutex<PartitionTrees>]>,
}

#[derive(Default)]
struct PartitionTrees {
    /// Digest of the keyspaces that the trees were made with.
    keyspaces: u64,
    by_sets: BTreeMap<ReplicaSets, Tree>,
}

impl Trees {
    /// No tree yet, for so many partitions.
    pub(super) fn new(count: u32) -> Self {
        Self { partitions: (0..count).map(|_| Mutex::default()).collect() }
    }

    /// The tree of `partition` over the keyspaces with these replica sets, as of now. Blocks on disk.
    ///
    /// # Errors
    /// What the replica says of a leaf that cannot be read; `None` if there is no such partition.
    pub(super) fn tree(
        &self,
        (view, replica): (&View, &Replica),
        sets: ReplicaSets,
        partition: Partition,
    ) -> Option<Result<Tree, ReplicaError>> {
        // Held while the disk is read: two who want one tree hash it once.
        let mut trees = self.partitions.get(partition.0 as usize)?.lock();
        let keyspaces = view.keyspaces.digest();
        if trees.keyspaces != keyspaces {
            *trees = PartitionTrees { keyspaces, ..PartitionTrees::default() };
            replica.marks().mark_all(partition);
        }
        let marked = replica.marks().take(partition);
        let hashed = trees.hash((view, replica), partition, &marked);
        if let Err(error) = hashed {
            replica.marks().mark_all(partition);
            return Some(Err(error));
        }
        Some(Ok(trees.by_sets.get(&sets).cloned().unwrap_or_default()))
    }
}

impl Trees {
    /// Whether the trees of `partition`, brought up to date, are what hashing everything anew gives. Blocks on disk.
    ///
    /// # Errors
    /// What the replica says of a leaf that cannot be read.
    pub(super) fn is_pure(
        &self,
        (view, replica): (&View, &Replica),
        partition: Partition,
    ) -> Result<bool, ReplicaError> {
        let sets: BTreeSet<ReplicaSets> =
            view.keyspaces.iter().map(|keyspace| view.replica_sets(keyspace)).collect();
        let mut fresh = PartitionTrees::default();
        let leaves: Vec<Leaf> = Leaf::all().collect();
        fresh.hash((view, replica), partition, &leaves)?;
        for sets in sets {
            let Some(tree) = self.tree((view, replica), sets, partition) else { continue };
            let wanted = fresh.by_sets.get(&sets).cloned().unwrap_or_default();
            if tree? != wanted {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl PartitionTrees {
    /// Hashes `leaves` of all trees again.
    fn hash(
        &mut self,
        (view, replica): (&View, &Replica),
        partition: Partition,
        leaves: &[Leaf],
    ) -> Result<(), ReplicaError> {
        for tree in self.by_sets.values_mut() {
            leaves.iter().for_each(|leaf| tree.set(*leaf, 0));
        }
        let partitions = replica.partitions();
        for run in runs_of(leaves) {
            let Some(range) = tokens_of(partitions, partition, run) else {
                continue;
            };
            let mut leaf = OpenLeaf::default();
            let mut after = None;
            loop {
                let (page, more) = replica.holdings(range, after.as_deref(), PAGE_BYTES)?;
                for holding in &page {
                    let Some(sets) = sets_of(view, &holding.key) else { continue };
                    let token = StoredKey::head(&holding.key).unwrap_or(Token(0));
                    leaf.enter(Leaf::of(token, partitions), &mut self.by_sets);
                    leaf.hashers.entry(sets).or_default().add(&holding.key, holding.digest);
                }
                after = page.last().map(|last| last.key.to_vec());
                if !more {
                    break;
                }
            }
            leaf.close(&mut self.by_sets);
        }
        Ok(())
    }
}

/// The leaf whose keys are being hashed.
#[derive(Default)]
struct OpenLeaf {
    leaf: Option<Leaf>,
    hashers: BTreeMap<ReplicaSets, LeafHasher>,
}

impl OpenLeaf {
    /// Goes on to `leaf`, if that is another one.
    fn enter(&mut self, leaf: Leaf, trees: &mut BTreeMap<ReplicaSets, Tree>) {
        if self.leaf != Some(leaf) {
            self.close(trees);
            self.leaf = Some(leaf);
        }
    }

    fn close(&mut self, trees: &mut BTreeMap<ReplicaSets, Tree>) {
        let Some(leaf) = self.leaf.take() else { return };
        for (sets, hasher) in std::mem::take(&mut self.hashers) {
            trees.entry(sets).or_default().set(leaf, hasher.finish());
        }
    }
}
