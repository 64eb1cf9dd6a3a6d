//! What happened in a run, as the clients and the simulator itself saw it; the checkers' only input.
//!
//! 1. Clients append an [`Op`] when they invoke it and complete it when its outcome is known.
//! 2. The simulator adds what only it can see: cells on the wire and on disks ([`Sighting`]), which node held which
//!    write when, and which disk forgot when.
//! 3. At the end it adds what each owner of each key stores ([`History::finals`]).
//!
//! Every value that is ever written to a key is unique there, so that a value names its write ([`ValueId`]).
//!
//! Times are the world's, in nanoseconds. What happens within one poll happens at one instant; checkers take it for
//! concurrent.

use std::collections::{BTreeMap, BTreeSet};

use atoll_protocol::ids::{DcIndex, Incarnation, Name, NodeIndex};
use atoll_protocol::keyspace::Conflict;
use atoll_protocol::quorum::Level;
use atoll_protocol::record::Record;
use atoll_protocol::time::{MonoTime, WallTime};
use atoll_protocol::version::{Context, Dot, Timestamp};
use atoll_protocol::wire::{Failure, SuspicionState};
use bytes::Bytes;

/// Index into [`History::keys`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(pub usize);

/// Index into [`History::ops`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpId(pub usize);

/// The write that made a value: the value's first eight bytes, or its length where it is shorter than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValueId(pub u64);

/// A key of the workload.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its keyspace.
    pub keyspace: Name,
    /// How concurrent writes of the keyspace are resolved.
    pub conflict: Conflict,
    /// The key.
    pub key: Bytes,
    /// Its token.
    pub token: u64,
    /// Its owners and their datacenters.
    pub owners: Vec<(NodeIndex, DcIndex)>,
    /// Replicas per datacenter, by `DcIndex`.
    pub counts: Vec<u8>,
}

/// One operation of a client.
#[derive(Clone, Debug)]
pub struct Op {
    /// The client.
    pub client: usize,
    /// The node that it asked.
    pub node: NodeIndex,
    /// The datacenter of that node: what `LOCAL` means.
    pub local: DcIndex,
    /// The key.
    pub key: KeyId,
    /// What was asked.
    pub kind: OpKind,
    /// How many replicas must take part.
    pub level: Level,
    /// Whether it belongs to the client's session: all of those do that one client asks in a session.
    pub in_session: bool,
    /// When the client sent it.
    pub start: MonoTime,
    /// When its outcome was known; `None` while it is under way.
    pub end: Option<MonoTime>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a client asks.
#[derive(Clone, Debug)]
pub enum OpKind {
    /// Read.
    Get,
    /// Write a value.
    Put {
        /// The value's name.
        value: ValueId,
        /// Its length in bytes.
        length: usize,
        /// What the client had seen; `None` for a blind put.
        context: Option<Context>,
        /// Whether it expires.
        expires: bool,
    },
    /// Delete what the client has seen.
    Delete {
        /// What the client had seen; `None` for a blind one.
        context: Option<Context>,
    },
}

/// What came of an operation.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Not known yet.
    Pending,
    /// The write reached its level.
    Acked {
        /// Covers the write.
        context: Context,
        /// Replicas that held it durably by the coordinator's count.
        acked: u16,
    },
    /// What was read.
    Got {
        /// Covers everything that was read.
        context: Context,
        /// The visible values.
        cells: Vec<ReadCell>,
        /// Replicas that answered by the coordinator's count.
        answered: u16,
        /// The serving node's wall clock is between these two.
        wall: (WallTime, WallTime),
    },
    /// The node said why not.
    Failed(Failure),
    /// No answer came: the connection broke or the client's patience ended.
    NoAnswer,
}

/// One value of a get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadCell {
    /// The write's dot.
    pub dot: Dot,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// The value's name; `None` if its bytes are not what any client wrote under that name.
    pub value: Option<ValueId>,
}

/// A cell that the simulator saw on the wire, in an answer or on a disk.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// Digest of the cell: value or tombstone, timestamp, expiry.
    pub digest: u64,
    /// The value's name; `None` for a tombstone.
    pub value: Option<ValueId>,
    /// When it was first seen.
    pub first: MonoTime,
}

/// A second, different cell under a dot that was already bound (I7).
#[derive(Clone, Debug)]
pub struct DotConflict {
    /// The key of the second cell.
    pub key: KeyId,
    /// The dot.
    pub dot: Dot,
    /// When.
    pub at: MonoTime,
    /// Both, in words.
    pub detail: String,
}

/// A node lost what its disk held: it was wiped, or damaged beyond what it notices by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgetting {
    /// The node.
    pub node: NodeIndex,
    /// When.
    pub at: MonoTime,
}

/// What an owner of a key stores at the end.
#[derive(Clone, Debug)]
pub enum Final {
    /// A record.
    Record(Record),
    /// Nothing.
    Absent,
    /// It could not be read, or the node is not running.
    Unreadable(String),
}

/// Everything that happened.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The keys of the workload.
    pub keys: Vec<Key>,
    /// The operations in order of invocation.
    pub ops: Vec<Op>,
    /// Every cell that was ever seen.
    pub cells: BTreeMap<(KeyId, Dot), Sighting>,
    /// Cells whose dot was bound before.
    pub dot_conflicts: Vec<DotConflict>,
    /// Which node was last seen to hold a cell durably, and when.
    pub holders: BTreeMap<(KeyId, Dot), BTreeMap<NodeIndex, MonoTime>>,
    /// Which node was first seen to hold a cell durably, and when.
    pub held_since: BTreeMap<(KeyId, Dot), BTreeMap<NodeIndex, MonoTime>>,
    /// What was purged of each key.
    pub purges: BTreeMap<KeyId, Vec<Purge>>,
    /// Disks that forgot.
    pub forgettings: Vec<Forgetting>,
    /// Incarnations that each node ever had, in order.
    pub incarnations: BTreeMap<NodeIndex, Vec<Incarnation>>,
    /// What each owner of each key stores after everything has healed and every key was read at `ALL`.
    pub finals: BTreeMap<(KeyId, NodeIndex), Final>,
    /// When a running node's process ended, whatever ended it.
    pub deaths: Vec<(NodeIndex, MonoTime)>,
    /// Every change of what a node believes of another one, as it was seen four times a second.
    pub verdicts: Vec<Verdict>,
    /// Findings of the world itself: panics, exceeded bounds, nodes that did not come back.
    pub findings: Vec<Violation>,
}

/// A node has changed its mind about another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Who believes it.
    pub observer: NodeIndex,
    /// Of whom.
    pub node: NodeIndex,
    /// What; `None` for alive.
    pub state: Option<SuspicionState>,
    /// When it was seen.
    pub at: MonoTime,
}

/// What the owners of a key were told to forget, once all of them had seen it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purge {
    /// When the first of them was told.
    pub at: MonoTime,
    /// The cells that are forgotten.
    pub dots: BTreeSet<Dot>,
    /// Up to where each incarnation is forgotten, if nothing of the key is left.
    pub counters: BTreeMap<Incarnation, u64>,
    /// The last write among it.
    pub last: Option<(Timestamp, Dot)>,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant (`I1` … `I15`) and the promise behind it (`P1` …), such as `I1/P1 no lost acked write`.
    pub invariant: &'static str,
    /// The key, if it concerns one.
    pub key: Option<KeyId>,
    /// What happened, in words.
    pub detail: String,
    /// The operations that prove it.
    pub ops: Vec<OpId>,
}

impl History {
    /// Notes that `node` was seen to hold the cell under `dot` of `key` durably.
    pub fn hold(&mut self, (key, dot): (KeyId, Dot), node: NodeIndex, at: MonoTime) {
        self.held_since.entry((key, dot)).or_default().entry(node).or_insert(at);
        let last = self.holders.entry((key, dot)).or_default().entry(node).or_insert(at);
        *last = at.max(*last);
    }
}

impl History {
    /// Whether a write of `key` was forgotten by agreement before an instant. In an `lww` keyspace it also is if a later one was;
    /// its timestamp says so, if it is given.
    pub fn is_purged(
        &self,
        key: KeyId,
        (timestamp, dot): (Option<Timestamp>, Dot),
        before: MonoTime,
    ) -> bool {
        let is_lww = self.keys.get(key.0).is_some_and(|key| key.conflict == Conflict::Lww);
        let purges = self.purges.get(&key).into_iter().flatten();
        purges.filter(|purge| purge.at < before).any(|purge| {
            let counter = purge.counters.get(&dot.incarnation);
            let is_beaten = timestamp.is_some_and(|at| Some((at, dot)) <= purge.last);
            let is_gone = counter.is_some_and(|counter| *counter >= dot.counter);
            if is_lww { is_beaten } else { is_gone || purge.dots.contains(&dot) }
        })
    }
}

impl Op {
    /// What the client had seen when it wrote; `None` for reads and blind writes.
    pub fn context(&self) -> Option<&Context> {
        match &self.kind {
            OpKind::Get => None,
            OpKind::Put { context, .. } | OpKind::Delete { context } => context.as_ref(),
        }
    }

    /// Whether the write may be in some record: it was acknowledged, or nobody said that it was not applied.
    pub fn may_have_applied(&self) -> bool {
        match &self.outcome {
            Outcome::Acked { .. } | Outcome::NoAnswer | Outcome::Pending => true,
            Outcome::Got { .. } => false,
            Outcome::Failed(failure) => failure.may_have_applied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is purged is gone from then on, with what it had beaten in an `lww` keyspace; nothing else is.
    #[test]
    fn what_is_purged_is_told_from_what_is_lost() {
        let dot = |of, counter| Dot { incarnation: Incarnation(of), counter };
        let at = MonoTime::from_nanos;
        for conflict in [Conflict::Siblings, Conflict::Lww] {
            let key = Key {
                keyspace: Name::new("default").unwrap(),
                conflict,
                key: Bytes::from_static(b"key"),
                token: 7,
                owners: Vec::new(),
                counts: Vec::new(),
            };
            let purge = Purge {
                at: at(10),
                dots: BTreeSet::from([dot(3, 9)]),
                counters: BTreeMap::from([(Incarnation(1), 4)]),
                last: Some((Timestamp(50), dot(1, 4))),
            };
            let mut history = History { keys: vec![key], ..History::default() };
            history.purges.insert(KeyId(0), vec![purge]);
            let is_purged = |time, dot, before| {
                history.is_purged(KeyId(0), (Some(Timestamp(time)), dot), at(before))
            };
            let is_lww = conflict == Conflict::Lww;
            assert!(is_purged(50, dot(1, 4), 11) && !is_purged(50, dot(1, 4), 10));
            assert!(!is_purged(60, dot(1, 5), 11), "it is later");
            assert_eq!(is_purged(40, dot(2, 1), 11), is_lww, "it was beaten");
            assert_eq!(is_purged(60, dot(3, 9), 11), !is_lww, "one cell of several");
            assert!(!is_purged(60, dot(3, 8), 11));
        }
    }
}
