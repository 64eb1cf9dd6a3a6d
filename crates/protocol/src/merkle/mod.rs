//! Hash trees over a partition: how two replicas find out cheaply what they hold differently.
//!
//! Kept up to date and exchanged by `src/repair`; this module only says what a tree is.
//!
//! ```text
//! root ── 256 leaves ── the keys of a 256th of the partition's tokens, in key order, with their records' digests
//! ```
//!
//! 1. A replica hashes the keys of a leaf with the digests of their records ([`LeafHasher`]); values are not read.
//! 2. Two replicas compare roots, then leaves ([`Tree::differing`]), then keys and digests of the leaves that differ
//!    ([`compare`]), and ship the records that one of them lacks.
//! 3. Keyspaces with the same replicas share a tree, others do not ([`ReplicaSets`]): else a replica would miss, in its
//!    peer's leaves, keys that the peer alone replicates.
//!
//! Invariants
//! - A tree is a function of the stored keys and digests: neither the order of writes nor restarts change it.
//! - An empty leaf hashes to 0, and a leaf with a key never does.
//!
//! Absent: levels between root and leaves. 256 leaves are 2 KiB; a level of branches would save most of it and cost a
//! round trip between datacenters.
//!
//! Source: Dynamo, SOSP 2007, §4.7; leaves as contiguous token ranges follow from storing keys in token order.

mod compare;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::ids::DcIndex;
use crate::token::{Partition, Partitions, Token};

pub use compare::{Difference, Holding, compare};

/// Leaves of one tree.
pub const LEAVES: usize = 256;

/// Bits of a token, below its partition's, that name its leaf.
const LEAF_BITS: u32 = LEAVES.trailing_zeros();

/// One of the equal slices of a partition's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Leaf(pub u8);

impl Leaf {
    /// The leaf that `token` lies in, within its partition.
    pub fn of(token: Token, partitions: Partitions) -> Self {
        let below_partition = token.0 << partitions.count().trailing_zeros();
        Self((below_partition >> (u64::BITS - LEAF_BITS)) as u8)
    }

    /// First and last token of the leaf of `partition`, both inclusive; `None` when there is no such partition.
    pub fn token_range(
        self,
        partitions: Partitions,
        partition: Partition,
    ) -> Option<(Token, Token)> {
        let (first, last) = partitions.token_range(partition)?;
        let width_minus_one = (last.0 - first.0) >> LEAF_BITS;
        let start = first.0 + u64::from(self.0) * (width_minus_one + 1);
        Some((Token(start), Token(start + width_minus_one)))
    }

    /// All leaves in token order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + Clone {
        (0..=u8::MAX).map(Self)
    }
}

/// Which nodes replicate a keyspace, as a number that is the same on every node: keyspaces with the same replication
/// factors in the same datacenters have the same replicas of every partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReplicaSets(pub u64);

impl ReplicaSets {
    /// Of replication factors by datacenter.
    pub fn of(factors: impl IntoIterator<Item = (DcIndex, u8)>) -> Self {
        let mut sorted: Vec<_> = factors.into_iter().filter(|(_, factor)| *factor > 0).collect();
        sorted.sort_unstable();
        let bytes: Vec<u8> = sorted.iter().flat_map(|(dc, factor)| [dc.0, *factor]).collect();
        Self(xxh3_64(&bytes))
    }
}

/// The digest of an encoded record: what the storage engine computes of every value that it stores.
pub fn record_digest(encoded: &[u8]) -> u64 {
    xxh3_64(encoded)
}

/// Hashes the keys of one leaf, in ascending order.
#[derive(Default)]
pub struct LeafHasher {
    hash: Xxh3,
    keys: u64,
}

impl LeafHasher {
    /// Adds a key, as it is stored, with the digest of its record.
    pub fn add(&mut self, key: &[u8], digest: u64) {
        self.hash.update(&(key.len() as u64).to_le_bytes());
        self.hash.update(key);
        self.hash.update(&digest.to_le_bytes());
        self.keys += 1;
    }

    /// The leaf's hash: 0 if it has no key.
    pub fn finish(&self) -> u64 {
        if self.keys == 0 { 0 } else { self.hash.digest().max(1) }
    }
}

/// The hashes of one partition's leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    leaves: Box<[u64; LEAVES]>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { leaves: Box::new([0; LEAVES]) }
    }
}

impl Tree {
    /// A tree of these leaves; `None` if they are not [`LEAVES`] many.
    pub fn from_leaves(leaves: &[u64]) -> Option<Self> {
        Some(Self { leaves: Box::new(leaves.try_into().ok()?) })
    }

    /// The hashes, in token order.
    pub fn leaves(&self) -> &[u64] {
        self.leaves.as_slice()
    }

    /// Sets the hash of a leaf.
    pub fn set(&mut self, leaf: Leaf, hash: u64) {
        if let Some(place) = self.leaves.get_mut(usize::from(leaf.0)) {
            *place = hash;
        }
    }

    /// Hash of all leaves: 0 if none has a key.
    pub fn root(&self) -> u64 {
        if self.leaves.iter().all(|leaf| *leaf == 0) {
            return 0;
        }
        let mut hash = Xxh3::new();
        self.leaves.iter().for_each(|leaf| hash.update(&leaf.to_le_bytes()));
        hash.digest().max(1)
    }

    /// The leaves whose hashes are not those of `other`.
    pub fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Leaf> + 'a {
        let pairs = self.leaves.iter().zip(other.leaves.iter());
        Leaf::all().zip(pairs).filter(|(_, (ours, theirs))| ours != theirs).map(|(leaf, _)| leaf)
    }
}
