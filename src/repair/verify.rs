//! The slow safety net: every tree is built anew from time to time, and compared with the one that was kept up to date.
//!
//! A tree that is wrong while the data is right hides differences, or finds some for ever (riak_kv PR#473).

use atoll_protocol::token::Partition;

use super::plan::Share;
use super::trees::Purity;
use super::{LOOK_EVERY, Repair, count};
use crate::replica::ReplicaError;

/// Rounds in which every tree is built anew once: once a day at a cycle of an hour.
const REBUILD_ROUNDS: u32 = 24;

/// Looks at a tree that seems wrong before it is called wrong: a write may be readable before it has marked its leaf.
const LOOKS_MAX: u32 = 3;

impl Repair {
    /// Partitions whose trees are not those of what is stored: for tests, while nothing is written. Blocks on disk.
    pub fn impure_partitions(&self) -> Vec<Partition> {
        let partitions = self.parts.cluster.view().topology.partitions().iter();
        // What cannot be read is nobody's tree.
        partitions.filter(|p| matches!(self.look_at_tree(*p), Ok(Purity::Impure))).collect()
    }

    /// Builds the trees anew whose turn it is, and says so where they were wrong: a defect, or damage that no checksum saw.
    pub(super) async fn verify_trees(&self, shares: &[Share], round: u32) {
        let is_due = |share: &&Share| (share.partition.0 + round).is_multiple_of(REBUILD_ROUNDS);
        for partition in shares.iter().filter(is_due).map(|share| share.partition) {
            let mut looks = 0;
            // What cannot be read fails the comparison that follows.
            while matches!(self.verify_tree(partition).await, Ok(Purity::Impure)) {
                looks += 1;
                if looks == LOOKS_MAX {
                    count(&self.parts.counters.wrong_trees, 1);
                    tracing::error!(%partition, "ALARM: a Merkle tree was not that of what is stored");
                    self.parts.replica.marks().mark_all(partition);
                    break;
                }
                self.parts.env.sleep(LOOK_EVERY).await;
            }
        }
    }

    async fn verify_tree(&self, partition: Partition) -> Result<Purity, ReplicaError> {
        let repair = self.clone();
        let job = move || repair.look_at_tree(partition);
        self.parts.env.blocking(job).await
    }

    fn look_at_tree(&self, partition: Partition) -> Result<Purity, ReplicaError> {
        self.parts.trees.verify((&self.parts.cluster.view(), &self.parts.replica), partition)
    }
}
