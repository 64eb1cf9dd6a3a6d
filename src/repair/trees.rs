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

use std::collections::BTreeMap;

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
        let updated = trees.update((view, replica), partition);
        Some(updated.map(|()| trees.by_sets.get(&sets).cloned().unwrap_or_default()))
    }

    /// Whether the trees of `partition`, brought up to date, are what hashing everything anew gives. Blocks on disk.
    ///
    /// A write that can be read and has not marked its leaf yet looks like a wrong tree: ask again after a while.
    ///
    /// # Errors
    /// What the replica says of a leaf that cannot be read.
    pub(super) fn verify(
        &self,
        (view, replica): (&View, &Replica),
        partition: Partition,
    ) -> Result<Purity, ReplicaError> {
        let Some(slot) = self.partitions.get(partition.0 as usize) else {
            return Ok(Purity::Pure);
        };
        let mut trees = slot.lock();
        trees.update((view, replica), partition)?;
        let mut fresh = PartitionTrees { keyspaces: trees.keyspaces, ..PartitionTrees::default() };
        let leaves: Vec<Leaf> = Leaf::all().collect();
        fresh.hash((view, replica), partition, &leaves)?;
        if replica.marks().has_any(partition) {
            return Ok(Purity::Written);
        }
        // A tree without a key is as good as none.
        trees.by_sets.retain(|_, tree| tree.root() != 0);
        if trees.by_sets == fresh.by_sets {
            return Ok(Purity::Pure);
        }
        Ok(Purity::Impure)
    }
}

/// What a second look at the trees of a partition has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purity {
    /// They are those of what is stored.
    Pure,
    /// They are not.
    Impure,
    /// The partition was written meanwhile; nothing is known.
    Written,
}

impl PartitionTrees {
    /// Brings the trees up to date.
    fn update(
        &mut self,
        (view, replica): (&View, &Replica),
        partition: Partition,
    ) -> Result<(), ReplicaError> {
        let keyspaces = view.keyspaces.digest();
        if self.keyspaces != keyspaces {
            *self = Self { keyspaces, ..Self::default() };
            replica.marks().mark_all(partition);
        }
        let marked = replica.marks().take(partition);
        let hashed = self.hash((view, replica), partition, &marked);
        if hashed.is_err() {
            replica.marks().mark_all(partition);
        }
        hashed
    }

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atoll_protocol::ids::{Incarnation, KeyspaceId};
    use atoll_protocol::keyspace::{Conflict, KeyspaceMap};
    use atoll_protocol::record::Record;
    use atoll_protocol::topology::{Addresses, TopologyFile};
    use atoll_storage::{Batch, Engine, Options, RealDisk};

    use super::*;
    use crate::env::RealEnv;
    use crate::replica::{JoinRecords, Life};
    use crate::tasks::Tasks;

    #[tokio::test]
    async fn a_write_that_marked_nothing_makes_a_wrong_tree() {
        let text = include_str!("../../topology/single-dc.toml");
        let topology = TopologyFile::parse(text).unwrap().check(Addresses::Optional).unwrap();
        let view = View::new(Arc::new(topology.clone()), KeyspaceMap::new(&topology));
        let folder = tempfile::TempDir::new().unwrap();
        let disk = Arc::new(RealDisk::new(folder.path()));
        let engine =
            Arc::new(Engine::open(disk, Options::default(), Arc::new(JoinRecords)).unwrap());
        let (env, partitions) = (RealEnv::create(), topology.partitions());
        let life =
            Life { incarnation: Incarnation(1), minted: BTreeMap::new(), frontiers: Vec::new() };
        let tasks = Tasks::new(env.clone());
        let replica = Replica::start(env, &tasks, engine.clone(), partitions, life);
        let (trees, eyes) = (Trees::new(partitions.count()), (&view, &replica));
        let key = StoredKey::new(KeyspaceId(1), b"key");
        let partition = key.partition(partitions);
        assert_eq!(trees.verify(eyes, partition).unwrap(), Purity::Pure);

        let mut batch = Batch::new();
        batch.put(key.as_bytes(), &Record::empty(Conflict::Siblings).encode());
        engine.write(batch).unwrap();
        assert_eq!(trees.verify(eyes, partition).unwrap(), Purity::Impure);
        assert_eq!(trees.verify(eyes, partition).unwrap(), Purity::Impure, "it stays so");
        replica.marks().mark(key.token());
        let sets = view.replica_sets_by_id(KeyspaceId(1)).unwrap();
        let tree = trees.tree(eyes, sets, partition).unwrap().unwrap();
        assert_ne!(tree.root(), 0);
        assert_eq!(trees.verify(eyes, partition).unwrap(), Purity::Pure);
    }
}
