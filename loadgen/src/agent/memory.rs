//! What this process knows of keys: the context to write with, and the puts that a get must not miss. Bounded.
//!
//! 1. An answer leaves its context; the next put of the key carries it and supersedes what that answer showed. A get that
//!    was overtaken by a put leaves nothing: its context is older.
//! 2. A put that learned of siblings leaves a mark: the next one reads first, and then supersedes all of them.
//! 3. With checked values, an acknowledged put leaves its level, client and sequence (`workload/staleness.rs`).
//!
//! Invariants
//! - At most [`KEYS_MAX`] keys; beyond, another key of the same shard is forgotten. A forgotten key costs a read before its
//!   next put, and its staleness goes unseen.

use std::collections::BTreeMap;

use atoll_client::Context;
use parking_lot::Mutex;

use crate::workload::staleness::{At, overlap};

#[cfg(test)]
mod tests;

/// Keys that are known at most: at some 200 bytes each, 100 MB.
const KEYS_MAX: usize = 500_000;

/// Locks: requests under way on a busy machine seldom meet at one of so many.
const SHARDS: usize = 64;

/// Pairs of level and client that are kept for one key; beyond, the oldest is forgotten.
const ACKNOWLEDGED_MAX: usize = 8;

/// What a put should carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing is known: read first.
    Nothing,
    /// This covers all that is there, as far as is known.
    Context(Context),
    /// There are siblings that nobody has seen: read first.
    Siblings,
}

/// The last acknowledged put of one level and client.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Acknowledged {
    at: At,
    sequence: u64,
}

#[derive(Debug, Default)]
struct Entry {
    /// Writes that were noted.
    writes: u64,
    context: Option<Context>,
    siblings: Siblings,
    acknowledged: Vec<Acknowledged>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Siblings {
    #[default]
    Unknown,
    Seen,
}

/// All known keys.
#[derive(Debug)]
pub(crate) struct Memory {
    shards: Vec<Mutex<BTreeMap<u64, Entry>>>,
    per_shard: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self::with_capacity(KEYS_MAX)
    }
}

impl Memory {
    fn with_capacity(keys: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, per_shard: keys.div_ceil(SHARDS) }
    }

    /// What a put of `key` should carry.
    pub(crate) fn known(&self, key: u64) -> Known {
        self.with(key, |shard| match shard.get(&key) {
            Some(Entry { siblings: Siblings::Seen, .. }) => Known::Siblings,
            Some(Entry { context: Some(context), .. }) => Known::Context(context.clone()),
            Some(_) | None => Known::Nothing,
        })
    }

    /// Writes of `key` that were noted until now: a get takes this number before it begins.
    pub(crate) fn writes(&self, key: u64) -> u64 {
        self.with(key, |shard| shard.get(&key).map_or(0, |entry| entry.writes))
    }

    /// Notes the context of a get that began when `writes` were noted.
    pub(crate) fn note_seen(&self, key: u64, context: &Context, writes: u64) {
        self.change(key, |entry| {
            if entry.writes == writes {
                entry.context = Some(context.clone());
                entry.siblings = Siblings::Unknown;
            }
        });
    }

    /// Notes the context of a write.
    pub(crate) fn note_written(&self, key: u64, context: &Context) {
        self.change(key, |entry| {
            entry.writes += 1;
            entry.context = Some(context.clone());
        });
    }

    /// Notes that a write left siblings.
    pub(crate) fn note_siblings(&self, key: u64) {
        self.change(key, |entry| entry.siblings = Siblings::Seen);
    }

    /// Notes a put that was acknowledged.
    pub(crate) fn note_acknowledged(&self, key: u64, at: At, sequence: u64) {
        self.change(key, |entry| {
            let known = entry.acknowledged.iter_mut().find(|known| known.at == at);
            match known {
                Some(known) => known.sequence = known.sequence.max(sequence),
                None => {
                    if entry.acknowledged.len() >= ACKNOWLEDGED_MAX {
                        entry.acknowledged.remove(0);
                    }
                    entry.acknowledged.push(Acknowledged { at, sequence });
                }
            }
        });
    }

    /// The newest acknowledged puts of `key`, by their sequence: one that a get at `at` must see, and any.
    pub(crate) fn to_see(&self, key: u64, at: At) -> (Option<u64>, Option<u64>) {
        self.with(key, |shard| {
            let puts = shard.get(&key).map_or(&[][..], |entry| &entry.acknowledged);
            let bound = puts.iter().filter(|put| overlap(put.at, at)).map(|put| put.sequence).max();
            (bound, puts.iter().map(|put| put.sequence).max())
        })
    }

    fn change(&self, key: u64, change: impl FnOnce(&mut Entry)) {
        self.with(key, |shard| {
            if !shard.contains_key(&key) && shard.len() >= self.per_shard {
                // The next key in the order of numbers, which has nothing to do with use.
                let next = shard.range(key..).next().or_else(|| shard.iter().next());
                let victim = next.map(|(key, _)| *key);
                victim.and_then(|victim| shard.remove(&victim));
            }
            change(shard.entry(key).or_default());
        });
    }

    fn with<T>(&self, key: u64, act: impl FnOnce(&mut BTreeMap<u64, Entry>) -> T) -> T {
        let place = usize::try_from(crate::chance::mix(key) % self.shards.len() as u64);
        let shard = place.ok().and_then(|place| self.shards.get(place));
        let shard = shard.expect("the remainder is below the number of shards");
        act(&mut shard.lock())
    }
}
