//! [`Version`]: the set of live tables at one moment, in the order in which reads visit them.
//!
//! Immutable and shared through `Arc`: readers and snapshots keep the version they began with; flush and compaction
//! install a new one.
//!
//! 1. Level 0 holds flushed memtables, newest first; their key ranges overlap.
//! 2. Each deeper level holds tables sorted by key, free of overlap; deeper is older.
//! 3. A table may be *trimmed*: its keys below a bound have moved to the next level and are not read here any more.
//! 4. What the tables point into is summed up by value file: the live bytes of each.
//!
//! Invariants
//! - For one key, entries of an earlier table in visiting order are newer than those of a later one.
//! - Live ranges of tables of one level below 0 do not overlap.
//! - A version keeps its tables and value files open; a file is unlinked only after the last version that has it ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::dropped::DroppedRange;
use crate::entry::Pointer;
use crate::error::Error;
use crate::manifest::Edit;
use crate::run::{LevelCursor, Run, TablePart};
use crate::sstable::Table;
use crate::value_log::ValueFile;

/// Levels: 128 MiB in level 1 and ten times more in each deeper one make 1.4 PiB in level 6.
pub(crate) const LEVELS: usize = 7;

/// A live table, and which part of it lives.
#[derive(Clone)]
pub(crate) struct LiveTable {
    /// The open file.
    pub(crate) table: Arc<Table>,
    /// Keys below have moved on.
    pub(crate) trimmed_to: Option<Bytes>,
}

impl LiveTable {
    /// The lowest key that may live here.
    pub(crate) fn key_first(&self) -> &Bytes {
        self.trimmed_to.as_ref().unwrap_or(&self.table.meta().key_first)
    }

    /// The highest key that lives here.
    pub(crate) fn key_last(&self) -> &Bytes {
        &self.table.meta().key_last
    }

    /// The file's id.
    pub(crate) fn file_id(&self) -> u64 {
        self.table.meta().file_id
    }

    fn covers(&self, key: &[u8]) -> bool {
        self.key_first().as_ref() <= key && key <= self.key_last().as_ref()
    }

    /// The part that lives.
    pub(crate) fn part(&self) -> TablePart {
        debug_assert!(self.key_first() <= self.key_last(), "some of it lives");
        TablePart { table: Arc::clone(&self.table), key_first: self.key_first().clone() }
    }
}

/// A value file, and how much of it lives.
#[derive(Clone)]
pub(crate) struct LiveValues {
    /// The open file.
    pub(crate) file: Arc<ValueFile>,
    /// Bytes of values that live tables point to, at most: what newer tables hide is still counted.
    pub(crate) live_bytes: u64,
    /// Tables that point into it.
    tables: u64,
}

/// All live tables.
#[derive(Clone)]
pub(crate) struct Version {
    levels: [Vec<LiveTable>; LEVELS],
    values: BTreeMap<u64, LiveValues>,
    dropped: Arc<[DroppedRange]>,
    /// Times that entries were left out since the store was opened, because they could not be read.
    losses: u64,
}

impl Version {
    /// A version without tables.
    pub(crate) fn empty() -> Version {
        Version {
            levels: std::array::from_fn(|_| Vec::new()),
            values: BTreeMap::new(),
            dropped: Arc::new([]),
            losses: 0,
        }
    }

    /// The version after `edit`; `opened` holds the tables it adds that are not in this one.
    pub(crate) fn apply(&self, edit: &Edit, opened: &[Arc<Table>]) -> Version {
        let mut next = self.clone();
        for record in &edit.adds {
            let table = self.table(record.meta.file_id, opened);
            next.count_values(&table);
            let live = LiveTable { table, trimmed_to: record.trimmed_to.clone() };
            let level = next.levels.get_mut(usize::from(record.level));
            level.expect("levels were checked when the record was read or made").push(live);
        }
        for file_id in &edit.removes {
            let table = self.table(*file_id, &[]);
            next.forget_values(&table);
            // The first of its kind: an edit may remove a table and add it again, which is behind the old one.
            let holds = |level: &&mut Vec<LiveTable>| level.iter().any(|t| t.file_id() == *file_id);
            let level = next.levels.iter_mut().find(holds).expect("the table was found above");
            let at = level.iter().position(|live| live.file_id() == *file_id);
            level.remove(at.expect("the level holds it"));
        }
        let stays = |dropped: &&DroppedRange| !edit.retires.contains(&dropped.id);
        next.dropped = self.dropped.iter().chain(&edit.drops).filter(stays).cloned().collect();
        next.sort();
        assert!(
            next.tables().count() + edit.removes.len() == self.tables().count() + edit.adds.len()
        );
        next
    }

    /// Tables of `level`, in visiting order.
    pub(crate) fn level(&self, level: usize) -> &[LiveTable] {
        self.levels.get(level).map_or(&[], Vec::as_slice)
    }

    /// All tables, with their levels.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (usize, &LiveTable)> {
        self.levels
            .iter()
            .enumerate()
            .flat_map(|(level, tables)| tables.iter().map(move |t| (level, t)))
    }

    /// The value files that tables point into, by id.
    pub(crate) fn values(&self) -> &BTreeMap<u64, LiveValues> {
        &self.values
    }

    /// Ranges whose older entries count as absent.
    pub(crate) fn dropped(&self) -> &Arc<[DroppedRange]> {
        &self.dropped
    }

    /// How often entries were left out since the store was opened, because they could not be read. What a key comes to from
    /// one of its entries down changes at no other time: a drop takes the newest entry of its keys, too.
    pub(crate) fn losses(&self) -> u64 {
        self.losses
    }

    /// Counts that entries were left out with the change that made this version.
    pub(crate) fn count_loss(&mut self) {
        self.losses += 1;
    }

    /// The value file of `pointer`.
    pub(crate) fn value_file(&self, pointer: &Pointer) -> &Arc<ValueFile> {
        let live = self.values.get(&pointer.file_id);
        &live.expect("a table lists the files that it points into").file
    }

    /// The tables whose keys range over `key`, in visiting order.
    pub(crate) fn tables_of(&self, key: &[u8]) -> impl Iterator<Item = &Arc<Table>> {
        let overlapping = self.level(0).iter().filter(move |live| live.covers(key));
        let deeper = self.levels.iter().skip(1).filter_map(move |level| {
            let at = level.partition_point(|live| live.key_last().as_ref() < key);
            level.get(at).filter(|live| live.covers(key))
        });
        overlapping.chain(deeper).map(|live| &live.table)
    }

    /// Runs over keys from `start` on, before `end`, newest first: one per level-0 table, one per deeper level.
    pub(crate) fn runs(&self, start: &[u8], end: Option<&[u8]>) -> Result<Vec<Run>, Error> {
        let mut runs = Vec::new();
        let overlaps = |live: &&LiveTable| {
            live.key_last().as_ref() >= start
                && end.is_none_or(|end| live.key_first().as_ref() < end)
                && live.table.may_contain_range(start, end)
        };
        for live in self.level(0).iter().filter(overlaps) {
            runs.push(Run::Table(live.part().cursor(start, end)?));
        }
        for level in self.levels.iter().skip(1) {
            let tables: Vec<_> = level.iter().filter(overlaps).map(LiveTable::part).collect();
            if !tables.is_empty() {
                runs.push(Run::Level(Box::new(LevelCursor::new(tables, start, end)?)));
            }
        }
        Ok(runs)
    }

    fn table(&self, file_id: u64, opened: &[Arc<Table>]) -> Arc<Table> {
        let present = self.tables().map(|(_, live)| &live.table);
        let found = opened.iter().chain(present).find(|table| table.meta().file_id == file_id);
        Arc::clone(found.expect("an added table is open or was there before"))
    }

    fn count_values(&mut self, table: &Table) {
        for reference in table.references() {
            let file = &reference.file;
            let live = self.values.entry(file.file_id()).or_insert_with(|| LiveValues {
                file: Arc::clone(file),
                live_bytes: 0,
                tables: 0,
            });
            live.live_bytes += reference.live_bytes;
            live.tables += 1;
        }
    }

    fn forget_values(&mut self, table: &Table) {
        for reference in table.references() {
            let file_id = reference.file.file_id();
            let live = self.values.get_mut(&file_id).expect("it was counted when it was added");
            live.live_bytes -= reference.live_bytes;
            live.tables -= 1;
            if live.tables == 0 {
                assert!(live.live_bytes == 0, "references add up");
                self.values.remove(&file_id);
            }
        }
    }

    fn sort(&mut self) {
        for (number, level) in self.levels.iter_mut().enumerate() {
            if number == 0 {
                level.sort_by_key(|live| std::cmp::Reverse(live.table.meta().sequence_max));
                let apart = |(newer, older): (&LiveTable, &LiveTable)| {
                    newer.table.meta().sequence_min > older.table.meta().sequence_max
                };
                assert!(level.iter().zip(level.iter().skip(1)).all(apart), "level 0 is by age");
            } else {
                level.sort_by(|left, right| left.key_first().cmp(right.key_first()));
                let apart =
                    |(left, right): (&LiveTable, &LiveTable)| left.key_last() < right.key_first();
                assert!(level.iter().zip(level.iter().skip(1)).all(apart), "levels do not overlap");
            }
        }
    }
}
