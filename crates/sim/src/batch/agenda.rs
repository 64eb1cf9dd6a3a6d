//! Decides which seed a free worker takes next.
//!
//! 1. Fresh seeds are handed out in order.
//! 2. One seed of fifty, chosen by its hash, runs a second time. A worker takes such a second run if it was another
//!    process that ran the seed first; if only second runs are left, it takes one anyway in a new process.
//! 3. When nothing is left and fewer than two seeds ran twice, those with the least hashes do.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_64;

/// One seed of so many runs twice.
const SAMPLE: u64 = 50;

/// Seeds that run twice at least, in any batch that has as many.
const REPEATS_MIN: usize = 2;

/// Which seeds run twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// None.
    Nothing,
    /// Two per cent, and at least two.
    Sample,
    /// Every one.
    All,
}

/// A run to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) seed: u64,
    /// For a second run: the process of the first one.
    pub(super) avoid: Option<u64>,
}

/// A first run that came to its end.
#[derive(Clone, Copy, Debug)]
struct First {
    process: u64,
    trace_hash: u64,
}

/// Seeds to be run.
#[derive(Debug)]
pub(super) struct Agenda {
    next: u64,
    /// The first seed that is not run.
    end: u64,
    repeat: Repeat,
    firsts: BTreeMap<u64, First>,
    /// Second runs that wait for a worker.
    waiting: BTreeSet<u64>,
    /// Seeds that were chosen for a second run.
    chosen: BTreeSet<u64>,
}

impl Agenda {
    pub(super) fn new(from: u64, seeds: Option<u64>, repeat: Repeat) -> Self {
        let end = seeds.map_or(u64::MAX, |seeds| from.saturating_add(seeds));
        let (firsts, waiting, chosen) = Default::default();
        Self { next: from, end, repeat, firsts, waiting, chosen }
    }

    /// No more fresh seeds.
    pub(super) fn close(&mut self) {
        self.end = self.next;
    }

    /// No more second runs either.
    pub(super) fn forget_repeats(&mut self) {
        self.repeat = Repeat::Nothing;
        self.waiting.clear();
    }

    /// What a worker does whose process is `process`.
    pub(super) fn next(&mut self, process: u64) -> Option<Turn> {
        let elsewhere = self
            .waiting
            .iter()
            .copied()
            .find(|seed| self.firsts.get(seed).is_some_and(|first| first.process != process));
        if elsewhere.is_none() && self.next < self.end {
            let seed = self.next;
            self.next += 1;
            return Some(Turn { seed, avoid: None });
        }
        let seed = elsewhere.or_else(|| self.waiting.first().copied())?;
        self.waiting.remove(&seed);
        let avoid = self.firsts.get(&seed).map(|first| first.process);
        Some(Turn { seed, avoid })
    }

    /// A first run came to its end.
    pub(super) fn on_first(&mut self, seed: u64, process: u64, trace_hash: u64) {
        self.firsts.insert(seed, First { process, trace_hash });
        let repeats = match self.repeat {
            Repeat::Nothing => false,
            Repeat::Sample => lot(seed).is_multiple_of(SAMPLE),
            Repeat::All => true,
        };
        if repeats && self.chosen.insert(seed) {
            self.waiting.insert(seed);
        }
    }

    pub(super) fn first_hash(&self, seed: u64) -> Option<u64> {
        self.firsts.get(&seed).map(|first| first.trace_hash)
    }

    /// Chooses second runs until there are enough; false if nothing is left to do.
    pub(super) fn top_up(&mut self) -> bool {
        if self.repeat == Repeat::Nothing || self.chosen.len() >= REPEATS_MIN {
            return false;
        }
        let mut others: Vec<u64> =
            self.firsts.keys().copied().filter(|seed| !self.chosen.contains(seed)).collect();
        others.sort_by_key(|&seed| lot(seed));
        others.truncate(REPEATS_MIN - self.chosen.len());
        self.chosen.extend(&others);
        self.waiting.extend(&others);
        !others.is_empty()
    }
}

/// A seed's lot: the same on every machine, and without any pattern.
fn lot(seed: u64) -> u64 {
    xxh3_64(&seed.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::{Agenda, Repeat, Turn};

    #[test]
    fn second_runs_go_to_another_process() {
        let mut agenda = Agenda::new(7, Some(2), Repeat::All);
        assert_eq!(agenda.next(1), Some(Turn { seed: 7, avoid: None }));
        agenda.on_first(7, 1, 99);
        // Process 1 goes on with fresh ones, process 2 repeats.
        assert_eq!(agenda.next(1), Some(Turn { seed: 8, avoid: None }));
        assert_eq!(agenda.next(2), Some(Turn { seed: 7, avoid: Some(1) }));
        assert_eq!(agenda.next(2), None);
        agenda.on_first(8, 1, 98);
        // Only process 1 is left: it takes its own seed, in a new process.
        assert_eq!(agenda.next(1), Some(Turn { seed: 8, avoid: Some(1) }));
        assert!(!agenda.top_up());
    }

    #[test]
    fn a_sample_has_two_per_cent_and_at_least_two() {
        let repeats = |seeds: u64| {
            let mut agenda = Agenda::new(0, Some(seeds), Repeat::Sample);
            let mut count = 0;
            loop {
                while let Some(turn) = agenda.next(0) {
                    match turn.avoid {
                        None => agenda.on_first(turn.seed, 1, turn.seed),
                        Some(_) => count += 1,
                    }
                }
                if !agenda.top_up() {
                    return count;
                }
            }
        };
        assert_eq!([repeats(0), repeats(1), repeats(2), repeats(3)], [0, 1, 2, 2]);
        assert!((60..=140).contains(&repeats(5_000)), "{}", repeats(5_000));
    }
}
