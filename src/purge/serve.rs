//! What an owner answers, and does, when the leader of a partition asks.
//!
//! Invariants
//! - A cut is answered once everything that it covers is durable.
//! - A frontier is stored durably before it is gone by, and gone by before that is said.
//! - Nothing is deleted under a frontier that this owner has not stored.

use std::sync::Arc;

use atoll_protocol::ids::KeyspaceId;
use atoll_protocol::purge::{PurgeFrontier, Trimmed};
use atoll_protocol::token::Partition;
use atoll_protocol::wire::{Cut, PURGE_PARTITIONS_MAX, PurgeReply, PurgeRequest, RECORDS_MAX};
use bytes::Bytes;
use futures_util::future::join_all;

use super::Purge;
use crate::replica::StoredKey;

impl Purge {
    /// Answers the leader of a partition.
    pub async fn answer(&self, request: PurgeRequest) -> PurgeReply {
        let answered = match request {
            PurgeRequest::Cut { partitions } => self.cut(&partitions).await.map(PurgeReply::Cut),
            PurgeRequest::Adopt { cut, keyspaces, frontiers } => {
                self.adopt(cut, &keyspaces, &frontiers).await.map(|()| PurgeReply::Adopted)
            }
            PurgeRequest::Sweep { frontier, keys } => self.sweep(frontier, keys).await,
        };
        answered.unwrap_or_else(PurgeReply::Refused)
    }

    async fn cut(&self, partitions: &[Partition]) -> Result<Cut, String> {
        if partitions.len() > PURGE_PARTITIONS_MAX {
            return Err("too many partitions at once".to_owned());
        }
        let (env, replica) = (&self.with().env, &self.with().replica);
        let id = env.random_u64();
        // From here on it is noted what is minted; the clock is read afterwards.
        replica.frontiers().begin_cut(id, partitions);
        let (wall, incarnation) = (env.wall(), replica.incarnation());
        let minted = partitions.iter().map(|partition| replica.minted_durably(*partition));
        let minted = join_all(minted).await.into_iter().collect::<Result<_, _>>();
        let minted = minted.map_err(|error| error.to_string())?;
        let keyspaces = self.with().cluster.view().keyspaces.digest();
        Ok(Cut { id, incarnation, minted, wall, keyspaces })
    }

    async fn adopt(
        &self,
        cut: u64,
        keyspaces: &[KeyspaceId],
        frontiers: &[(Partition, PurgeFrontier)],
    ) -> Result<(), String> {
        if frontiers.len() > PURGE_PARTITIONS_MAX {
            return Err("too many partitions at once".to_owned());
        }
        let of = |keyspace: &KeyspaceId| {
            let keyspace = *keyspace;
            frontiers.iter().map(move |(of, frontier)| ((keyspace, *of), frontier.clone()))
        };
        let adopted = keyspaces.iter().flat_map(of).collect();
        self.with().frontiers.adopt(adopted, || self.check_cut(cut, frontiers)).await
    }

    /// Whether `frontiers` may rest on the cut `id`.
    fn check_cut(&self, id: u64, frontiers: &[(Partition, PurgeFrontier)]) -> Result<(), String> {
        for (partition, frontier) in frontiers {
            let stored = self.with().replica.frontiers();
            match stored.is_later(id, *partition, frontier.timestamp()) {
                Some(true) => {}
                Some(false) => return Err("its clock was set back meanwhile".to_owned()),
                None => return Err("it was restarted or mended meanwhile".to_owned()),
            }
        }
        Ok(())
    }

    async fn sweep(&self, frontier: PurgeFrontier, keys: Vec<Bytes>) -> Result<PurgeReply, String> {
        if keys.len() > RECORDS_MAX {
            return Err("too many keys at once".to_owned());
        }
        let replica = &self.with().replica;
        let frontier = Arc::new(frontier);
        let keys = keys.into_iter().map(StoredKey::parse).collect::<Option<Vec<_>>>();
        let keys = keys.ok_or("a key is malformed")?;
        let has_stored = |key: &StoredKey| {
            let stored = replica.frontiers().of(key, replica.partitions());
            stored.is_some_and(|stored| stored.includes(&frontier))
        };
        if !keys.iter().all(has_stored) {
            return Err("it does not know what was agreed any more".to_owned());
        }
        let purges = keys.into_iter().map(|key| replica.purge(key, &frontier, None));
        let purged = join_all(purges).await.into_iter().collect::<Result<Vec<_>, _>>();
        let purged = purged.map_err(|error| error.to_string())?;
        let count = purged.into_iter().filter(|trimmed| *trimmed == Trimmed::All).count();
        Ok(PurgeReply::Swept { purged: u32::try_from(count).unwrap_or(u32::MAX) })
    }
}
