//! The task of one peer: what it compares when, and what is tried again.

use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::merkle::ReplicaSets;
use atoll_protocol::put::Liveness;
use atoll_protocol::time::MonoTime;
use atoll_protocol::token::Partition;
use atoll_protocol::wire::ROOTS_MAX;

use super::due::Due;
use super::plan::{self, Share};
use super::trouble::Trouble;
use super::{LOOK_EVERY, Repair, count};

/// Partitions compared in one step of a round: 512 bytes of roots. After a start the step hashes all of them: at a million
/// keys a second, a deadline of 5 s is enough for 80 000 keys in each.
const STEP_PARTITIONS: usize = 64;

const _: () = assert!(STEP_PARTITIONS <= ROOTS_MAX);

/// Pause before partitions are tried again that were busy.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Pause before partitions are tried again that could not be compared: a damaged one stays so, and must not keep others.
const LATER_AFTER: Duration = Duration::from_secs(10);

/// How long a missed put may still be on its way: comparing at once would ship what is about to arrive.
const OWED_DELAY: Duration = Duration::from_millis(500);

/// The steady round with one peer.
struct Round {
    left: Vec<Share>,
    number: u32,
    began: MonoTime,
    /// Between two steps, so that all of them fill a cycle.
    pause: Duration,
    next_step: MonoTime,
}

impl Repair {
    pub(super) async fn keep_mending(&self, peer: NodeIndex) {
        let env = &self.parts.env;
        loop {
            if self.parts.peers.liveness(peer) == Liveness::Alive {
                self.mend_while_connected(peer).await;
            }
            let changed = self.parts.peers.changed(peer);
            // Only a wake-up; what is true is asked again.
            let _ = env.until(env.mono().after(LOOK_EVERY), changed).await;
        }
    }

    /// Compares all that is shared with `peer` at once, then steadily; returns when the connection is gone.
    async fn mend_while_connected(&self, peer: NodeIndex) {
        let (env, progress) = (&self.parts.env, &self.parts.progress);
        let mut due = Due::default();
        // When the comparison of everything began that is under way, and the number of the start that asked for it.
        let (mut everything_began, mut starts) = (None, None);
        let now = env.mono();
        let pause = Duration::ZERO;
        let mut round = Round { left: Vec::new(), number: 0, began: now, pause, next_step: now };
        while self.parts.peers.liveness(peer) == Liveness::Alive {
            if starts != Some(progress.starts()) {
                starts = Some(progress.starts());
                due.now.extend(self.shares_with(peer));
                everything_began = Some(env.mono());
            }
            due.now.extend(self.parts.owed.take(peer));
            due.wake(env.mono());
            progress.note_pending(peer, due.len());
            if progress.is_paused() || self.is_deferred(peer) {
                env.sleep(LOOK_EVERY).await;
            } else if !due.now.is_empty() {
                let shares = std::mem::take(&mut due.now);
                self.compare_all(peer, shares, &mut due).await;
                if !due.now.is_empty() {
                    env.sleep(env.jitter(AGAIN_AFTER / 2)).await;
                }
            } else if let Some(began) = everything_began.take() {
                progress.complete(peer, began);
            } else if env.mono() >= round.next_step {
                self.take_step(peer, &mut round, &mut due).await;
            } else {
                let wake = round.next_step.min(env.mono().after(LOOK_EVERY));
                if env.until(wake, self.parts.owed.added(peer)).await.is_some() {
                    env.sleep(OWED_DELAY).await;
                }
            }
        }
        // What is not done is owed still: not all of it is compared by itself when the peer is back.
        due.into_shares().for_each(|share| self.parts.owed.add(peer, share));
        progress.note_pending(peer, 0);
    }

    /// Compares the next partitions of the steady round.
    async fn take_step(&self, peer: NodeIndex, round: &mut Round, due: &mut Due) {
        let env = &self.parts.env;
        if round.left.is_empty() {
            (round.left, round.began) = (self.shares_with(peer), env.mono());
            round.number += 1;
            let steps = round.left.len().div_ceil(STEP_PARTITIONS).max(1);
            round.pause = self.parts.pacing.cycle / u32::try_from(steps).unwrap_or(u32::MAX);
        }
        let rest = round.left.split_off(round.left.len().min(STEP_PARTITIONS));
        let step = std::mem::replace(&mut round.left, rest);
        self.verify_trees(&step, round.number).await;
        self.compare_all(peer, step, due).await;
        if round.left.is_empty() {
            self.parts.progress.complete(peer, round.began);
        }
        // Between two thirds and four thirds of it.
        round.next_step = env.mono().after(env.jitter(round.pause * 2 / 3));
    }

    /// What this node compares with `peer` on its own initiative.
    fn shares_with(&self, peer: NodeIndex) -> Vec<Share> {
        let cluster = &self.parts.cluster;
        let own = cluster.own();
        let is_alive = |node| node == own || self.parts.peers.liveness(node) == Liveness::Alive;
        plan::shares(&cluster.view(), own, peer, is_alive)
    }

    /// Compares `shares` with `peer` and mends what differs; what has to be tried again becomes due.
    async fn compare_all(&self, peer: NodeIndex, shares: Vec<Share>, due: &mut Due) {
        let mut sorted = shares;
        sorted.sort_unstable();
        sorted.dedup();
        for group in sorted.chunk_by(|left, right| left.sets == right.sets) {
            let mut is_busy = false;
            for step in group.chunks(STEP_PARTITIONS) {
                let Some(sets) = step.first().map(|share| share.sets) else { continue };
                if is_busy {
                    due.now.extend(step);
                    continue;
                }
                let partitions: Vec<Partition> = step.iter().map(|share| share.partition).collect();
                let compared = match self.differing(peer, sets, partitions).await {
                    Ok(compared) => compared,
                    Err(trouble) => {
                        // A peer that is busy would be so for all other partitions, too.
                        is_busy = matches!(trouble, Trouble::Busy);
                        self.put_off(peer, step, &trouble, due);
                        continue;
                    }
                };
                let mut equal = compared.equal;
                equal.extend(self.mend_all(peer, sets, compared.differing, due).await);
                if compared.frontiers_differ && !equal.is_empty() {
                    let levelled = self.level_frontiers(compared.lives, sets, equal).await;
                    if let Err(trouble) = levelled {
                        // The next comparison finds them different again.
                        tracing::debug!(?peer, ?trouble, "purge frontiers were not exchanged");
                    }
                }
            }
        }
    }

    /// Mends `partitions` one after the other; those that were.
    async fn mend_all(
        &self,
        peer: NodeIndex,
        sets: ReplicaSets,
        partitions: Vec<Partition>,
        due: &mut Due,
    ) -> Vec<Partition> {
        let mut mended = Vec::new();
        for partition in partitions {
            let share = Share { sets, partition };
            if self.parts.progress.is_paused() {
                due.now.push(share);
                continue;
            }
            let Ok(_turn) = self.parts.exchanges.acquire().await else { return mended };
            count(&self.parts.counters.differed, 1);
            let step = self.step(peer);
            match self.mend(peer, share).await {
                Ok(()) => mended.push(partition),
                Err(trouble) => self.put_off(peer, &[share], &trouble, due),
            }
            self.rest_after(step).await;
        }
        mended
    }

    /// Has `shares` tried again: soon, or after a while if something failed that may last, so that the others go on.
    fn put_off(&self, peer: NodeIndex, shares: &[Share], trouble: &Trouble, due: &mut Due) {
        match trouble {
            Trouble::Busy | Trouble::Gone => due.now.extend(shares),
            Trouble::Failed(detail) => {
                count(&self.parts.counters.failed, 1);
                tracing::warn!(?peer, detail, "repair failed; trying again later");
                due.later.extend(shares);
                due.later_at = self.parts.env.mono().after(LATER_AFTER);
            }
        }
    }
}
