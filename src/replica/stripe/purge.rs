//! What a stripe does about deletions: cuts, purges, and what it refuses to be told again (`protocol::purge`).
//!
//! Invariant: a record is deleted by its stripe alone, which has read it in the same batch: nothing can be written between.

use atoll_protocol::purge::{PurgeFrontier, Trimmed};
use atoll_protocol::record::Record;
use atoll_protocol::token::Partition;
use atoll_protocol::version::Dot;
use tokio::sync::oneshot;

use super::super::{Reach, ReplicaError, StoredKey};
use super::{Draft, Image, Stripe, Waiter, Write};

/// What became of a record from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is part of what is stored, or adds nothing to it.
    Joined,
    /// These writes of it were purged here before, and were left out.
    Stripped(Vec<Dot>),
}

impl Stripe {
    /// Tells how far the stripe is once this batch is written.
    pub(super) fn cut(draft: &mut Draft, partition: Partition, cut: oneshot::Sender<u64>) {
        draft.waiters.push(Waiter::Cut(partition, cut));
    }

    /// Answers a cut, whose batch was written.
    pub(super) fn answer_cut(&self, partition: Partition, cut: oneshot::Sender<u64>) {
        // A minted record that is not on disk is nobody's to count on: the cut is not answered then.
        if self.unwritten.is_empty() {
            let minted = self.shared.life.lock().minted.get(&partition).copied().unwrap_or(0);
            let _ = cut.send(minted);
        }
    }

    /// Forgets what is dead of the record of `key`, and covered; of some dots only, if they are given.
    pub(super) fn purge(
        &self,
        draft: &mut Draft,
        key: StoredKey,
        (frontier, dots): (&PurgeFrontier, Option<&[Dot]>),
        purged: oneshot::Sender<Trimmed>,
    ) -> Result<(), ReplicaError> {
        let record = match draft.writes.get(&key) {
            Some(Write::Purge) => None,
            Some(Write::Whole(image) | Write::Operand(image)) => {
                Some(self.current(draft, &key, image.record().conflict())?)
            }
            None => self.shared.read(&key, Reach::Disk)?,
        };
        // What peers may hold and this disk does not is nobody's to forget.
        let is_written = !self.unwritten.contains_key(&key);
        let mut trimmed = Trimmed::Nothing;
        if let Some(mut record) = record.filter(|_| is_written) {
            trimmed = frontier.trim(&mut record, dots);
            match trimmed {
                Trimmed::Nothing => {}
                Trimmed::Some => drop(draft.writes.insert(key, Write::Whole(Image::of(record)))),
                Trimmed::All => drop(draft.writes.insert(key, Write::Purge)),
            }
        }
        draft.waiters.push(Waiter::Purge(trimmed, purged));
        Ok(())
    }

    /// Drops from `incoming` what this replica has seen superseded.
    pub(super) fn strip(
        &self,
        draft: &Draft,
        key: &StoredKey,
        incoming: &mut Record,
    ) -> Result<Applied, ReplicaError> {
        let Some(frontier) = self.shared.frontiers.of(key, self.shared.partitions) else {
            return Ok(Applied::Joined);
        };
        if !frontier.concerns(incoming) {
            return Ok(Applied::Joined);
        }
        let own = match self.current(draft, key, incoming.conflict()) {
            Ok(own) => own,
            // What cannot be read is mended from others, who hold nothing that is stale.
            Err(ReplicaError::Damaged(_)) => return Ok(Applied::Joined),
            Err(error) => return Err(error),
        };
        let stale = frontier.strip(incoming, &own);
        Ok(if stale.is_empty() { Applied::Joined } else { Applied::Stripped(stale) })
    }
}
