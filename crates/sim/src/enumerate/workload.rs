//! [`Workload`]: a short history of the storage engine, by number.
//!
//! 1. `number` = (index of the steps) × shapes + shape. Step lists are ordered by length, then as numbers to the base of
//!    the alphabet, so that every proper prefix of a workload has a smaller number.
//! 2. A shape is a store (fresh, seeded), a durability, a size of memtable, and which values are separated.
//! 3. [`Model`] says what the store holds after each batch.
//!
//! Invariant: values differ from batch to batch, so that a content tells which batches it holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_storage::{Batch, Durability, MergeError, MergeOperator, Options};
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Longest list of steps. Of 26 known crash bugs, 24 need at most three operations (OSDI 2018).
const STEPS_MAX: u32 = 4;

const ALPHABET: [Step; 9] = [
    Step::Put,
    Step::Merge,
    Step::Delete,
    Step::Pair,
    Step::Maintain,
    Step::Settle,
    Step::Reopen,
    Step::Restart,
    Step::Sync,
];

/// Stores × durabilities × memtables × separations.
const SHAPES: u64 = 16;

/// Bytes of a put value: a record is longer than half a sector, so that two of them share one and a third straddles.
const PUT_BYTES: usize = 300;

/// Bytes of a value of a pair: its record spans three sectors.
const PAIR_BYTES: usize = 700;

/// Bytes of an operand: beside the value of a pair it is enough garbage that the value is relocated once the operand was
/// joined elsewhere.
const OPERAND_BYTES: usize = 200;

/// One operation on the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Puts the first key.
    Put,
    /// Merges into the first key.
    Merge,
    /// Deletes the first key.
    Delete,
    /// A batch: puts the second key, merges into the first.
    Pair,
    /// One unit of flush or compaction.
    Maintain,
    /// All units of flush and compaction that are due.
    Settle,
    /// Closes, drops and opens.
    Reopen,
    /// Drops without closing, and opens: the process was killed.
    Restart,
    /// Syncs the log.
    Sync,
}

/// What the store holds before the first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    /// Nothing, not even files.
    Fresh,
    /// Tables in two levels and a log.
    Seeded,
}

/// How soon a memtable is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memtable {
    /// Every write seals the one before it.
    Tiny,
    /// Never within a workload.
    Roomy,
}

/// Which values are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Separation {
    /// Those of pairs, and joined ones once they are long enough: tables hold values and pointers.
    Long,
    /// All, operands too: tables are so small that they hold nothing but pointers.
    All,
}

/// A store, options and at most four steps.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    pub(super) store: Store,
    pub(super) steps: Vec<Step>,
    durability: Durability,
    memtable: Memtable,
    separation: Separation,
}

impl Workload {
    /// Workload `number`; `None` behind the last one.
    pub(super) fn numbered(number: u64) -> Option<Self> {
        let (mut index, shape) = (number / SHAPES, number % SHAPES);
        let base = ALPHABET.len() as u64;
        let length = (0..=STEPS_MAX).find(|length| {
            let lists = base.pow(*length);
            let found = index < lists;
            index -= if found { 0 } else { lists };
            found
        })?;
        let digits = (0..length).rev().map(|place| index / base.pow(place) % base);
        let steps = digits.filter_map(|digit| ALPHABET.get(usize::try_from(digit).ok()?));
        Some(Self {
            steps: steps.copied().collect(),
            store: if shape & 1 == 0 { Store::Fresh } else { Store::Seeded },
            durability: if shape & 2 == 0 { Durability::Fsync } else { Durability::Periodic },
            memtable: if shape & 4 == 0 { Memtable::Tiny } else { Memtable::Roomy },
            separation: if shape & 8 == 0 { Separation::All } else { Separation::Long },
        })
    }

    /// The steps that lead to a seeded store.
    pub(super) fn seeding(&self) -> Self {
        let steps = vec![
            Step::Put,
            Step::Pair,
            Step::Settle,
            Step::Merge,
            Step::Reopen,
            Step::Pair,
            Step::Sync,
        ];
        Self { store: Store::Fresh, steps, ..*self }
    }

    /// Whether an acknowledged write is durable at once.
    pub(super) fn acknowledges_durably(&self) -> bool {
        self.durability == Durability::Fsync
    }

    /// Bounds so small that flush and compaction have work after one write.
    pub(super) fn options(&self) -> Options {
        let memtable_bytes_max = match self.memtable {
            Memtable::Tiny => 1,
            Memtable::Roomy => 1 << 20,
        };
        // A unit takes about a table's worth of bytes: of values that it moves, too.
        let (value_separation_bytes, table_bytes, level_bytes_base) = match self.separation {
            Separation::Long => (512, 600, 2_000),
            Separation::All => (100, 250, 600),
        };
        Options {
            memtable_bytes_max,
            memtables_sealed_max: 1,
            wal_segment_bytes_max: 2 << 20,
            value_separation_bytes,
            // What is read is read from the disk.
            cache_bytes: 0,
            block_bytes: 256,
            tables_l0_trigger: 1,
            tables_l0_max: 3,
            table_bytes,
            level_bytes_base,
            free_bytes_min: 0,
            durability: self.durability,
            ..Options::default()
        }
    }
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let store = match self.store {
            Store::Fresh => "fresh store",
            Store::Seeded => "seeded store",
        };
        let durability = match self.durability {
            Durability::Fsync => "fsync",
            Durability::Periodic => "periodic sync",
        };
        let memtable = match self.memtable {
            Memtable::Tiny => "memtable of one batch",
            Memtable::Roomy => "roomy memtable",
        };
        let separation = match self.separation {
            Separation::Long => "long values separated",
            Separation::All => "all values separated",
        };
        write!(f, "{store}, {durability}, {memtable}, {separation}: open")?;
        self.steps.iter().try_for_each(|step| write!(f, ", {step}"))
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Put => "put a",
            Self::Merge => "merge a",
            Self::Delete => "delete a",
            Self::Pair => "put b and merge a in one batch",
            Self::Maintain => "maintain once",
            Self::Settle => "maintain until idle",
            Self::Reopen => "close and open",
            Self::Restart => "drop and open",
            Self::Sync => "sync",
        })
    }
}

/// Keys and values.
pub(super) type Content = BTreeMap<Vec<u8>, Vec<u8>>;

/// What the store holds after each batch.
#[derive(Clone, Debug)]
pub(super) struct Model {
    states: Vec<ModelState>,
}

#[derive(Clone, Debug, Default)]
struct ModelState {
    content: Arc<Content>,
    sequence: u64,
    /// Of this and all earlier states.
    hash: u64,
}

impl Model {
    /// An empty store.
    pub(super) fn new() -> Self {
        Self { states: vec![ModelState::default()] }
    }

    /// Only the last state, as the first.
    pub(super) fn rebased(&self) -> Self {
        Self { states: vec![self.last().clone()] }
    }

    /// The first `batches` only.
    pub(super) fn upto(&self, batches: usize) -> Self {
        Self { states: self.states.iter().take(batches + 1).cloned().collect() }
    }

    /// Batches so far.
    pub(super) fn batches(&self) -> usize {
        self.states.len() - 1
    }

    /// The batch that `step` writes next, which is applied here; `None` if the step writes nothing.
    pub(super) fn write(&mut self, step: Step) -> Option<Batch> {
        let last = self.last();
        let (mut content, mut sequence) = ((*last.content).clone(), last.sequence);
        let mut batch = Batch::new();
        let mark = sequence + 1;
        match step {
            Step::Put => put(&mut batch, &mut content, b"a", value(mark, PUT_BYTES)),
            Step::Merge => merge(&mut batch, &mut content, b"a", mark),
            Step::Delete => {
                batch.delete(b"a");
                content.remove(&b"a"[..]);
            }
            Step::Pair => {
                put(&mut batch, &mut content, b"b", value(mark, PAIR_BYTES));
                merge(&mut batch, &mut content, b"a", mark);
            }
            Step::Maintain | Step::Settle | Step::Reopen | Step::Restart | Step::Sync => {
                return None;
            }
        }
        sequence += batch.len() as u64;
        let hash = hash(&content, sequence, last.hash);
        self.states.push(ModelState { content: Arc::new(content), sequence, hash });
        Some(batch)
    }

    /// The number of batches behind a sequence number, if that is between two batches.
    pub(super) fn batches_at(&self, sequence: u64) -> Option<usize> {
        self.states.iter().position(|state| state.sequence == sequence)
    }

    /// What the store holds after `batches`.
    pub(super) fn content(&self, batches: usize) -> &Content {
        &self.states.get(batches).unwrap_or_else(|| self.last()).content
    }

    /// Two expectations with equal hashes accept the same stores.
    pub(super) fn hash(&self, at_least: usize, at_most: usize) -> u64 {
        let low = self.states.get(at_least).map_or(0, |state| state.hash);
        let high = self.states.get(at_most).map_or(0, |state| state.hash);
        xxh3_64_with_seed(&low.to_le_bytes(), high)
    }

    fn last(&self) -> &ModelState {
        self.states.last().expect("a model begins with a state")
    }
}

/// Appends operands to what is there: sensitive to order and loss.
pub(super) struct Concat;

impl MergeOperator for Concat {
    fn merge(
        &self,
        _key: &[u8],
        existing: Option<&Bytes>,
        operands: &[Bytes],
    ) -> Result<Bytes, MergeError> {
        Ok(existing.into_iter().chain(operands).flatten().copied().collect())
    }
}

fn put(batch: &mut Batch, content: &mut Content, key: &[u8], value: Vec<u8>) {
    batch.put(key, &value);
    content.insert(key.to_vec(), value);
}

fn merge(batch: &mut Batch, content: &mut Content, key: &[u8], mark: u64) {
    let operand = padded(format!("+{mark}:"), mark, OPERAND_BYTES);
    batch.merge(key, &operand);
    content.entry(key.to_vec()).or_default().extend(operand);
}

/// Bytes that begin with the mark and do not compress to nothing.
fn value(mark: u64, length: usize) -> Vec<u8> {
    padded(format!("{mark}:"), mark, length)
}

fn padded(begin: String, mark: u64, length: usize) -> Vec<u8> {
    let mut value = begin.into_bytes();
    let mut word = mark;
    while value.len() < length {
        word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) ^ mark;
        value.extend_from_slice(&word.to_le_bytes());
    }
    value.truncate(length);
    value
}

fn hash(content: &Content, sequence: u64, before: u64) -> u64 {
    let mut hash = xxh3_64_with_seed(&sequence.to_le_bytes(), before);
    for (key, value) in content {
        hash = xxh3_64_with_seed(value, xxh3_64_with_seed(key, hash));
    }
    hash
}
