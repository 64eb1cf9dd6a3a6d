//! Sweeps: what all owners have agreed on is deleted, by each of them.

use std::sync::atomic::Ordering;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::purge::PurgeFrontier;
use atoll_protocol::wire::{PurgeReply, PurgeRequest, RECORDS_MAX};
use bytes::Bytes;
use futures_util::future::join_all;

use super::ledger::{Agreed, Obstacle};
use super::{Family, Purge, owners_of};
use crate::cluster::View;
use crate::repair::{Share, runs_of};

/// Why a page of keys was not swept.
enum Trouble {
    /// An owner cannot under this frontier.
    Refused(String),
    /// An owner did not answer.
    Silent(String),
}

impl Purge {
    /// Has every owner of `share` delete what is dead, if that was agreed long enough ago.
    pub(super) async fn sweep_if_due(&self, view: &View, family: &Family, share: Share) {
        let env = &self.with().env;
        let agreed = self.parts.ledger.lock().agreed(&share);
        let Some(Agreed { frontier, since }) = agreed else { return };
        if env.mono().since(since) < self.parts.pacing.after {
            return;
        }
        let leaves = self.parts.ledger.lock().dead_leaves(&share);
        let owners = owners_of(view, family, share.partition);
        for run in runs_of(&leaves) {
            let keys = match self.purgeable(family, (share, run), &frontier).await {
                Ok(keys) => keys,
                Err(error) => {
                    let own = self.with().cluster.own();
                    return self.note_obstacle(view, share, own, error.to_string());
                }
            };
            match self.sweep_keys(&owners, &frontier, &keys).await {
                Ok(()) => {}
                Err((node, Trouble::Refused(reason))) => {
                    // What was agreed does not hold any more.
                    self.parts.ledger.lock().set_agreed(share, None);
                    return self.note_obstacle(view, share, node, reason);
                }
                Err((node, Trouble::Silent(reason))) => {
                    return self.note_obstacle(view, share, node, reason);
                }
            }
        }
        self.parts.ledger.lock().note_swept(share, &leaves);
    }

    async fn sweep_keys(
        &self,
        owners: &[NodeIndex],
        frontier: &PurgeFrontier,
        keys: &[Bytes],
    ) -> Result<(), (NodeIndex, Trouble)> {
        for keys in keys.chunks(RECORDS_MAX) {
            let began = self.with().env.mono();
            let request = PurgeRequest::Sweep { frontier: frontier.clone(), keys: keys.to_vec() };
            self.sweep_page(owners, request).await?;
            self.with().replica.yield_to_requests(began).await;
        }
        Ok(())
    }

    /// Has the other owners delete a page of keys, and then this one: if it stops in between, it finds them again.
    async fn sweep_page(
        &self,
        owners: &[NodeIndex],
        request: PurgeRequest,
    ) -> Result<(), (NodeIndex, Trouble)> {
        let own = self.with().cluster.own();
        let others = owners.iter().filter(|owner| **owner != own);
        let swept = others.map(|owner| self.sweep_at(*owner, request.clone()));
        for swept in join_all(swept).await {
            swept?;
        }
        let purged = self.sweep_at(own, request).await?;
        self.parts.purged.fetch_add(u64::from(purged), Ordering::Relaxed);
        Ok(())
    }

    async fn sweep_at(
        &self,
        owner: NodeIndex,
        request: PurgeRequest,
    ) -> Result<u32, (NodeIndex, Trouble)> {
        let trouble = match self.ask(owner, request).await {
            Ok(PurgeReply::Swept { purged }) => return Ok(purged),
            Ok(PurgeReply::Refused(reason)) => Trouble::Refused(reason),
            Ok(_) => Trouble::Silent("it answered something else".to_owned()),
            Err(reason) => Trouble::Silent(reason),
        };
        Err((owner, trouble))
    }

    pub(super) fn note_obstacle(&self, view: &View, share: Share, node: NodeIndex, reason: String) {
        let now = self.with().env.mono();
        if let Some(name) = view.node_name(node).cloned() {
            let obstacle = Obstacle { node: name, reason };
            self.parts.ledger.lock().block(share, obstacle, now);
        }
    }
}
