//! The record: what a replica keeps for one key, a dotted version vector with explicit dots.
//!
//! Per incarnation a discard floor and the live (counter, cell) pairs above it. A cell is a value or a tombstone.
//!
//! 1. The coordinator of a put raises the floors that the client's context names (dropping the cells at or below
//!    them) and adds one cell under a fresh dot ([`Record::apply_put`]).
//! 2. It ships the *whole* record; replicas join it with theirs ([`Record::join`]).
//! 3. In an `lww` keyspace the join keeps only the cell with the greatest (timestamp, dot), and no floors: contexts
//!    there only push the clock forward.
//!
//! Invariants
//! - `join` is commutative, associative and idempotent; equal states have equal bytes (`encode`).
//! - Every cell's counter is above its incarnation's floor.
//! - An `lww` record has at most one cell and no floor above zero.
//! - Two different cells under one dot are both kept ([`Record::duplicate_dots`]): somebody minted a dot twice, which
//!   is an alarm, never a reason to drop an acked write. (`lww` keeps one of them, as of any two writes.)
//! - A tombstone never expires, and nothing expires at the epoch itself (its bytes would mean never).
//!
//! Source: Preguiça et al., "Dotted Version Vectors", 2010; the explicit form (floor plus live counters) follows
//! Garage's K2V; keeping both cells of a reused dot follows Riak.

mod encoding;
mod entries;
mod version;

#[cfg(test)]
mod tests;

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;
use smallvec::SmallVec;

use crate::ids::Incarnation;
use crate::keyspace::Conflict;
use crate::time::WallTime;
use crate::version::{Context, Dot, Timestamp};

use entries::Entries;

pub use encoding::RecordError;
pub use version::RecordVersion;

/// What one write left behind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// Hybrid-logical time of the write.
    pub timestamp: Timestamp,
    /// When the value stops being visible; a tombstone never expires.
    pub expires_at: Option<WallTime>,
    /// The value, or the mark that there is none.
    pub body: CellBody,
}

/// Value or deletion.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CellBody {
    /// Opaque bytes.
    Value(Bytes),
    /// The key was deleted here.
    Tombstone,
}

/// Floor and live cells of one incarnation. Cells are sorted by (counter, cell); equal pairs stand once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    floor: u64,
    cells: SmallVec<[(u64, Cell); 1]>,
}

/// The state of one key at one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    conflict: Conflict,
    entries: Entries,
}

impl Record {
    /// The record of a key that nobody wrote.
    pub fn empty(conflict: Conflict) -> Self {
        Self { conflict, entries: Entries::default() }
    }

    /// Adds `cell` under `dot`, superseding what `context` covers.
    ///
    /// # Panics
    /// If `dot` is already covered by this record or by `context`: it would be discarded on arrival, so minting it
    /// was a mistake. The replica checks both before it mints. If `cell` is a tombstone that expires.
    pub fn apply_put(&mut self, dot: Dot, mut cell: Cell, context: &Context) {
        let is_tombstone = cell.body == CellBody::Tombstone;
        assert!(!is_tombstone || cell.expires_at.is_none(), "a tombstone never expires");
        // The bytes of the epoch mean "never".
        cell.expires_at = cell.expires_at.map(|at| at.max(WallTime::from_micros(1)));
        assert!(dot.counter > self.counter_max(dot.incarnation), "a dot is minted once");
        assert!(!context.covers(dot), "a context cannot cover a dot that is being minted");
        match self.conflict {
            Conflict::Siblings => {
                if !seeded_bug(Mutant::ContextPruned) {
                    self.entries.add(context.entries().map(|(incarnation, _)| incarnation));
                }
                for (incarnation, entry) in self.entries.iter_mut() {
                    entry.raise_floor(context.counter(incarnation).unwrap_or_default());
                }
                if seeded_bug(Mutant::BlindPutOverwrites) && context.entries().next().is_none() {
                    self.entries
                        .iter_mut()
                        .for_each(|(_, entry)| entry.raise_floor(entry.counter_max()));
                }
                let entry = self.entries.of(dot.incarnation);
                entry.cells.push((dot.counter, cell));
            }
            Conflict::Lww => {
                let entry = self.entries.of(dot.incarnation);
                entry.cells.push((dot.counter, cell));
                self.keep_last_write();
            }
        }
        self.drop_empty_entries();
        self.assert_invariants();
    }

    /// Joins `other` into this record: the least state that holds what either holds.
    ///
    /// # Panics
    /// If the two records are of keyspaces with different conflict modes: keys never change keyspace.
    pub fn join(&mut self, other: &Self) {
        assert_eq!(self.conflict, other.conflict, "a key has one conflict mode");
        self.entries.add(other.entries.iter().map(|(incarnation, _)| incarnation));
        for (incarnation, theirs) in other.entries.iter() {
            self.entries.of(incarnation).join(theirs);
        }
        if self.conflict == Conflict::Lww {
            self.keep_last_write();
        }
        self.drop_empty_entries();
        self.assert_invariants();
        debug_assert!(
            self.conflict == Conflict::Lww
                || other
                    .entries
                    .iter()
                    .all(|(i, theirs)| self.counter_max(i) >= theirs.counter_max()),
            "a join forgets no event"
        );
    }

    /// True if [`join`](Self::join) with `other` would change nothing. Of two `lww` cells under one dot it says false, whichever is
    /// kept.
    ///
    /// Cost: nothing is copied; values are compared only under equal dots.
    pub fn absorbs(&self, other: &Self) -> bool {
        let is_absorbed = |(incarnation, theirs): (Incarnation, &Entry)| {
            self.entries.get(incarnation).is_some_and(|ours| ours.absorbs(theirs))
        };
        self.conflict == other.conflict
            && match self.conflict {
                Conflict::Siblings => other.entries.iter().all(is_absorbed),
                Conflict::Lww => {
                    let last = |record: &Self| {
                        record.cells().next().map(|(dot, cell)| (cell.timestamp, dot))
                    };
                    self == other || last(other) < last(self)
                }
            }
    }

    /// How concurrent writes of this key are resolved.
    pub fn conflict(&self) -> Conflict {
        self.conflict
    }

    /// The context of a reader of this record, for the key with `token`.
    pub fn context(&self, token: u64) -> Context {
        let mut context = Context::new(token);
        for (incarnation, entry) in self.entries.iter() {
            context.observe(incarnation, entry.counter_max());
        }
        for (dot, cell) in self.cells() {
            context.observe_timestamp(cell.timestamp);
            debug_assert!(context.covers(dot), "a reader has seen every live cell");
        }
        context
    }

    /// True if this record holds, or supersedes, all that a session with this context has seen of the key.
    ///
    /// In an `lww` keyspace that is the greatest (timestamp, dot) which the session saw. Where its context names several
    /// dots and the timestamps are equal, any of the dots will do.
    pub fn has_seen(&self, session: &Context) -> bool {
        match self.conflict {
            Conflict::Siblings => session
                .entries()
                .all(|(incarnation, counter)| self.counter_max(incarnation) >= counter),
            Conflict::Lww => {
                let is_enough = |(dot, cell): (Dot, &Cell)| {
                    let is_seen = || {
                        session.covers(dot)
                            || session
                                .entries()
                                .all(|(i, c)| dot > Dot { incarnation: i, counter: c })
                    };
                    cell.timestamp > session.timestamp()
                        || (cell.timestamp == session.timestamp() && is_seen())
                };
                session.entries().next().is_none() || self.cells().any(is_enough)
            }
        }
    }

    /// Every live cell with its dot, values and tombstones alike, in order of dots.
    pub fn cells(&self) -> impl Iterator<Item = (Dot, &Cell)> + '_ {
        self.entries.iter().flat_map(|(incarnation, entry)| {
            entry
                .cells
                .iter()
                .map(move |(counter, cell)| (Dot { incarnation, counter: *counter }, cell))
        })
    }

    /// The values that a reader sees at `now`: no tombstones, nothing expired.
    pub fn values(&self, now: WallTime) -> impl Iterator<Item = (Dot, &Cell)> + '_ {
        self.cells().filter(move |(_, cell)| cell.is_visible(now))
    }

    /// Live cells, tombstones included: what counts against the sibling limits.
    pub fn sibling_count(&self) -> usize {
        self.entries.values().map(|entry| entry.cells.len()).sum()
    }

    /// True if nobody ever wrote the key, as far as this record knows.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Greatest counter of `incarnation` in this record; 0 when it has none.
    pub fn counter_max(&self, incarnation: Incarnation) -> u64 {
        self.entries.get(incarnation).map_or(0, Entry::counter_max)
    }

    /// The greatest counter of each incarnation that this record names.
    pub fn counters(&self) -> impl Iterator<Item = (Incarnation, u64)> + '_ {
        self.entries.iter().map(|(incarnation, entry)| (incarnation, entry.counter_max()))
    }

    /// Forgets the cells with these dots, of which the caller knows that they were superseded. Floors stay.
    pub fn remove(&mut self, dots: &[Dot]) {
        for (incarnation, entry) in self.entries.iter_mut() {
            entry
                .cells
                .retain(|(counter, _)| !dots.contains(&Dot { incarnation, counter: *counter }));
        }
        self.drop_empty_entries();
        self.assert_invariants();
        debug_assert!(!self.cells().any(|(dot, _)| dots.contains(&dot)), "they are gone");
    }

    /// Greatest timestamp of a live cell.
    pub fn timestamp_max(&self) -> Timestamp {
        self.cells().map(|(_, cell)| cell.timestamp).max().unwrap_or_default()
    }

    /// Number of incarnations that this record names.
    pub fn incarnation_count(&self) -> usize {
        self.entries.len()
    }

    /// Dots under which two different cells stand: proof that somebody minted a dot twice.
    pub fn duplicate_dots(&self) -> Vec<Dot> {
        let mut duplicates = Vec::new();
        for (incarnation, entry) in self.entries.iter() {
            for pair in entry.cells.windows(2) {
                if let [(first, _), (second, _)] = pair
                    && first == second
                {
                    duplicates.push(Dot { incarnation, counter: *first });
                }
            }
        }
        duplicates
    }

    /// `lww`: keeps the cell with the greatest (timestamp, dot, bytes) and forgets everything else.
    fn keep_last_write(&mut self) {
        let untimed = seeded_bug(Mutant::LwwIgnoresTimestamp) && self.sibling_count() > 1;
        let time = |cell: &Cell| if untimed { Timestamp::default() } else { cell.timestamp };
        let last = self.cells().map(|(dot, cell)| (time(cell), dot, cell.clone())).max();
        self.entries.clear();
        if let Some((_, dot, cell)) = last {
            self.entries.of(dot.incarnation).cells.push((dot.counter, cell));
        }
    }

    fn drop_empty_entries(&mut self) {
        self.entries.retain(|entry| entry.floor > 0 || !entry.cells.is_empty());
    }

    fn assert_invariants(&self) {
        if self.conflict == Conflict::Lww {
            assert!(self.sibling_count() <= 1, "an lww record has one cell");
            assert!(self.entries.values().all(|entry| entry.floor == 0), "lww needs no floors");
        }
        debug_assert!(self.entries.values().all(Entry::is_canonical));
    }
}

impl Cell {
    /// True if a reader at `now` sees a value here.
    pub fn is_visible(&self, now: WallTime) -> bool {
        let expired = self.expires_at.is_some_and(|at| at <= now);
        matches!(self.body, CellBody::Value(_)) && !expired
    }
}

impl Entry {
    fn counter_max(&self) -> u64 {
        self.cells.last().map_or(self.floor, |(counter, _)| self.floor.max(*counter))
    }

    fn raise_floor(&mut self, floor: u64) {
        if floor > self.floor {
            self.floor = floor;
            self.cells.retain(|(counter, _)| *counter > floor);
        }
    }

    fn join(&mut self, other: &Self) {
        let is_news = !other.cells.is_empty() || self.counter_max() < other.floor;
        if is_news || !seeded_bug(Mutant::FloorsNotJoined) {
            self.raise_floor(other.floor);
        }
        let floor = self.floor;
        let newer = other.cells.iter().filter(|(counter, _)| *counter > floor);
        let count_before = self.cells.len();
        self.cells.extend(newer.cloned());
        if self.cells.len() > count_before {
            self.cells.sort();
            self.cells.dedup();
        }
    }

    /// True if a join with `other` would change nothing.
    fn absorbs(&self, other: &Self) -> bool {
        let is_known = |pair: &(u64, Cell)| pair.0 <= self.floor || self.cells.contains(pair);
        self.floor >= other.floor && other.cells.iter().all(is_known)
    }

    fn is_canonical(&self) -> bool {
        let above_floor = self.cells.iter().all(|(counter, _)| *counter > self.floor);
        let sorted = self.cells.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
        above_floor && sorted
    }
}
