//! A round: the owners of some partitions agree on a frontier.
//!
//! 1. Every node must be there.
//! 2. Cuts: each owner says how far it has minted. Whatever it mints later has a later number and a later timestamp.
//! 3. Hints: afterwards nobody keeps any for an owner. (Before, an owner might have lost, by dying, what only its fallback has.)
//! 4. The leader mends itself with every owner: it has seen all cuts. Once more: every owner has.
//! 5. The frontier covers the cuts; and, of incarnations that nobody mints under any more, what the dead records name: what no
//!    owner has of them by now was never acknowledged by one.
//! 6. Every owner stores it.
//!
//! Invariant: an owner that restarts or loses records in between refuses step 6, because its cut is gone.

use std::collections::{BTreeMap, BTreeSet};

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::purge::PurgeFrontier;
use atoll_protocol::put::Liveness;
use atoll_protocol::time::WallTime;
use atoll_protocol::token::Partition;
use atoll_protocol::wire::{
    Cut, HintsCommand, HintsWaiting, PeerReply, PeerRequest, PurgeReply, PurgeRequest,
};
use atoll_seeded_bug::{Mutant, seeded_bug};
use futures_util::future::join_all;

use super::ledger::{Agreed, Obstacle};
use super::{CALL_DEADLINE, Family, Purge, owners_of};
use crate::cluster::View;
use crate::repair::Share;

/// The partitions of a round that nothing is in the way of yet.
struct Round<'a> {
    view: &'a View,
    family: &'a Family,
    left: Vec<Partition>,
    /// The owners of each.
    owners: BTreeMap<Partition, BTreeSet<NodeIndex>>,
    cuts: BTreeMap<NodeIndex, (Vec<Partition>, Cut)>,
}

impl Round<'_> {
    /// The owners of what is left, with what they own of it.
    fn by_owner(&self) -> BTreeMap<NodeIndex, Vec<Partition>> {
        let mut owned = BTreeMap::<_, Vec<_>>::new();
        for partition in &self.left {
            for owner in self.owners.get(partition).into_iter().flatten() {
                owned.entry(*owner).or_default().push(*partition);
            }
        }
        owned
    }
}

impl Purge {
    /// Has the owners of `partitions` agree on frontiers; what is in the way is noted.
    pub(super) async fn agree(&self, view: &View, family: &Family, partitions: &[Partition]) {
        let owners = partitions.iter().map(|partition| {
            (*partition, owners_of(view, family, *partition).into_iter().collect())
        });
        let mut round = Round {
            view,
            family,
            left: partitions.to_vec(),
            owners: owners.collect(),
            cuts: BTreeMap::new(),
        };
        self.wait_for_none(&mut round);
        self.cut_all(&mut round).await;
        self.look_for_hints(&mut round).await;
        if !seeded_bug(Mutant::PurgeUnrepaired) {
            for _ in 0..2 {
                self.mend_all(&mut round).await;
            }
        }
        let left =
            round.left.iter().map(|partition| (*partition, self.frontier(&round, *partition)));
        let mut frontiers: BTreeMap<Partition, PurgeFrontier> = left.collect();
        self.adopt_all(&mut round, &frontiers).await;
        let since = self.with().env.mono();
        frontiers.retain(|partition, _| round.left.contains(partition));
        for (partition, frontier) in frontiers {
            let share = Share { sets: family.sets, partition };
            self.parts.ledger.lock().set_agreed(share, Some(Agreed { frontier, since }));
        }
    }

    /// Takes the partitions of which `node` is in the way out of the round.
    fn block(
        &self,
        round: &mut Round<'_>,
        node: NodeIndex,
        is_meant: impl Fn(Partition) -> bool,
        reason: &str,
    ) {
        let now = self.with().env.mono();
        let Some(name) = round.view.node_name(node).cloned() else { return };
        let mut ledger = self.parts.ledger.lock();
        round.left.retain(|partition| {
            let is_meant = is_meant(*partition);
            if is_meant {
                let share = Share { sets: round.family.sets, partition: *partition };
                let obstacle = Obstacle { node: name.clone(), reason: reason.to_owned() };
                ledger.block(share, obstacle, now);
            }
            !is_meant
        });
    }

    /// Nothing is agreed while a node is away, or repair is paused.
    fn wait_for_none(&self, round: &mut Round<'_>) {
        let (peers, own) = (&self.with().peers, self.with().cluster.own());
        if self.with().repair.is_paused() {
            self.block(round, own, |_| true, "its repair is paused");
        }
        let mut nodes = round.view.topology.node_indices();
        let away = nodes.find(|node| *node != own && peers.liveness(*node) != Liveness::Alive);
        if let Some(away) = away.filter(|_| !seeded_bug(Mutant::PurgeWhileAway)) {
            self.block(round, away, |_| true, "it is away");
        }
    }

    async fn cut_all(&self, round: &mut Round<'_>) {
        let asked = round.by_owner().into_iter().map(async |(owner, partitions)| {
            let request = PurgeRequest::Cut { partitions: partitions.clone() };
            let cut = match self.ask(owner, request).await {
                Ok(PurgeReply::Cut(cut)) if cut.minted.len() == partitions.len() => Ok(cut),
                Ok(PurgeReply::Refused(reason)) | Err(reason) => Err(reason),
                Ok(_) => Err("it answered something else".to_owned()),
            };
            (owner, partitions, cut)
        });
        let keyspaces = round.view.keyspaces.digest();
        for (owner, partitions, cut) in join_all(asked).await {
            let cut = cut.and_then(|cut| match cut.keyspaces == keyspaces {
                true => Ok(cut),
                false => Err("it knows other keyspaces; they are being spread".to_owned()),
            });
            match cut {
                Ok(cut) => drop(round.cuts.insert(owner, (partitions, cut))),
                // A mutant goes on without the owner.
                Err(_) if seeded_bug(Mutant::PurgeWhileAway) => {}
                Err(reason) => {
                    self.block(round, owner, |of| partitions.contains(&of), &reason);
                }
            }
        }
    }

    /// Nobody keeps a hint for an owner.
    async fn look_for_hints(&self, round: &mut Round<'_>) {
        if round.left.is_empty() || seeded_bug(Mutant::HintsForgottenInPurge) {
            return;
        }
        let asked = round
            .view
            .topology
            .node_indices()
            .map(async |holder| (holder, self.hints_of(holder).await));
        for (holder, waiting) in join_all(asked).await {
            let waiting = match waiting {
                Ok(waiting) => waiting,
                Err(_) if seeded_bug(Mutant::PurgeWhileAway) => continue,
                Err(reason) => {
                    self.block(round, holder, |_| true, &reason);
                    continue;
                }
            };
            for HintsWaiting { target, hints, .. } in waiting {
                let Some((target_index, _)) = round.view.topology.node_by_name(&target) else {
                    continue;
                };
                let owned = round.by_owner().remove(&target_index).unwrap_or_default();
                let reason = format!("it keeps hints for {target}: {hints}");
                self.block(round, holder, |partition| owned.contains(&partition), &reason);
            }
        }
    }

    async fn hints_of(&self, holder: NodeIndex) -> Result<Vec<HintsWaiting>, String> {
        if holder == self.with().cluster.own() {
            return Ok(self.with().handoff.command(HintsCommand::List).await.waiting);
        }
        let deadline = self.with().env.mono().after(CALL_DEADLINE);
        let request = PeerRequest::Hints(HintsCommand::List);
        let read = |reply| match reply {
            PeerReply::Hints(status) => Some(status.waiting),
            _ => None,
        };
        self.with().peers.told(holder, &request, deadline, read).await
    }

    /// Mends this node with every other owner.
    async fn mend_all(&self, round: &mut Round<'_>) {
        let own = self.with().cluster.own();
        for (owner, partitions) in round.by_owner().into_iter().filter(|(owner, _)| *owner != own) {
            let failed = self.with().repair.reconcile(owner, round.family.sets, partitions).await;
            for (partition, reason) in failed {
                if seeded_bug(Mutant::PurgeWhileAway) {
                    continue;
                }
                let reason = format!("it cannot be compared: {reason}");
                self.block(round, owner, |of| of == partition, &reason);
            }
        }
    }

    async fn adopt_all(
        &self,
        round: &mut Round<'_>,
        frontiers: &BTreeMap<Partition, PurgeFrontier>,
    ) {
        let keyspaces = round.family.keyspaces.clone();
        let asked = round.by_owner().into_iter().map(async |(owner, partitions)| {
            let Some((_, cut)) = round.cuts.get(&owner) else {
                return (owner, partitions, Err("it is away".to_owned()));
            };
            let frontiers =
                partitions.iter().filter_map(|of| Some((*of, frontiers.get(of)?.clone())));
            let request = PurgeRequest::Adopt {
                cut: cut.id,
                keyspaces: keyspaces.clone(),
                frontiers: frontiers.collect(),
            };
            let adopted = match self.ask(owner, request).await {
                Ok(PurgeReply::Adopted) => Ok(()),
                Ok(PurgeReply::Refused(reason)) | Err(reason) => Err(reason),
                Ok(_) => Err("it answered something else".to_owned()),
            };
            (owner, partitions, adopted)
        });
        let adopted = join_all(asked).await;
        for (owner, partitions, adopted) in adopted {
            if let Err(reason) = adopted
                && !seeded_bug(Mutant::PurgeWhileAway)
            {
                self.block(round, owner, |of| partitions.contains(&of), &reason);
            }
        }
    }

    /// What the cuts of `partition` come to.
    fn frontier(&self, round: &Round<'_>, partition: Partition) -> PurgeFrontier {
        let cuts = round.cuts.values().filter_map(|(partitions, cut)| {
            let at = partitions.iter().position(|of| *of == partition)?;
            Some((cut, *cut.minted.get(at)?))
        });
        let cuts: Vec<(&Cut, u64)> = cuts.collect();
        let at = cuts.iter().map(|(cut, _)| cut.wall).min();
        let mut frontier = PurgeFrontier::at(at.unwrap_or(WallTime::from_micros(0)));
        for (cut, minted) in &cuts {
            frontier.raise(cut.incarnation, *minted);
        }
        let share = Share { sets: round.family.sets, partition };
        let is_minted_under = |of| cuts.iter().any(|(cut, _)| cut.incarnation == of);
        for (incarnation, counter) in self.parts.ledger.lock().dead(&share).actors {
            if !is_minted_under(incarnation) {
                frontier.raise(incarnation, counter);
            }
        }
        frontier
    }
}
