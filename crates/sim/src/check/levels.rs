//! What a level demands, worked out a second time: by the words of its definition and by counting.
//!
//! Independent of `QuorumSpec`, so that a mistake there is not repeated here. A *count* is how many replicas of each
//! datacenter take part, by `DcIndex`.
//!
//! 1. [`satisfies`] says whether one count is enough.
//! 2. [`Quorums`] lists the smallest counts that are, once per level and datacenter.
//! 3. Two levels are *sure to meet* if no smallest count of the first and none of the second can be chosen without a
//!    replica in common that still remembers: replicas that forgot are taken out of the first.
//!
//! Larger counts only overlap more, so the smallest ones decide.

use std::collections::BTreeMap;

use atoll_protocol::ids::DcIndex;
use atoll_protocol::quorum::Level;

/// How many replicas of each datacenter, by `DcIndex`.
pub(super) type Count = Vec<u8>;

/// A level, and the datacenter that `LOCAL` means.
pub(super) type Asked = (Level, DcIndex);

/// The levels asked of one key, with what was found out about them.
#[derive(Debug)]
pub(super) struct Quorums {
    replicas: Count,
    levels: Vec<(Asked, Vec<Count>)>,
    /// By the two positions in `levels` and the replicas that forgot.
    meetings: BTreeMap<(usize, usize, Count), bool>,
}

impl Quorums {
    pub(super) fn new(replicas: &[u8]) -> Self {
        Self { replicas: replicas.to_vec(), levels: Vec::new(), meetings: BTreeMap::new() }
    }

    /// True if whoever took part in `first`, less `forgotten` replicas of each datacenter, has a replica in common
    /// with whoever takes part in `second`, however both are chosen.
    pub(super) fn sure_to_meet(&mut self, first: Asked, second: Asked, forgotten: &[u8]) -> bool {
        let at = (self.position(first), self.position(second), forgotten.to_vec());
        if let Some(&known) = self.meetings.get(&at) {
            return known;
        }
        let (firsts, seconds) = (self.smallest(at.0), self.smallest(at.1));
        let meet = |first: &Count, second: &Count| {
            let remembering = first.iter().zip(forgotten).map(|(a, gone)| a.saturating_sub(*gone));
            remembering.zip(second).zip(&self.replicas).any(|((a, b), all)| a + b > *all)
        };
        let is_possible = !firsts.is_empty() && !seconds.is_empty();
        let is_sure = is_possible && firsts.iter().all(|a| seconds.iter().all(|b| meet(a, b)));
        self.meetings.insert(at, is_sure);
        is_sure
    }

    fn smallest(&self, position: usize) -> &[Count] {
        self.levels.get(position).map_or(&[], |(_, counts)| counts.as_slice())
    }

    fn position(&mut self, asked: Asked) -> usize {
        if let Some(position) = self.levels.iter().position(|(known, _)| *known == asked) {
            return position;
        }
        self.levels.push((asked, smallest_counts(&self.replicas, asked)));
        self.levels.len() - 1
    }
}

/// Fewest replicas that satisfy `asked`; `None` if all together do not.
pub(super) fn fewest(replicas: &[u8], asked: Asked) -> Option<u16> {
    smallest_counts(replicas, asked).iter().map(|count| sum(count)).min()
}

/// Whether `count` of `replicas` satisfies `level`.
pub(super) fn satisfies(replicas: &[u8], (level, local): Asked, count: &[u8]) -> bool {
    let is_majority = |some: u16, of: u16| 2 * some > of;
    let in_dc = |counts: &[u8], dc: usize| u16::from(counts.get(dc).copied().unwrap_or(0));
    let (total, all) = (sum(count), sum(replicas));
    let home = usize::from(local.0);
    let home_majority = is_majority(in_dc(count, home), in_dc(replicas, home));
    let elsewhere = (0..count.len()).filter(|&dc| dc != home && in_dc(count, dc) > 0).count();
    match level {
        Level::One => total >= 1,
        Level::Two => total >= 2,
        Level::Three => total >= 3,
        Level::LocalOne => in_dc(count, home) >= 1,
        Level::LocalQuorum => home_majority,
        Level::Quorum => is_majority(total, all),
        Level::EachQuorum => (0..replicas.len())
            .filter(|&dc| in_dc(replicas, dc) > 0)
            .all(|dc| is_majority(in_dc(count, dc), in_dc(replicas, dc))),
        Level::All => total == all,
        Level::LocalQuorumPlus(others) => home_majority && elsewhere >= usize::from(others),
    }
}

/// Every count that satisfies `asked` and would not with one replica less.
fn smallest_counts(replicas: &[u8], asked: Asked) -> Vec<Count> {
    let is_smallest = |count: &Count| {
        satisfies(replicas, asked, count)
            && !one_less(count).any(|less| satisfies(replicas, asked, &less))
    };
    every_count(replicas).into_iter().filter(is_smallest).collect()
}

pub(super) fn every_count(replicas: &[u8]) -> Vec<Count> {
    let mut counts = vec![Count::new()];
    for &most in replicas {
        let longer = |count: &Count| -> Vec<Count> {
            (0..=most).map(|next| [count.as_slice(), &[next]].concat()).collect()
        };
        counts = counts.iter().flat_map(longer).collect();
    }
    counts
}

fn one_less(count: &Count) -> impl Iterator<Item = Count> + '_ {
    (0..count.len()).filter_map(|dc| {
        let mut less = count.clone();
        let here = less.get_mut(dc)?;
        *here = here.checked_sub(1)?;
        Some(less)
    })
}

fn sum(count: &[u8]) -> u16 {
    count.iter().map(|&some| u16::from(some)).sum()
}
