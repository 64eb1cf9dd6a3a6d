//! The version of a record: everything that a join compares, and no values.
//!
//! A coordinator that knows a record sends its version along with a read, so that a replica can tell without the record
//! whether its own would add anything ([`Record::is_covered_by`]).
//!
//! Invariants
//! - A record that is covered by a version adds nothing to the record of that version, but for a collision of 64-bit
//!   digests under one dot; and one that adds nothing is covered, but for two `lww` cells under one dot.
//! - What a peer claims here decides only whether a record travels, never what is stored.

use atoll_seeded_bug::{Mutant, seeded_bug};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Cell, CellBody, Entry, Record};
use crate::ids::Incarnation;
use crate::keyspace::Conflict;
use crate::time::WallTime;
use crate::version::{Dot, Timestamp};

/// A record without its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordVersion {
    conflict: Conflict,
    /// In order of incarnation.
    entries: Vec<EntryVersion>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct EntryVersion {
    incarnation: Incarnation,
    floor: u64,
    cells: Vec<CellVersion>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CellVersion {
    counter: u64,
    timestamp: Timestamp,
    /// Of expiry and body.
    digest: u64,
}

impl Record {
    /// This record without its values.
    pub fn version(&self) -> RecordVersion {
        let entry = |(incarnation, entry): (Incarnation, &Entry)| EntryVersion {
            incarnation,
            floor: entry.floor,
            cells: entry.cells.iter().map(|(counter, cell)| cell.version(*counter)).collect(),
        };
        RecordVersion { conflict: self.conflict, entries: self.entries.iter().map(entry).collect() }
    }

    /// True if joining this record into the one of `version` would change nothing.
    pub fn is_covered_by(&self, version: &RecordVersion) -> bool {
        if self.conflict != version.conflict {
            return false;
        }
        match self.conflict {
            Conflict::Siblings => {
                let is_covered = |(incarnation, ours): (Incarnation, &Entry)| {
                    version.entry(incarnation).is_some_and(|theirs| ours.is_covered_by(theirs))
                };
                self.entries.iter().all(is_covered)
                    || (seeded_bug(Mutant::CoveredByAny) && self.entries.iter().any(is_covered))
            }
            Conflict::Lww => match (self.last_write(), version.last_write()) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some((time, dot, digest)), Some((theirs, their_dot, their_digest))) => {
                    let same = (theirs, their_dot, their_digest) == (time, dot, digest);
                    same || (theirs, their_dot) > (time, dot)
                }
            },
        }
    }

    /// The one cell of an `lww` record.
    fn last_write(&self) -> Option<(Timestamp, Dot, u64)> {
        let (dot, cell) = self.cells().next()?;
        Some((cell.timestamp, dot, cell.digest()))
    }
}

impl RecordVersion {
    fn entry(&self, incarnation: Incarnation) -> Option<&EntryVersion> {
        let index = self.entries.binary_search_by_key(&incarnation, |entry| entry.incarnation);
        self.entries.get(index.ok()?)
    }

    /// The one cell of an `lww` record.
    fn last_write(&self) -> Option<(Timestamp, Dot, u64)> {
        let entry = self.entries.first()?;
        let cell = entry.cells.first()?;
        let dot = Dot { incarnation: entry.incarnation, counter: cell.counter };
        Some((cell.timestamp, dot, cell.digest))
    }
}

impl Entry {
    fn is_covered_by(&self, theirs: &EntryVersion) -> bool {
        let is_known = |(counter, cell): &(u64, Cell)| {
            *counter <= theirs.floor || theirs.cells.contains(&cell.version(*counter))
        };
        self.floor <= theirs.floor && self.cells.iter().all(is_known)
    }
}

impl Cell {
    fn version(&self, counter: u64) -> CellVersion {
        CellVersion { counter, timestamp: self.timestamp, digest: self.digest() }
    }

    /// Digest of expiry and body.
    fn digest(&self) -> u64 {
        let (value, kind): (&[u8], u64) = match &self.body {
            CellBody::Value(value) => (value, 0),
            CellBody::Tombstone => (&[], 1),
        };
        let expires = self.expires_at.map_or(0, WallTime::as_micros);
        xxh3_64_with_seed(value, expires << 1 | kind)
    }
}
