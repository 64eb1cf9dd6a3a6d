//! Runs and their merge: many sorted sources seen as one.
//!
//! Scans and compaction give their sources newest first; each step yields one key with everything stored for it.
//!
//! 1. Every source stands at its next entry and shows its key.
//! 2. Sources are kept in the order of those keys; on equal keys the newest source goes first. A source that moved on
//!    walks back into its place: long stretches of one source cost one comparison each.
//! 3. All entries of the first key are pushed on one [`Stack`], until it is settled; the older ones are skipped.
//!
//! Invariants
//! - Sources are given newest first: an entry of an earlier source is newer than any of the same key in a later one.
//! - Keys come out strictly ascending.
//! - The first error ends the merge.

mod level;

use std::cmp::Ordering;
use std::sync::Arc;

use crate::codec::key_prefix;
use crate::dropped::{DroppedRange, floor_of};
use crate::entry::{Entry, Payload};
use crate::error::Error;
use crate::fold::Stack;
use crate::memtable::MemtableCursor;
use crate::sstable::TableCursor;

pub(crate) use level::{LevelCursor, TablePart};

/// Bytes that a pointer takes in a table, about: what a compaction moves instead of the value.
const POINTER_BYTES: u64 = 20;

/// A sorted source of entries.
pub(crate) enum Run {
    /// A memtable.
    Memtable(MemtableCursor),
    /// A table of level 0.
    Table(TableCursor),
    /// The tables of a deeper level, one after the other.
    Level(Box<LevelCursor>),
}

impl Run {
    /// The key of the entry it stands at; `None` at the end.
    fn key(&self) -> Option<&[u8]> {
        match self {
            Run::Memtable(cursor) => cursor.key(),
            Run::Table(cursor) => cursor.key(),
            Run::Level(cursor) => cursor.key(),
        }
    }

    /// Takes that entry, which is to be pushed on `stack` if that is not settled, and moves on.
    fn take(&mut self, stack: &Stack) -> Result<Option<Entry>, Error> {
        match self {
            Run::Memtable(cursor) => Ok(cursor.take()),
            Run::Table(cursor) => take_entry(cursor, stack),
            Run::Level(cursor) => cursor.take(stack),
        }
    }
}

/// Several runs as one.
pub(crate) struct MergedRuns {
    /// Those that are not at their end, by their rank: lower is newer.
    runs: Vec<Ranked>,
    /// The key that was taken last.
    key: Vec<u8>,
    /// Ranges whose older entries are left out.
    dropped: Arc<[DroppedRange]>,
}

struct Ranked {
    rank: usize,
    /// The first bytes of the key that the run stands at, so that most comparisons follow no pointer.
    prefix: u64,
    run: Run,
}

impl Ranked {
    fn new(rank: usize, run: Run) -> Ranked {
        let mut ranked = Ranked { rank, prefix: 0, run };
        ranked.update_prefix();
        ranked
    }

    fn update_prefix(&mut self) {
        self.prefix = self.run.key().map_or(0, key_prefix);
    }

    fn order(&self) -> (u64, Option<&[u8]>, usize) {
        (self.prefix, self.run.key(), self.rank)
    }

    fn is_before(&self, other: &Ranked) -> bool {
        match self.prefix.cmp(&other.prefix) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => self.order() < other.order(),
        }
    }
}

impl MergedRuns {
    /// Merges `runs`, newest first, without what was `dropped`.
    pub(crate) fn new(runs: Vec<Run>, dropped: Arc<[DroppedRange]>) -> MergedRuns {
        let ranked = runs.into_iter().enumerate().map(|(rank, run)| Ranked::new(rank, run));
        let mut runs: Vec<_> = ranked.filter(|ranked| ranked.run.key().is_some()).collect();
        runs.sort_by(|left, right| left.order().cmp(&right.order()));
        MergedRuns { runs, key: Vec::new(), dropped }
    }

    /// The key that [`next_key`](MergedRuns::next_key) will yield.
    pub(crate) fn peek_key(&self) -> Option<&[u8]> {
        self.runs.first().and_then(|first| first.run.key())
    }

    /// The key that was yielded last.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Moves to the next key and puts its entries on `stack`, emptied first; `None` at the end, else their bytes.
    pub(crate) fn next_key(&mut self, stack: &mut Stack) -> Result<Option<u64>, Error> {
        stack.clear();
        let Some(first) = self.runs.first() else {
            return Ok(None);
        };
        self.key.clear();
        self.key.extend_from_slice(first.run.key().unwrap_or_default());
        stack.begin(floor_of(&self.dropped, &self.key));
        let prefix = first.prefix;
        let mut taken_bytes = 0;
        while let Some(first) = self.runs.first_mut() {
            if first.prefix != prefix || first.run.key() != Some(self.key.as_slice()) {
                break;
            }
            if let Some(entry) = first.run.take(stack)? {
                taken_bytes += self.key.len() as u64 + stored_bytes(&entry);
                if !stack.is_settled() {
                    stack.push(entry);
                }
            }
            first.update_prefix();
            self.settle_first();
        }
        assert!(!stack.is_empty(), "a key comes with an entry");
        debug_assert!(self.peek_key().is_none_or(|next| next > self.key.as_slice()), "keys ascend");
        Ok(Some(taken_bytes))
    }

    /// Brings the first run, which has moved on, to its place.
    fn settle_first(&mut self) {
        if self.runs.first().is_some_and(|first| first.run.key().is_none()) {
            self.runs.remove(0);
            return;
        }
        let mut at = 0;
        while let [moved, next, ..] = self.runs.get(at..).unwrap_or_default()
            && next.is_before(moved)
        {
            self.runs.swap(at, at + 1);
            at += 1;
        }
    }
}

/// Takes the entry that a cursor stands at, and moves it on.
///
/// # Errors
/// [`Error::Corrupt`] if the entry is not older than those on `stack`, which are from newer sources.
fn take_entry(cursor: &mut TableCursor, stack: &Stack) -> Result<Option<Entry>, Error> {
    let entry = cursor.entry();
    if entry.as_ref().is_some_and(|entry| !stack.accepts(entry.sequence)) {
        return Err(cursor.out_of_order());
    }
    cursor.advance()?;
    Ok(entry)
}

/// Bytes of an entry, without its key, as a table holds it.
fn stored_bytes(entry: &Entry) -> u64 {
    match entry.value.payload() {
        Some(Payload::Stored(_)) => POINTER_BYTES,
        Some(payload) => payload.len(),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::{MergedRuns, Run};
    use crate::cache::{Cache, CacheUse};
    use crate::entry::{Entry, Payload, Value};
    use crate::error::Error;
    use crate::files::FileKind;
    use crate::fold::Stack;
    use crate::harness::FlatDisk;
    use crate::memtable::Memtable;
    use crate::merge::Unused;
    use crate::options::Compression;
    use crate::sstable::{Table, TableContext, TableShape, TableWriter};
    use crate::value_log::ValueFiles;

    fn run(entries: &[(&'static str, u64, Value)]) -> Run {
        let memtable = Arc::new(Memtable::new(1, 0));
        let mut by_sequence = entries.to_vec();
        by_sequence.sort_by_key(|(_, sequence, _)| *sequence);
        for (key, sequence, value) in by_sequence {
            let key = Bytes::from_static(key.as_bytes());
            memtable.insert(sequence, [(key, value)].into_iter(), &Unused);
        }
        Run::Memtable(memtable.cursor(&[], None, u64::MAX))
    }

    /// The manifest gives tables their places; one in a wrong place must not hide what is newer.
    #[test]
    fn an_older_source_with_a_newer_entry_is_corrupt() {
        let disk = FlatDisk::default();
        let (values, cache) = (ValueFiles::default(), Arc::new(Cache::new(10_000)));
        let context = TableContext { disk: &disk, values: &values, cache: &cache };
        let shape =
            TableShape { block_bytes: 100, bloom_bits_per_key: 0, compression: Compression::None };
        let tables = [(3, 7), (4, 8)].map(|(file_id, sequence)| {
            let mut writer = TableWriter::create(&disk, file_id, shape).unwrap();
            let value = Value::Merge(Payload::Inline(Bytes::from_static(b"+")));
            writer.add(b"key", &Entry { sequence, value }).unwrap();
            let meta = writer.finish().unwrap();
            Arc::new(Table::open(&context, meta).unwrap())
        });
        let merge = |order: [usize; 2]| {
            let runs = order.map(|at| tables[at].cursor(&[], None, CacheUse::Bypass).unwrap());
            let mut merged =
                MergedRuns::new(runs.into_iter().map(Run::Table).collect(), Arc::new([]));
            merged.next_key(&mut Stack::default())
        };
        assert!(merge([1, 0]).unwrap().is_some());
        let misplaced = merge([0, 1]);
        let wrong = FileKind::Table.name(4);
        assert!(
            matches!(&misplaced, Err(Error::Corrupt { file, .. }) if *file == wrong),
            "{misplaced:?}"
        );
    }

    #[test]
    fn keys_ascend_and_entries_go_newest_first_down_to_the_base() {
        let operand = Value::Merge(Payload::Inline(Bytes::from_static(b"+")));
        let put = Value::Put(Payload::Inline(Bytes::from_static(b"=")));
        let newer =
            run(&[("b", 9, operand.clone()), ("b", 8, operand.clone()), ("d", 7, put.clone())]);
        let older = run(&[("a", 1, put.clone()), ("b", 3, put.clone()), ("b", 2, operand)]);
        let mut merged = MergedRuns::new(vec![newer, older], Arc::new([]));
        let mut stack = Stack::default();
        let mut seen = Vec::new();
        while merged.next_key(&mut stack).unwrap().is_some() {
            let entries = format!("{stack:?}").matches("sequence").count();
            seen.push((String::from_utf8_lossy(merged.key()).into_owned(), entries));
        }
        assert_eq!(seen, [("a", 1), ("b", 3), ("d", 1)].map(|(key, n)| (key.to_owned(), n)));
    }
}
