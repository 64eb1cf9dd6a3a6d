//! `memtables`: the candidates for Atoll's memtable, without the engine around them.
//!
//! 1. One writer inserts hashed keys of 16 bytes in random order, as the leader of a group commit does; then the same
//!    keys are looked up, and absent ones; then everything is walked in order.
//! 2. Candidates: one ordered tree behind a lock, 64 of them by the first bits of the key (what the engine has), and a
//!    lock-free skiplist.
//! 3. Rounds alternate between the candidates; the medians of nanoseconds per operation are printed.
//!
//! Invariant: every candidate compares keys by their first eight bytes first, as the engine does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use crossbeam_skiplist::SkipMap;
use parking_lot::RwLock;

use crate::records::{KEY_BYTES, absent_key, key};

/// Trees of the sharded candidate, as in the engine.
const SHARDS: usize = 64;

/// Rounds of all candidates.
const ROUNDS: usize = 5;

/// What stands for a chain of entries: about as large.
type Entry = [u64; 7];

/// A key with its beginning as a number in front.
type Key = (u64, [u8; KEY_BYTES]);

trait Candidate {
    fn insert(&self, key: Key, entry: Entry);
    fn contains(&self, key: &Key) -> bool;
    fn walk(&self) -> u64;
}

struct Sharded(Vec<RwLock<BTreeMap<Key, Entry>>>);

impl Candidate for Sharded {
    fn insert(&self, key: Key, entry: Entry) {
        self.shard(&key).write().insert(key, entry);
    }

    fn contains(&self, key: &Key) -> bool {
        self.shard(key).read().contains_key(key)
    }

    fn walk(&self) -> u64 {
        self.0.iter().map(|shard| shard.read().values().map(|entry| entry[0]).sum::<u64>()).sum()
    }
}

impl Sharded {
    fn new(shards: usize) -> Sharded {
        Sharded((0..shards).map(|_| RwLock::default()).collect())
    }

    fn shard(&self, key: &Key) -> &RwLock<BTreeMap<Key, Entry>> {
        let first = usize::from(key.1[0]);
        &self.0[first * self.0.len() / 256]
    }
}

impl Candidate for SkipMap<Key, Entry> {
    fn insert(&self, key: Key, entry: Entry) {
        SkipMap::insert(self, key, entry);
    }

    fn contains(&self, key: &Key) -> bool {
        self.contains_key(key)
    }

    fn walk(&self) -> u64 {
        self.iter().map(|entry| entry.value()[0]).sum()
    }
}

/// Nanoseconds per insert, hit, miss and step of a walk.
type Costs = [f64; 4];

/// Measures all candidates at several sizes; returns a table.
pub(crate) fn measure() -> String {
    let mut out = String::from(
        "| entries | candidate | insert ns | hit ns | miss ns | walk ns |\n|---|---|---|---|---|---|\n",
    );
    for entries in [60_000u64, 600_000] {
        let candidates: [(&str, fn() -> Box<dyn Candidate>); 3] = [
            ("one tree", || Box::new(Sharded::new(1))),
            ("64 trees by the first bits", || Box::new(Sharded::new(SHARDS))),
            ("skiplist", || Box::new(SkipMap::new())),
        ];
        let mut rounds: [Vec<Costs>; 3] = Default::default();
        for _ in 0..ROUNDS {
            for ((_, make), costs) in candidates.iter().zip(&mut rounds) {
                costs.push(round(&*make(), entries));
            }
        }
        for ((name, _), costs) in candidates.iter().zip(&rounds) {
            let [insert, hit, miss, walk] = medians(costs);
            let _ = writeln!(
                out,
                "| {entries} | {name} | {insert:.0} | {hit:.0} | {miss:.0} | {walk:.0} |"
            );
        }
    }
    out
}

fn round(candidate: &dyn Candidate, entries: u64) -> Costs {
    let with_prefix = |key: [u8; KEY_BYTES]| {
        let prefix = key.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
        (prefix, key)
    };
    let present: Vec<Key> = (0..entries).map(|index| with_prefix(key(index))).collect();
    let absent: Vec<Key> = (0..entries).map(|index| with_prefix(absent_key(index))).collect();
    let insert = timed(entries, || {
        present.iter().for_each(|key| candidate.insert(*key, [key.0; 7]));
    });
    let hit = timed(entries, || {
        assert!(present.iter().all(|key| candidate.contains(key)));
    });
    let miss = timed(entries, || {
        assert!(!absent.iter().any(|key| candidate.contains(key)));
    });
    let walk = timed(entries, || {
        black_box(candidate.walk());
    });
    [insert, hit, miss, walk]
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of seconds fit 53 bits")]
fn timed(operations: u64, work: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_nanos() as f64 / operations as f64
}

fn medians(rounds: &[Costs]) -> Costs {
    std::array::from_fn(|column| {
        let mut values: Vec<f64> = rounds.iter().map(|costs| costs[column]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    })
}
