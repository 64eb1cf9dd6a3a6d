//! How far each partition that this node leads has come, and what is in its way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use atoll_protocol::ids::{Incarnation, Name};
use atoll_protocol::merkle::Leaf;
use atoll_protocol::purge::PurgeFrontier;
use atoll_protocol::record::Record;
use atoll_protocol::time::{MonoTime, WallTime};
use atoll_protocol::wire::{OBSTACLES_MAX, PurgeObstacle, TombstonesStatus, cut_reason};

use crate::repair::Share;

/// What is dead in a leaf, or a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DeadCount {
    pub(super) keys: u64,
    pub(super) bytes: u64,
    /// When the first of them was deleted or expired.
    pub(super) oldest: Option<WallTime>,
    /// Up to where the dead records name each incarnation.
    pub(super) actors: BTreeMap<Incarnation, u64>,
}

impl DeadCount {
    /// Adds a record that is dead since `at`.
    pub(super) fn add(&mut self, record: &Record, at: WallTime) {
        let (keys, bytes) = (1, record.encoded_len() as u64);
        self.join(&Self { keys, bytes, oldest: Some(at), actors: record.counters().collect() });
    }

    fn join(&mut self, other: &Self) {
        self.keys += other.keys;
        self.bytes += other.bytes;
        self.oldest = self.oldest.into_iter().chain(other.oldest).min();
        for (incarnation, counter) in &other.actors {
            let named = self.actors.entry(*incarnation).or_default();
            *named = (*counter).max(*named);
        }
    }
}

/// What is in the way of a partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Obstacle {
    pub(super) node: Name,
    pub(super) reason: String,
}

/// A frontier that all owners have stored.
#[derive(Clone, Debug)]
pub(super) struct Agreed {
    pub(super) frontier: PurgeFrontier,
    pub(super) since: MonoTime,
}

#[derive(Debug, Default)]
struct Standing {
    counted: Option<MonoTime>,
    /// Leaves that are to be looked through.
    pending: BTreeSet<Leaf>,
    /// Leaves with something dead.
    dead: BTreeMap<Leaf, DeadCount>,
    /// Whether the counts are from before a sweep.
    is_stale: bool,
    agreed: Option<Agreed>,
    obstacle: Option<(Obstacle, MonoTime)>,
}

impl Standing {
    fn total(&self) -> DeadCount {
        let mut total = DeadCount::default();
        self.dead.values().for_each(|dead| total.join(dead));
        total
    }
}

/// All partitions that this node leads and has looked at.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    standings: BTreeMap<Share, Standing>,
}

impl Ledger {
    /// Has `leaves` of `share` looked through when it is time to.
    pub(super) fn add_pending(&mut self, share: Share, leaves: &[Leaf]) {
        if !leaves.is_empty() {
            self.standings.entry(share).or_default().pending.extend(leaves);
        }
    }

    /// The leaves of `share` that are to be looked through now: none if it was looked at less than `pause` ago, and not swept
    /// since.
    pub(super) fn take_pending(
        &mut self,
        share: &Share,
        now: MonoTime,
        pause: Duration,
    ) -> BTreeSet<Leaf> {
        let Some(standing) = self.standings.get_mut(share) else { return BTreeSet::new() };
        let is_early = standing.counted.is_some_and(|counted| now.since(counted) < pause);
        if is_early && !standing.is_stale {
            return BTreeSet::new();
        }
        std::mem::take(&mut standing.pending)
    }

    /// What was counted in all leaves of `share`.
    pub(super) fn dead(&self, share: &Share) -> DeadCount {
        self.standings.get(share).map(Standing::total).unwrap_or_default()
    }

    /// The leaves of `share` with something dead.
    pub(super) fn dead_leaves(&self, share: &Share) -> Vec<Leaf> {
        let standing = self.standings.get(share);
        standing.into_iter().flat_map(|standing| standing.dead.keys().copied()).collect()
    }

    /// Notes the counts of some leaves; the rest are as they were.
    pub(super) fn note_counts(
        &mut self,
        share: Share,
        counts: BTreeMap<Leaf, DeadCount>,
        now: MonoTime,
    ) {
        let standing = self.standings.entry(share).or_default();
        for (leaf, dead) in counts {
            match dead.keys {
                0 => drop(standing.dead.remove(&leaf)),
                _ => drop(standing.dead.insert(leaf, dead)),
            }
        }
        (standing.counted, standing.is_stale) = (Some(now), false);
        if standing.dead.is_empty() && standing.pending.is_empty() {
            standing.obstacle = None;
        }
    }

    /// Whether `share` waits for its owners to agree.
    pub(super) fn wants_round(&self, share: &Share) -> bool {
        let standing = self.standings.get(share);
        standing.is_some_and(|standing| {
            !standing.dead.is_empty() && !standing.is_stale && standing.agreed.is_none()
        })
    }

    /// What the owners of `share` have agreed on, if anything.
    pub(super) fn agreed(&self, share: &Share) -> Option<Agreed> {
        self.standings.get(share)?.agreed.clone()
    }

    /// Notes that all owners have stored a frontier, or that it is used up.
    pub(super) fn set_agreed(&mut self, share: Share, agreed: Option<Agreed>) {
        let standing = self.standings.entry(share).or_default();
        standing.obstacle = None;
        standing.agreed = agreed;
    }

    /// Notes that what was agreed is done: what is left is counted anew.
    pub(super) fn note_swept(&mut self, share: Share, leaves: &[Leaf]) {
        self.set_agreed(share, None);
        self.add_pending(share, leaves);
        self.standings.entry(share).or_default().is_stale = true;
    }

    /// Notes what is in the way of `share`.
    pub(super) fn block(&mut self, share: Share, obstacle: Obstacle, now: MonoTime) {
        let standing = self.standings.entry(share).or_default();
        let since = match &standing.obstacle {
            Some((before, since)) if before.node == obstacle.node => *since,
            _ => now,
        };
        standing.obstacle = Some((obstacle, since));
    }

    /// What waits and for what; counters of the process are the caller's to add.
    pub(super) fn status(&self, (mono, wall): (MonoTime, WallTime)) -> TombstonesStatus {
        let mut obstacles = BTreeMap::<&Obstacle, (u64, BTreeSet<MonoTime>)>::new();
        for standing in self.standings.values() {
            let Some((obstacle, since)) = &standing.obstacle else { continue };
            let (keys, times) = obstacles.entry(obstacle).or_default();
            *keys += standing.total().keys;
            times.insert(*since);
        }
        let mut obstacles: Vec<PurgeObstacle> = obstacles
            .into_iter()
            .map(|(Obstacle { node, reason }, (keys, times))| {
                let since = times.first().map_or(Duration::ZERO, |since| mono.since(*since));
                let reason = cut_reason(reason.clone());
                PurgeObstacle { node: node.clone(), reason, keys, since }
            })
            .collect();
        obstacles.sort_by_key(|obstacle| std::cmp::Reverse(obstacle.keys));
        obstacles.truncate(OBSTACLES_MAX);
        let dead = || self.standings.values().flat_map(|standing| standing.dead.values());
        let oldest = dead().filter_map(|dead| dead.oldest).min();
        let age = |at: WallTime| wall.as_micros().saturating_sub(at.as_micros());
        TombstonesStatus {
            purge_after: Duration::ZERO,
            waiting: dead().map(|dead| dead.keys).sum(),
            bytes: dead().map(|dead| dead.bytes).sum(),
            oldest: oldest.map(|at| Duration::from_micros(age(at))),
            purged: 0,
            obstacles,
        }
    }
}
