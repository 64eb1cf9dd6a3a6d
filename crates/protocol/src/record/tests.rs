//! Records: merge laws and a naive model over realistic histories, bytes, and the tables of small rules.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;

use super::{Cell, CellBody, Record};
use crate::ids::Incarnation;
use crate::keyspace::Conflict;
use crate::time::WallTime;
use crate::version::{Context, Dot, Timestamp};

const TOKEN: u64 = 42;
const REPLICAS: usize = 3;
const SESSIONS: usize = 3;

/// One step of a history. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    /// A put or delete at a replica, with the context of a session's last read or put, or blindly.
    Put { replica: usize, session: Option<usize>, write: Write },
    /// A session reads one replica.
    Read { replica: usize, session: usize },
    /// A replica's whole record is sent off.
    Ship { from: usize, to: usize },
    /// Some shipment arrives; it may arrive again later.
    Deliver { shipment: usize },
    /// Some shipment is lost.
    Lose { shipment: usize },
    /// What a replica holds becomes durable.
    Fsync { replica: usize },
    /// A replica forgets what was not durable and comes back under a new incarnation.
    Crash { replica: usize },
    /// Its clock jumps.
    Clock { replica: usize, micros: u64 },
}

/// What a put writes.
#[derive(Clone, Copy, Debug)]
enum Write {
    Value,
    Delete,
}

/// One in five writes is a delete.
const WRITES: [Write; 5] = [Write::Value, Write::Value, Write::Value, Write::Value, Write::Delete];

fn any_step() -> impl Strategy<Value = Step> {
    let replica = 0..REPLICAS;
    prop_oneof![
        4 => (replica.clone(), prop::option::of(0..SESSIONS), prop::sample::select(WRITES.to_vec()))
            .prop_map(|(replica, session, write)| Step::Put { replica, session, write }),
        3 => (replica.clone(), 0..SESSIONS).prop_map(|(replica, session)| Step::Read { replica, session }),
        4 => (replica.clone(), replica.clone()).prop_map(|(from, to)| Step::Ship { from, to }),
        4 => any::<usize>().prop_map(|shipment| Step::Deliver { shipment }),
        1 => any::<usize>().prop_map(|shipment| Step::Lose { shipment }),
        1 => replica.clone().prop_map(|replica| Step::Fsync { replica }),
        1 => replica.clone().prop_map(|replica| Step::Crash { replica }),
        1 => (replica, 0u64..50).prop_map(|(replica, micros)| Step::Clock { replica, micros }),
    ]
}

/// A record beside the truth about it: which events its holder has received, and which it knows of (received, or
/// covered by a context that came with a put).
#[derive(Clone)]
struct Held {
    record: Record,
    received: BTreeSet<usize>,
    known: BTreeSet<usize>,
}

impl Held {
    fn join(&mut self, other: &Self) {
        self.record.join(&other.record);
        self.received.extend(&other.received);
        self.known.extend(&other.known);
    }
}

/// One write as it truly happened.
struct Event {
    dot: Dot,
    timestamp: Timestamp,
    /// Events that the writer had seen.
    covers: BTreeSet<usize>,
}

struct Replica {
    held: Held,
    durable: Held,
    incarnation: Incarnation,
    counter: u64,
    clock: u64,
}

struct History {
    conflict: Conflict,
    events: Vec<Event>,
    replicas: Vec<Replica>,
    sessions: Vec<(Context, BTreeSet<usize>)>,
    shipments: Vec<(usize, Held)>,
    /// Every state that any replica was ever in.
    seen: Vec<Record>,
    incarnations: u64,
}

impl History {
    fn new(conflict: Conflict) -> Self {
        let (received, known) = (BTreeSet::new(), BTreeSet::new());
        let nothing = Held { record: Record::empty(conflict), received, known };
        let replica = |index: usize| Replica {
            held: nothing.clone(),
            durable: nothing.clone(),
            // Out of order on purpose: incarnations are random.
            incarnation: Incarnation((7 * index as u64 + 5) % 11),
            counter: 0,
            clock: 10,
        };
        Self {
            conflict,
            events: Vec::new(),
            replicas: (0..REPLICAS).map(replica).collect(),
            sessions: vec![(Context::new(TOKEN), BTreeSet::new()); SESSIONS],
            shipments: Vec::new(),
            seen: vec![Record::empty(conflict)],
            incarnations: 100,
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Put { replica, session, write } => self.put(replica, session, write),
            Step::Read { replica, session } => {
                let held = &self.replicas[replica].held;
                // A session only moves forward, as the SDK's do.
                self.sessions[session].0.join(&held.record.context(TOKEN));
                self.sessions[session].1.extend(&held.known);
            }
            Step::Ship { from, to } => self.shipments.push((to, self.replicas[from].held.clone())),
            Step::Deliver { shipment } if !self.shipments.is_empty() => {
                let (to, held) = self.shipments[shipment % self.shipments.len()].clone();
                self.replicas[to].held.join(&held);
                self.check(to);
            }
            Step::Lose { shipment } if !self.shipments.is_empty() => {
                self.shipments.swap_remove(shipment % self.shipments.len());
            }
            Step::Deliver { .. } | Step::Lose { .. } => {}
            Step::Fsync { replica } => {
                self.replicas[replica].durable = self.replicas[replica].held.clone();
            }
            Step::Crash { replica } => {
                let replica = &mut self.replicas[replica];
                replica.held = replica.durable.clone();
                self.incarnations += 1;
                replica.incarnation = Incarnation(16 + self.incarnations * 37 % 64);
                replica.counter = 0;
            }
            Step::Clock { replica, micros } => self.replicas[replica].clock = micros,
        }
    }

    fn put(&mut self, index: usize, session: Option<usize>, write: Write) {
        let blind = (Context::new(TOKEN), BTreeSet::new());
        let (context, covers) = session.map_or(blind, |session| self.sessions[session].clone());
        let replica = &mut self.replicas[index];
        // Counters belong to a partition: other keys leave gaps.
        replica.counter += 1 + replica.counter % 3;
        let dot = Dot { incarnation: replica.incarnation, counter: replica.counter };
        let seen = context.timestamp().max(replica.held.record.timestamp_max());
        let timestamp = Timestamp::next(WallTime::from_micros(replica.clock), seen);
        let event = self.events.len();
        let value = CellBody::Value(Bytes::from(event.to_string()));
        let body = match write {
            Write::Value => value,
            Write::Delete => CellBody::Tombstone,
        };
        replica.held.record.apply_put(dot, Cell { timestamp, expires_at: None, body }, &context);
        replica.held.received.insert(event);
        replica.held.known.insert(event);
        replica.held.known.extend(&covers);
        self.events.push(Event { dot, timestamp, covers });
        self.check(index);
        if let Some(session) = session {
            let held = &self.replicas[index].held;
            self.sessions[session] = (held.record.context(TOKEN), held.known.clone());
        }
    }

    /// The dots that must be alive for a holder of `held`, from the truth alone.
    fn expected(&self, held: &Held) -> Vec<Dot> {
        let mut dots: Vec<Dot> = match self.conflict {
            Conflict::Siblings => {
                let covered = |event: usize| {
                    held.received.iter().any(|&later| self.events[later].covers.contains(&event))
                };
                let alive = held.received.iter().filter(|&&event| !covered(event));
                alive.map(|&event| self.events[event].dot).collect()
            }
            Conflict::Lww => {
                let rank = |event: &usize| (self.events[*event].timestamp, self.events[*event].dot);
                held.received.iter().map(rank).max().map(|(_, dot)| dot).into_iter().collect()
            }
        };
        dots.sort();
        dots
    }

    fn check(&mut self, index: usize) {
        let held = &self.replicas[index].held;
        let actual: Vec<Dot> = held.record.cells().map(|(dot, _)| dot).collect();
        assert_eq!(actual, self.expected(held), "after {} events", self.events.len());
        if self.conflict == Conflict::Siblings {
            let context = held.record.context(TOKEN);
            for (event, truth) in self.events.iter().enumerate() {
                let is_known = held.known.contains(&event);
                assert_eq!(
                    context.covers(truth.dot),
                    is_known,
                    "a context is exactly what was seen"
                );
            }
        }
        assert!(held.record.duplicate_dots().is_empty());
        self.seen.push(held.record.clone());
    }

    /// Everybody tells everybody, in an order that `offset` picks.
    fn exchange_all(&mut self, offset: usize) {
        for round in 0..2 * REPLICAS {
            for shift in 0..REPLICAS {
                let (from, to) = ((round + shift * offset) % REPLICAS, (round + shift) % REPLICAS);
                let held = self.replicas[from].held.clone();
                self.replicas[to].held.join(&held);
                let back = self.replicas[to].held.clone();
                self.replicas[(to + 1) % REPLICAS].held.join(&back);
            }
        }
        (0..REPLICAS).for_each(|index| self.check(index));
    }
}

fn join(a: &Record, b: &Record) -> Record {
    let mut joined = a.clone();
    joined.join(b);
    joined
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// No sibling is lost that no put's context covered, none is kept that one covers; exchange makes equal bytes.
    #[test]
    fn histories_agree_with_the_naive_model(
        conflict in prop::sample::select(vec![Conflict::Siblings, Conflict::Lww]),
        steps in prop::collection::vec(any_step(), 0..60),
        picks in prop::collection::vec((any::<usize>(), any::<usize>(), any::<usize>()), 12),
        offset in 0usize..5,
    ) {
        let mut history = History::new(conflict);
        steps.into_iter().for_each(|step| history.take(step));
        let seen = history.seen.clone();
        for (a, b, c) in picks {
            check_laws(&seen[a % seen.len()], &seen[b % seen.len()], &seen[c % seen.len()]);
        }
        history.exchange_all(offset);
        let bytes: BTreeSet<Bytes> =
            history.replicas.iter().map(|replica| replica.held.record.encode()).collect();
        prop_assert_eq!(bytes.len(), 1, "converged to identical bytes");
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        drop(Record::decode(Bytes::from(bytes)));
    }
}

fn check_laws(a: &Record, b: &Record, c: &Record) {
    assert_eq!(join(a, b).encode(), join(b, a).encode(), "commutative");
    assert_eq!(join(&join(a, b), c).encode(), join(a, &join(b, c)).encode(), "associative");
    assert_eq!(join(a, a).encode(), a.encode(), "idempotent");
    let joined = join(a, b);
    assert_eq!(join(&joined, b).encode(), joined.encode(), "absorbing");
    for record in [a, b, c, &joined] {
        let bytes = record.encode();
        assert_eq!(bytes.len(), record.encoded_len());
        assert_eq!(Record::decode(bytes.clone()).as_ref(), Ok(record));
    }
    for (ours, theirs) in [(a, b), (b, a), (a, &joined), (&joined, a), (c, &joined), (a, a)] {
        let adds_nothing = join(theirs, ours) == *theirs;
        let is_covered = ours.is_covered_by(&theirs.version());
        assert!(adds_nothing || !is_covered, "{ours:?} in {theirs:?}");
        // Of two `lww` cells under one dot the bytes decide, which no version holds: the record is sent.
        let is_twin = |(dot, cell): (Dot, &Cell)| {
            theirs.cells().any(|(other, its)| other == dot && its != cell)
        };
        let is_undecided = ours.conflict() == Conflict::Lww && ours.cells().any(is_twin);
        assert!(is_covered || !adds_nothing || is_undecided, "{ours:?} in {theirs:?}");
        let is_absorbed = theirs.absorbs(ours);
        assert!(adds_nothing || !is_absorbed, "{ours:?} in {theirs:?}");
        assert!(is_absorbed || !adds_nothing || is_undecided, "{ours:?} in {theirs:?}");
    }
    assert_eq!(a == b, a.version() == b.version());
    assert_eq!(a == b, a.digest() == b.digest());
    assert_eq!(a == b, a.encode() == b.encode(), "canonical");
}

fn value(timestamp: u64, text: &'static str) -> Cell {
    let body = CellBody::Value(Bytes::from_static(text.as_bytes()));
    Cell { timestamp: Timestamp(timestamp), expires_at: None, body }
}

fn tombstone(timestamp: u64) -> Cell {
    Cell { timestamp: Timestamp(timestamp), expires_at: None, body: CellBody::Tombstone }
}

fn dot(incarnation: u64, counter: u64) -> Dot {
    Dot { incarnation: Incarnation(incarnation), counter }
}

fn put(conflict: Conflict, writes: &[(Dot, Cell)]) -> Record {
    let mut record = Record::empty(conflict);
    for (dot, cell) in writes {
        record.apply_put(*dot, cell.clone(), &Context::new(TOKEN));
    }
    record
}

/// Two incarnations, one with a floor; a value, an expiring value and a tombstone.
fn sample() -> Record {
    let mut record =
        put(Conflict::Siblings, &[(dot(0xb, 2), value(3, "old")), (dot(0xa, 1), value(4, "hi"))]);
    let mut context = Context::new(TOKEN);
    context.observe(Incarnation(0xb), 2);
    record.apply_put(dot(0xb, 5), tombstone(6), &context);
    let mut expiring = value(7, "x");
    expiring.expires_at = Some(WallTime::from_micros(9));
    record.apply_put(dot(0xb, 6), expiring, &Context::new(TOKEN));
    record
}

/// Two cells under one dot are an alarm, and neither covers the other; records of two modes never compare.
#[test]
fn what_covers_nothing_is_sent() {
    for conflict in [Conflict::Siblings, Conflict::Lww] {
        let [first, second] = ["x", "y"].map(|text| put(conflict, &[(dot(1, 1), value(5, text))]));
        let both = join(&first, &second);
        assert!(!first.is_covered_by(&second.version()) || conflict == Conflict::Lww);
        assert!(!second.is_covered_by(&first.version()));
        assert!(first.is_covered_by(&both.version()) || conflict == Conflict::Lww);
        assert!(second.is_covered_by(&both.version()));
        assert!(Record::empty(conflict).is_covered_by(&first.version()));
        assert!(!first.is_covered_by(&Record::empty(conflict).version()));
    }
    let lww = put(Conflict::Lww, &[(dot(1, 1), value(5, "x"))]);
    let siblings = put(Conflict::Siblings, &[(dot(1, 1), value(5, "x"))]);
    assert!(!lww.is_covered_by(&siblings.version()));
    assert!(!siblings.is_covered_by(&lww.version()));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// format: record v1
#[test]
fn golden_bytes() {
    let zero = "0000000000000000";
    let siblings = [
        "01",
        "00",
        "0200", // version, siblings, two entries
        "0a00000000000000",
        zero,
        "0100", // incarnation, floor, one cell
        "0100000000000000",
        "0400000000000000",
        zero, // counter, timestamp, never
        "00",
        "02000000",
        "6869", // value "hi"
        "0b00000000000000",
        "0200000000000000",
        "0200", // incarnation, floor 2, two cells
        "0500000000000000",
        "0600000000000000",
        zero,
        "01",
        "00000000", // tombstone
        "0600000000000000",
        "0700000000000000",
        "0900000000000000",
        "00",
        "01000000",
        "78", // value "x"
    ];
    assert_eq!(hex(&sample().encode()), siblings.concat());
    let lww = [
        "01",
        "01",
        "0100",
        "0100000000000000",
        zero,
        "0100",
        "0300000000000000",
        "0800000000000000",
        zero,
        "00",
        "01000000",
        "79",
    ];
    assert_eq!(hex(&put(Conflict::Lww, &[(dot(1, 3), value(8, "y"))]).encode()), lww.concat());
    assert_eq!(hex(&Record::empty(Conflict::Siblings).encode()), "01000000");
    assert_eq!(
        sample().digest(),
        0x50c7e62dd3d9992f15589349feb24e05,
        "digests travel and are stored"
    );
}

#[test]
fn every_truncation_and_extension_is_refused_and_bit_flips_never_panic() {
    for record in [sample(), put(Conflict::Lww, &[(dot(1, 3), value(8, "y"))])] {
        let bytes = record.encode();
        for length in 0..bytes.len() {
            assert!(Record::decode(bytes.slice(..length)).is_err(), "cut at {length}");
        }
        assert!(Record::decode(Bytes::from([&bytes[..], &[0]].concat())).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let flipped = Bytes::from(flipped);
            if let Ok(other) = Record::decode(flipped.clone()) {
                assert_eq!(other.encode(), flipped, "what decodes is canonical (bit {bit})");
                assert_ne!(other, record);
            }
        }
    }
}

/// An entry whose numbers fit one byte; its cells are empty values.
fn raw_entry(incarnation: u8, floor: u8, counters: &[u8]) -> Vec<u8> {
    let mut bytes = vec![incarnation, 0, 0, 0, 0, 0, 0, 0, floor, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend([u8::try_from(counters.len()).unwrap(), 0]);
    for &counter in counters {
        bytes.push(counter);
        bytes.extend([0; 7 + 8 + 8 + 1 + 4]);
    }
    bytes
}

fn raw_record(mode: u8, entries: &[Vec<u8>]) -> Vec<u8> {
    let head = vec![1, mode, u8::try_from(entries.len()).unwrap(), 0];
    [head, entries.concat()].concat()
}

#[test]
fn what_encode_never_writes_is_refused() {
    let (entry, record) = (raw_entry, raw_record);
    let expiring_tombstone = {
        let mut bytes = record(0, &[entry(1, 0, &[1])]);
        let end = bytes.len();
        (bytes[end - 13], bytes[end - 5]) = (1, 1);
        bytes
    };
    let bad = [
        (vec![2, 0, 0, 0], "unknown version"),
        (vec![1, 2, 0, 0], "unknown conflict mode"),
        (vec![1, 0, 255, 255], "too many incarnations"),
        (record(0, &[entry(1, 0, &[])]), "an empty entry"),
        (record(0, &[entry(2, 1, &[]), entry(1, 1, &[])]), "incarnations out of order"),
        (record(0, &[entry(1, 1, &[]), entry(1, 1, &[])]), "incarnations out of order"),
        (record(0, &[entry(1, 3, &[3])]), "cells out of order or below their floor"),
        (record(0, &[entry(1, 0, &[0])]), "cells out of order or below their floor"),
        (record(0, &[entry(1, 0, &[2, 1])]), "cells out of order or below their floor"),
        (record(0, &[entry(1, 0, &[1, 1])]), "cells out of order or below their floor"),
        (record(1, &[entry(1, 0, &[1, 2])]), "an lww record with more than one cell or a floor"),
        (record(1, &[entry(1, 1, &[2])]), "an lww record with more than one cell or a floor"),
        (
            record(1, &[entry(1, 0, &[1]), entry(2, 0, &[1])]),
            "an lww record with more than one cell or a floor",
        ),
        (expiring_tombstone, "unknown cell body"),
    ];
    for (bytes, what) in bad {
        assert_eq!(Record::decode(Bytes::from(bytes)).unwrap_err().what, what);
    }
    assert!(
        Record::decode(Bytes::from(record(0, &[entry(1, 1, &[2, 3]), entry(2, 1, &[])]))).is_ok()
    );
}

#[test]
fn a_dot_minted_twice_keeps_both_values() {
    let a = put(Conflict::Siblings, &[(dot(1, 4), value(1, "first"))]);
    let b = put(Conflict::Siblings, &[(dot(1, 4), value(1, "second"))]);
    let both = join(&a, &b);
    assert_eq!(both.sibling_count(), 2);
    assert_eq!(both.duplicate_dots(), [dot(1, 4)]);
    check_laws(&a, &b, &both);
    let mut resolved = both.clone();
    resolved.apply_put(dot(2, 1), value(2, "third"), &both.context(TOKEN));
    assert_eq!(resolved.sibling_count(), 1, "a context covers both");
    assert!(join(&resolved, &both).duplicate_dots().is_empty());
}

/// The last write wins: by timestamp, then by dot, then by bytes; contexts do not matter.
#[test]
fn lww_winners() {
    let table = [
        ((dot(1, 1), value(5, "a")), (dot(2, 1), value(6, "b")), "b"),
        ((dot(1, 9), value(7, "a")), (dot(2, 1), value(6, "b")), "a"),
        ((dot(1, 9), value(6, "a")), (dot(2, 1), value(6, "b")), "b"),
        ((dot(1, 1), value(6, "b")), (dot(1, 2), value(6, "a")), "a"),
        ((dot(1, 1), value(6, "a")), (dot(1, 1), value(6, "b")), "b"),
        ((dot(1, 1), value(6, "a")), (dot(2, 1), tombstone(7)), ""),
        ((dot(1, 1), value(8, "a")), (dot(2, 1), tombstone(7)), "a"),
    ];
    for (left, right, winner) in table {
        let (a, b) = (put(Conflict::Lww, &[left]), put(Conflict::Lww, &[right]));
        let joined = join(&a, &b);
        check_laws(&a, &b, &joined);
        assert_eq!(joined.sibling_count(), 1);
        assert!(joined.duplicate_dots().is_empty());
        let values: Vec<_> = joined.values(WallTime::from_micros(0)).collect();
        match values.as_slice() {
            [(_, Cell { body: CellBody::Value(bytes), .. })] => assert_eq!(bytes, winner),
            none => assert!(none.is_empty() && winner.is_empty(), "{none:?} {winner}"),
        }
    }
}

#[test]
fn a_late_lww_put_behind_the_clock_loses_at_once() {
    let mut record = put(Conflict::Lww, &[(dot(1, 1), value(9, "new"))]);
    let before = record.clone();
    record.apply_put(dot(2, 1), value(8, "old"), &Context::new(TOKEN));
    assert_eq!(record, before);
}

#[test]
fn expiry_and_tombstones_decide_visibility() {
    let at = |micros| Cell { expires_at: Some(WallTime::from_micros(micros)), ..value(1, "v") };
    let now = WallTime::from_micros(100);
    let table = [
        (value(1, "v"), true),
        (at(99), false),
        (at(100), false),
        (at(101), true),
        (tombstone(1), false),
    ];
    for (cell, is_visible) in table {
        assert_eq!(cell.is_visible(now), is_visible, "{cell:?}");
        let record = put(Conflict::Siblings, &[(dot(1, 1), cell)]);
        assert_eq!(record.values(now).count(), usize::from(is_visible));
        assert_eq!(record.sibling_count(), 1, "invisible cells still count");
    }
}

#[test]
fn expiry_at_the_epoch_survives_its_bytes() {
    let record = put(
        Conflict::Siblings,
        &[(dot(1, 1), Cell { expires_at: Some(WallTime::from_micros(0)), ..value(1, "v") })],
    );
    assert_eq!(record.values(WallTime::from_micros(1)).count(), 0, "expired");
    assert_eq!(Record::decode(record.encode()), Ok(record));
}

#[test]
fn queries() {
    let record = sample();
    let counters: BTreeMap<u64, u64> =
        [0xa, 0xb, 0xc].map(|i| (i, record.counter_max(Incarnation(i)))).into_iter().collect();
    assert_eq!(counters, BTreeMap::from([(0xa, 1), (0xb, 6), (0xc, 0)]));
    assert_eq!((record.incarnation_count(), record.sibling_count()), (2, 3));
    assert_eq!(record.timestamp_max(), Timestamp(7));
    assert_eq!(record.conflict(), Conflict::Siblings);
    assert!(!record.is_empty() && Record::empty(Conflict::Lww).is_empty());
    let context = record.context(TOKEN);
    assert_eq!(context.timestamp(), Timestamp(7));
    assert_eq!(context.entries().count(), 2);
}

#[test]
#[should_panic(expected = "a dot is minted once")]
fn a_stale_dot_is_not_minted() {
    sample().apply_put(dot(0xb, 6), value(1, "v"), &Context::new(TOKEN));
}

#[test]
#[should_panic(expected = "a context cannot cover a dot that is being minted")]
fn a_covered_dot_is_not_minted() {
    let mut context = Context::new(TOKEN);
    context.observe(Incarnation(1), 5);
    Record::empty(Conflict::Siblings).apply_put(dot(1, 5), value(1, "v"), &context);
}

#[test]
#[should_panic(expected = "a tombstone never expires")]
fn a_tombstone_with_an_expiry_is_not_written() {
    let cell = Cell { expires_at: Some(WallTime::from_micros(5)), ..tombstone(1) };
    drop(put(Conflict::Siblings, &[(dot(1, 1), cell)]));
}

#[test]
#[should_panic(expected = "a key has one conflict mode")]
fn records_of_two_modes_do_not_join() {
    Record::empty(Conflict::Lww).join(&sample());
}
