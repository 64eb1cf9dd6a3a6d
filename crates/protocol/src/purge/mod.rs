//! When a deletion may be forgotten, and what is refused ever after.
//!
//! A tombstone that one replica forgets while another copy of what it deleted is still about (at a replica that was away, in
//! a hint, in a message that is late) brings the deleted value back. So replicas agree on a *purge frontier* first:
//!
//! 1. Every owner names the last dot that it has minted (a *cut*).
//! 2. All owners are mended past the cut. From then on each of them has seen every write up to it: it holds the write, or
//!    what superseded it.
//! 3. Every owner stores the cut as its frontier, durably ([`PurgeFrontier::join`]). From then on it drops from whatever
//!    arrives the cells up to the frontier that its own record does not hold: it has seen them superseded
//!    ([`PurgeFrontier::strip`]).
//! 4. Once all owners have stored it, each of them may forget the deletions and expired values up to the frontier, and with the
//!    last of them the record ([`PurgeFrontier::trim`]).
//!
//! Invariants
//! - Whoever has a frontier has seen every write of the partition up to it. A replica that lost records forgets its frontier.
//! - Nothing is minted below the frontier's timestamp any more, and in an `lww` keyspace only what is older is purged: a new
//!   write wins against a deletion that some replica has not purged yet.
//! - The time before which values have expired is the frontier's timestamp, the same for all owners: no clock of one node
//!   decides.
//!
//! Source: Almeida et al., "Scalable and Accurate Causality Tracking for Eventually Consistent Stores", 2014, for causally
//! stable dots; why a timer does not do: scylladb#3560, CASSANDRA-6117.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use atoll_seeded_bug::{Mutant, seeded_bug};
use serde::{Deserialize, Serialize};

use crate::ids::Incarnation;
use crate::keyspace::Conflict;
use crate::record::{Cell, CellBody, Record};
use crate::time::WallTime;
use crate::version::{Context, Dot, Timestamp};

/// What every owner of a partition has seen: all writes up to a counter of each incarnation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeFrontier {
    counters: BTreeMap<Incarnation, u64>,
    /// Nothing later is purged, nothing earlier is minted; and what had expired by then is dead.
    timestamp: Timestamp,
}

impl PurgeFrontier {
    /// A frontier that covers nothing, for what is dead by `at`.
    pub fn at(at: WallTime) -> Self {
        Self { counters: BTreeMap::new(), timestamp: Timestamp(at.as_micros()) }
    }

    /// Covers the writes of `incarnation` up to `counter`.
    pub fn raise(&mut self, incarnation: Incarnation, counter: u64) {
        let covered = self.counters.entry(incarnation).or_default();
        *covered = counter.max(*covered);
        debug_assert!(self.covers(Dot { incarnation, counter }));
    }

    /// Covers what either covers.
    pub fn join(&mut self, other: &Self) {
        other.counters.iter().for_each(|(incarnation, counter)| self.raise(*incarnation, *counter));
        self.timestamp = self.timestamp.max(other.timestamp);
        debug_assert!(self.includes(other), "a join forgets nothing");
    }

    /// Whether it covers whatever `other` covers.
    pub fn includes(&self, other: &Self) -> bool {
        let covers =
            |(&incarnation, &counter): (&Incarnation, &u64)| self.counter(incarnation) >= counter;
        self.timestamp >= other.timestamp && other.counters.iter().all(covers)
    }

    /// Bytes that it takes in a message, about.
    pub fn encoded_len(&self) -> usize {
        16 * (self.counters.len() + 2)
    }

    /// Whether it covers a write.
    pub fn covers(&self, dot: Dot) -> bool {
        dot.counter <= self.counter(dot.incarnation)
    }

    /// Up to where it covers the writes of `incarnation`; 0 where it does not know it.
    pub fn counter(&self, incarnation: Incarnation) -> u64 {
        self.counters.get(&incarnation).copied().unwrap_or(0)
    }

    /// Every incarnation that it knows, and up to where.
    pub fn counters(&self) -> impl Iterator<Item = (Incarnation, u64)> + '_ {
        self.counters.iter().map(|(&incarnation, &counter)| (incarnation, counter))
    }

    /// Timestamps above this one are minted.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Forgets what is dead of `record` and covered: deletions, and values that have expired by the frontier's time. In an `lww`
    /// keyspace only what a new write is sure to win against. Of some dots only, if they are given. A replica may do so once
    /// every owner has this frontier.
    pub fn trim(&self, record: &mut Record, dots: Option<&[Dot]>) -> Trimmed {
        let now = WallTime::from_micros(self.timestamp.0);
        let is_lww = record.conflict() == Conflict::Lww;
        let is_due = |(dot, cell): &(Dot, &Cell)| {
            let is_seen = self.covers(*dot) || seeded_bug(Mutant::PurgeUnseen);
            let is_meant = dots.is_none_or(|dots| dots.contains(dot));
            is_meant
                && is_seen
                && !cell.is_visible(now)
                && (!is_lww || cell.timestamp <= self.timestamp)
        };
        let due: Vec<Dot> = record.cells().filter(is_due).map(|(dot, _)| dot).collect();
        if due.is_empty() {
            return Trimmed::Nothing;
        }
        if due.len() < record.sibling_count() {
            record.remove(&due);
            return Trimmed::Some;
        }
        let is_covered = |(incarnation, counter)| self.counter(incarnation) >= counter;
        if record.counters().all(is_covered) || seeded_bug(Mutant::PurgeUnseen) {
            *record = Record::empty(record.conflict());
            return Trimmed::All;
        }
        Trimmed::Nothing
    }

    /// Whether a replica with this frontier has to look at its own record before it joins `incoming`.
    pub fn concerns(&self, incoming: &Record) -> bool {
        incoming.cells().any(|(dot, _)| self.covers(dot))
    }

    /// What of a session's past a replica with this frontier may not have seen, for a key with `token`. The rest it has, or has
    /// seen superseded, even where nothing is left of it.
    pub fn unseen(&self, session: &Context, token: u64) -> Context {
        let mut unseen = Context::new(token);
        unseen.observe_timestamp(session.timestamp());
        for (incarnation, counter) in session.entries() {
            if !self.covers(Dot { incarnation, counter }) {
                unseen.observe(incarnation, counter);
            }
        }
        unseen
    }

    /// Drops the cells of `incoming` that this replica, whose record is `own`, has seen superseded; returns their dots.
    pub fn strip(&self, incoming: &mut Record, own: &Record) -> Vec<Dot> {
        if seeded_bug(Mutant::FrontierIgnored) {
            return Vec::new();
        }
        let is_stale = |dot: Dot| self.covers(dot) && !own.cells().any(|(live, _)| live == dot);
        let stale: Vec<Dot> =
            incoming.cells().map(|(dot, _)| dot).filter(|dot| is_stale(*dot)).collect();
        incoming.remove(&stale);
        debug_assert!(!incoming.cells().any(|(dot, _)| is_stale(dot)), "nothing stale is left");
        stale
    }
}

/// What was forgotten of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trimmed {
    /// Nothing: it is alive, or not all owners have seen it dead.
    Nothing,
    /// Some cells; others are left.
    Some,
    /// All of it: nothing is left to store.
    All,
}

/// A dead record, as a count of what waits to be purged needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dead {
    /// A reader sees something.
    No {
        /// When the first of its values expires, if one does.
        expires_at: Option<WallTime>,
    },
    /// Only deletions and expired values, the last of them then.
    Since(WallTime),
}

impl Dead {
    /// Whether `record` is dead at `now`.
    pub fn of(record: &Record, now: WallTime) -> Self {
        if record.values(now).next().is_some() {
            let expires_at = record.values(now).filter_map(|(_, cell)| cell.expires_at).min();
            return Self::No { expires_at };
        }
        let since = |cell: &Cell| match (&cell.body, cell.expires_at) {
            (CellBody::Value(_), Some(at)) => at,
            _ => WallTime::from_micros(cell.timestamp.0),
        };
        Self::Since(record.cells().map(|(_, cell)| since(cell)).max().unwrap_or(now))
    }
}
