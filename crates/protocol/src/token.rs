//! From a key to its token to its partition.
//!
//! Used by everybody who routes (client, coordinator), who stores (keys lie in token order) and who repairs (a
//! partition is the unit of placement, streaming and Merkle trees).
//!
//! 1. `token = xxh3_64_with_seed(key bytes, seed = keyspace id)`: the keyspace id is the seed and is not hashed as
//!    input, so one call over the key suffices and equal keys of two keyspaces lie apart.
//! 2. `partition = token >> (64 - log2(partitions))`: the top bits, so that a partition is a contiguous token range.
//!
//! Invariants
//! - The number of partitions is a power of two, 1..=[`PARTITIONS_MAX`], and never changes in a cluster's life.
//! - The ranges of all partitions cover every token exactly once, in partition order.
//!
//! Units: a token is a point of the 64-bit hash space. Persistent: golden vectors in the tests pin both functions.
//! Source: DeCandia et al., "Dynamo", SOSP 2007, §6.2 (strategy 3: equal fixed partitions).

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::ids::KeyspaceId;
use crate::limits::PARTITIONS_MAX;

#[cfg(test)]
mod tests;

/// Position of a key in the hash space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token(pub u64);

impl Token {
    /// The token of `key` in `keyspace`. Cost: one hash over the key.
    pub fn of(keyspace: KeyspaceId, key: &[u8]) -> Self {
        Self(xxh3_64_with_seed(key, keyspace.0))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One of the equal slices of the hash space. Meaningless without the cluster's [`Partitions`].
#[doc(alias = "vnode")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Partition(pub u32);

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// How many partitions the cluster has: a power of two, 1..=[`PARTITIONS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Partitions(u32);

/// Why a number is not a count of partitions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{got} partitions: the count must be a power of two from 1 to {PARTITIONS_MAX}")]
pub struct PartitionsError {
    /// The number as it was given.
    pub got: u32,
}

impl Partitions {
    /// 1 024: at 9 nodes and RF 3 a node holds 341 partitions, so one partition is 0.3 % of its load.
    pub const DEFAULT: Self = Self(1_024);

    /// Checks `count`.
    ///
    /// # Errors
    /// [`PartitionsError`] when it is not a power of two or exceeds [`PARTITIONS_MAX`].
    pub fn new(count: u32) -> Result<Self, PartitionsError> {
        if count.is_power_of_two() && count <= PARTITIONS_MAX {
            Ok(Self(count))
        } else {
            Err(PartitionsError { got: count })
        }
    }

    /// The count as a number.
    pub const fn count(self) -> u32 {
        self.0
    }

    /// The partition that `token` lies in.
    pub fn partition_of(self, token: Token) -> Partition {
        // One partition has a shift of 64 bits, which `>>` does not allow.
        let top_bits = token.0.checked_shr(self.shift()).unwrap_or(0);
        let partition = Partition(u32::try_from(top_bits).unwrap_or(u32::MAX));
        debug_assert!(self.contains(partition), "top bits are below the count");
        partition
    }

    /// First and last token of `partition`, both inclusive; `None` when this cluster has no such partition.
    pub fn token_range(self, partition: Partition) -> Option<(Token, Token)> {
        if !self.contains(partition) {
            return None;
        }
        let shift = self.shift();
        let first = u64::from(partition.0).checked_shl(shift).unwrap_or(0);
        let width_minus_one = u64::MAX.checked_shr(64 - shift).unwrap_or(0);
        Some((Token(first), Token(first | width_minus_one)))
    }

    /// Whether this cluster has `partition`; ask it of every partition that was decoded from a peer.
    pub fn contains(self, partition: Partition) -> bool {
        partition.0 < self.0
    }

    /// All partitions in token order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Partition> + Clone {
        (0..self.0).map(Partition)
    }

    /// Bits of a token below its partition.
    fn shift(self) -> u32 {
        assert!(self.0.is_power_of_two(), "checked by the constructor");
        64 - self.0.trailing_zeros()
    }
}

impl Default for Partitions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<u32> for Partitions {
    type Error = PartitionsError;
    fn try_from(count: u32) -> Result<Self, PartitionsError> {
        Self::new(count)
    }
}

impl From<Partitions> for u32 {
    fn from(partitions: Partitions) -> Self {
        partitions.0
    }
}

impl fmt::Display for Partitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
