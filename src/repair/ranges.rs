//! Where a key belongs, and leaves as ranges of tokens: neighbours are read in one go.

use std::ops::RangeInclusive;

use atoll_protocol::merkle::{Leaf, ReplicaSets};
use atoll_protocol::token::{Partition, Partitions, Token};

use crate::cluster::View;
use crate::replica::StoredKey;

/// The stretches of neighbours among `leaves`, which ascend.
pub fn runs_of(leaves: &[Leaf]) -> impl Iterator<Item = RangeInclusive<Leaf>> + '_ {
    let are_neighbours = |left: &Leaf, right: &Leaf| left.0.checked_add(1) == Some(right.0);
    leaves.chunk_by(are_neighbours).filter_map(|run| Some(*run.first()?..=*run.last()?))
}

/// First and last token of a run of leaves, both inclusive; `None` when there is no such partition.
pub fn tokens_of(
    partitions: Partitions,
    partition: Partition,
    run: RangeInclusive<Leaf>,
) -> Option<(Token, Token)> {
    let (first, _) = run.start().token_range(partitions, partition)?;
    let (_, last) = run.end().token_range(partitions, partition)?;
    Some((first, last))
}

/// The replica sets of a stored key; `None` if its keyspace is not known here.
pub(super) fn sets_of(view: &View, stored: &[u8]) -> Option<ReplicaSets> {
    view.replica_sets_by_id(StoredKey::keyspace_in(stored)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_joined() {
        let runs = |leaves: &[u8]| -> Vec<(u8, u8)> {
            let leaves: Vec<Leaf> = leaves.iter().copied().map(Leaf).collect();
            runs_of(&leaves).map(|run| (run.start().0, run.end().0)).collect()
        };
        assert_eq!(runs(&[]), []);
        assert_eq!(runs(&[7]), [(7, 7)]);
        assert_eq!(runs(&[0, 1, 2, 9, 254, 255]), [(0, 2), (9, 9), (254, 255)]);
        let partitions = Partitions::new(2).unwrap();
        let whole = tokens_of(partitions, Partition(1), Leaf(0)..=Leaf(255));
        assert_eq!(whole, partitions.token_range(Partition(1)));
        assert_eq!(tokens_of(partitions, Partition(2), Leaf(0)..=Leaf(0)), None);
    }
}
