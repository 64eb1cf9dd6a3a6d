//! What one side of a comparison has purged, and the other still holds; and the purge frontiers of both.
//!
//! 1. With the roots of some partitions comes a digest of the frontiers there. Where it differs, and the partitions do not, or
//!    not any more, each side takes the other's frontiers: it has seen what the other has.
//! 2. A record that comes in is stripped of what this replica has purged ([`Applied::Stripped`]); its sender is told which cells.
//!    It may have missed the order to forget them, or have been emptied and got them back from somebody who had missed it.
//! 3. Once the two are mended and have each other's frontiers, each forgets what the other has purged: as far as it is dead, and
//!    covered by its own frontier.
//!
//! Invariant: a value that somebody would read is never forgotten on a peer's word.
//!
//! [`Applied::Stripped`]: crate::replica::Applied::Stripped

use atoll_protocol::ids::{Incarnation, NodeIndex};
use atoll_protocol::merkle::ReplicaSets;
use atoll_protocol::token::Partition;
use atoll_protocol::wire::{KnownFrontier, Purged, RECORDS_MAX, RepairReply, RepairRequest};
use bytes::Bytes;
use futures_util::future::join_all;

use super::exchange::unexpected;
use super::trouble::Trouble;
use super::{Repair, Share};
use crate::replica::StoredKey;

/// Bytes of frontiers in one message, about; the rest is for the next comparison.
const FRONTIERS_BYTES_MAX: usize = 256 * 1_024;

/// What a comparison has come to.
#[derive(Debug, Default)]
pub(super) struct Mended {
    /// Records fetched.
    pub(super) fetched: usize,
    /// What this node had purged of them.
    pub(super) ours: Vec<Purged>,
    /// What the peer had purged of what was sent.
    pub(super) theirs: Vec<Purged>,
}

/// Who compared, and what each minted under: who lost records meanwhile mints under another incarnation, and has not seen any
/// more what the other has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lives {
    pub(super) peer: NodeIndex,
    pub(super) ours: Incarnation,
    pub(super) theirs: Incarnation,
}

impl Repair {
    /// Has both sides forget what the other has purged; the two have just been mended.
    pub(super) async fn settle_purged(
        &self,
        lives: Lives,
        Share { sets, partition }: Share,
        mended: Mended,
    ) -> Result<(), Trouble> {
        if mended.ours.is_empty() && mended.theirs.is_empty() {
            return Ok(());
        }
        self.level_frontiers(lives, sets, vec![partition]).await?;
        for purged in mended.ours.chunks(RECORDS_MAX) {
            let request = RepairRequest::Forget { purged: purged.to_vec() };
            self.ask(lives.peer, request, Bytes::new()).await?;
        }
        self.forget_purged(mended.theirs).await;
        Ok(())
    }

    /// Has both sides take each other's frontiers of `partitions`, in which they have been found equal or been mended.
    pub(super) async fn level_frontiers(
        &self,
        Lives { peer, ours, theirs }: Lives,
        sets: ReplicaSets,
        partitions: Vec<Partition>,
    ) -> Result<(), Trouble> {
        let frontiers = self.frontiers_of(sets, &partitions);
        let request = RepairRequest::Frontiers { sets, partitions, frontiers, incarnation: theirs };
        let RepairReply::Frontiers(frontiers) = self.ask(peer, request, Bytes::new()).await?.0
        else {
            return Err(unexpected());
        };
        self.take_frontiers(sets, frontiers, ours).await
    }

    /// A number that two nodes share if they have the same frontiers of these trees.
    pub(super) fn frontiers_digest(&self, sets: ReplicaSets, partitions: &[Partition]) -> u64 {
        let keyspaces = self.parts.cluster.view().keyspaces_of(sets);
        self.parts.replica.frontiers().digest(&keyspaces, partitions)
    }

    /// The purge frontiers of some trees, as many as fit a message.
    pub(super) fn frontiers_of(
        &self,
        sets: ReplicaSets,
        partitions: &[Partition],
    ) -> Vec<KnownFrontier> {
        let keyspaces = self.parts.cluster.view().keyspaces_of(sets);
        let stored = self.parts.replica.frontiers();
        let mut frontiers = Vec::new();
        let mut bytes = 0;
        for &partition in partitions {
            for &keyspace in &keyspaces {
                let Some(frontier) = stored.get(keyspace, partition) else { continue };
                bytes += frontier.encoded_len();
                if bytes > FRONTIERS_BYTES_MAX {
                    return frontiers;
                }
                let frontier = frontier.as_ref().clone();
                frontiers.push(KnownFrontier { partition, keyspace, frontier });
            }
        }
        frontiers
    }

    /// Goes by a peer's frontiers, too: this replica has seen all that the peer has, and has lost nothing since it
    /// minted under `incarnation`.
    pub(super) async fn take_frontiers(
        &self,
        sets: ReplicaSets,
        theirs: Vec<KnownFrontier>,
        incarnation: Incarnation,
    ) -> Result<(), Trouble> {
        let (view, replica) = (self.parts.cluster.view(), &self.parts.replica);
        let news = theirs.into_iter().filter(|known| {
            let own = replica.frontiers().get(known.keyspace, known.partition);
            view.replica_sets_by_id(known.keyspace) == Some(sets)
                && own.is_none_or(|own| !own.includes(&known.frontier))
        });
        let news: Vec<_> =
            news.map(|known| ((known.keyspace, known.partition), known.frontier)).collect();
        if news.is_empty() {
            return Ok(());
        }
        let is_true = || match replica.incarnation() == incarnation {
            true => Ok(()),
            false => Err("records were lost meanwhile".to_owned()),
        };
        self.parts.frontiers.adopt(news, is_true).await.map_err(Trouble::Failed)
    }

    /// Forgets what a peer has purged of what this node sent, as far as it is dead.
    pub(super) async fn forget_purged(&self, purged: Vec<Purged>) {
        let replica = &self.parts.replica;
        let forgettings = purged.into_iter().filter_map(|Purged { key, dots }| {
            let key = StoredKey::parse(key)?;
            let frontier = replica.frontiers().of(&key, replica.partitions())?;
            Some(async move { replica.purge(key, &frontier, Some(dots)).await })
        });
        for failed in join_all(forgettings).await.into_iter().filter_map(Result::err) {
            tracing::debug!(error = %failed, "a deletion is not purged yet");
        }
    }

    /// Forgets the purge frontiers of `partitions`: records of them were lost.
    pub(super) async fn forget_frontiers(
        &self,
        is_meant: impl Fn(Partition) -> bool,
    ) -> Result<(), String> {
        let of = self.parts.replica.frontiers().in_partitions(is_meant);
        self.parts.frontiers.forget(of).await
    }
}
