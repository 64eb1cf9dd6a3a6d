//! A tiny right cluster, and wrong ones, at random: the checkers accept every history of the first and notice each flaw.
//!
//! Three replicas of one key; operations happen one after the other, but reach only some replicas. Now and then a node
//! forgets everything and goes on under a new incarnation.

use std::collections::{BTreeMap, BTreeSet};

use atoll_protocol::ids::{DcIndex, Incarnation, NodeIndex};
use atoll_protocol::keyspace::Conflict;
use atoll_protocol::quorum::Level;
use atoll_protocol::record::{Cell, CellBody, Record};
use atoll_protocol::time::{MonoTime, WallTime};
use atoll_protocol::version::{Context, Dot, Timestamp};
use atoll_protocol::wire::Failure;
use bytes::Bytes;

use super::super::check;
use super::script;
use crate::history::{
    Final, Forgetting, History, KeyId, Op, OpKind, Outcome, ReadCell, Sighting, ValueId,
};
use crate::prng::Prng;

const KEY: KeyId = KeyId(0);
const TOKEN: u64 = 7;
const LEVELS: [(Level, usize); 3] = [(Level::One, 1), (Level::Quorum, 2), (Level::All, 3)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// Gets answer without writing back.
    NoWriteBack,
    /// Puts ship their new cell alone.
    ShipsNewCellOnly,
    /// Puts are acknowledged by one replica more than there were.
    AcksOneTooMany,
    /// Puts ignore what their client had seen.
    IgnoresContext,
}

struct Model {
    flaw: Flaw,
    prng: Prng,
    history: History,
    records: Vec<Record>,
    counters: BTreeMap<Incarnation, u64>,
    seen: Context,
    now: u64,
}

#[test]
fn a_right_cluster_is_accepted_and_flaws_are_noticed() {
    for conflict in [Conflict::Siblings, Conflict::Lww] {
        for seed in 0..100 {
            let history = run(seed, conflict, Flaw::None);
            assert_eq!(check(&history), Vec::new(), "seed {seed}, {conflict:?}");
        }
    }
    for flaw in
        [Flaw::NoWriteBack, Flaw::ShipsNewCellOnly, Flaw::AcksOneTooMany, Flaw::IgnoresContext]
    {
        let is_noticed = |seed| !check(&run(seed, Conflict::Siblings, flaw)).is_empty();
        assert!((0..100).filter(|seed| is_noticed(*seed)).count() > 10, "{flaw:?} is noticed");
    }
}

fn run(seed: u64, conflict: Conflict, flaw: Flaw) -> History {
    let mut history = script::history("");
    history.keys[0].conflict = conflict;
    let mut model = Model {
        flaw,
        prng: Prng::stream(seed, "model"),
        history,
        records: vec![Record::empty(conflict); 3],
        counters: BTreeMap::new(),
        seen: Context::new(TOKEN),
        now: 0,
    };
    for _ in 0..40 {
        model.step();
    }
    let mut all = Record::empty(conflict);
    model.records.iter().for_each(|record| all.join(record));
    for node in 0..3 {
        model.history.finals.insert((KEY, NodeIndex(node)), Final::Record(all.clone()));
    }
    model.history
}

impl Model {
    fn step(&mut self) {
        let (level, needed) = LEVELS[self.prng.index(3)];
        match self.prng.below(20) {
            0 => self.forget(),
            1..10 => self.get(level, needed),
            _ => self.write(level, needed),
        }
    }

    fn forget(&mut self) {
        let node = self.prng.index(3);
        self.records[node] = Record::empty(self.history.keys[0].conflict);
        let at = self.tick();
        let node = NodeIndex(u16::try_from(node).unwrap());
        let incarnation = Incarnation(1_000 + at.as_nanos());
        self.history.incarnations.get_mut(&node).unwrap().push(incarnation);
        self.history.forgettings.push(Forgetting { node, at });
    }

    fn get(&mut self, level: Level, needed: usize) {
        let start = self.tick();
        let asked = self.some_nodes(needed);
        let mut joined = self.records[asked[0]].clone();
        asked.iter().for_each(|&node| joined.join(&self.records[node]));
        if level != Level::One && self.flaw != Flaw::NoWriteBack {
            asked.iter().for_each(|&node| self.apply(node, &joined));
        }
        let context = joined.context(TOKEN);
        self.seen = context.clone();
        let cells = joined.values(WallTime::default()).map(|(dot, cell)| ReadCell {
            dot,
            timestamp: cell.timestamp,
            value: self.history.cells[&(KEY, dot)].value,
        });
        let (cells, wall) = (cells.collect(), (WallTime::default(), WallTime::default()));
        let answered = u16::try_from(needed).unwrap();
        let outcome = Outcome::Got { context, cells, answered, wall };
        self.done((OpKind::Get, level), start, outcome);
    }

    fn write(&mut self, level: Level, needed: usize) {
        let start = self.tick();
        let count = 1 + self.prng.index(3);
        let reached = self.some_nodes(count);
        let context = (self.prng.below(3) > 0).then(|| self.seen.clone());
        let dot = self.next_dot(reached[0]);
        let is_delete = self.prng.below(4) == 0;
        let value = ValueId(start.as_nanos());
        let body = match is_delete {
            true => CellBody::Tombstone,
            false => CellBody::Value(Bytes::copy_from_slice(&value.0.to_be_bytes())),
        };
        let mut record = self.records[reached[0]].clone();
        let latest = record
            .timestamp_max()
            .max(context.as_ref().map_or_else(Timestamp::default, Context::timestamp));
        let cell = Cell {
            timestamp: Timestamp::next(WallTime::from_micros(start.as_nanos()), latest),
            expires_at: None,
            body,
        };
        let seen = context.clone().filter(|_| self.flaw != Flaw::IgnoresContext);
        let seen = seen.unwrap_or_else(|| Context::new(TOKEN));
        let mut alone = Record::empty(record.conflict());
        alone.apply_put(dot, cell.clone(), &seen);
        record.apply_put(dot, cell.clone(), &seen);
        let (timestamp, first) = (cell.timestamp, self.tick());
        let content = (!is_delete).then_some(value);
        let sighting = Sighting { timestamp, digest: 0, value: content, first };
        self.history.cells.insert((KEY, dot), sighting);
        self.apply(reached[0], &record);
        let shipped = if self.flaw == Flaw::ShipsNewCellOnly { &alone } else { &record };
        reached[1..].iter().for_each(|&node| self.apply(node, shipped));
        let excess = usize::from(self.flaw == Flaw::AcksOneTooMany && count < 3);
        let acked = u16::try_from(count + excess).unwrap();
        let outcome = match usize::from(acked) >= needed {
            true => Outcome::Acked { context: record.context(TOKEN), acked },
            false => Outcome::Failed(Failure::Unknown { level, dc: None, needed: 3, acked }),
        };
        let kind = match is_delete {
            true => OpKind::Delete { context },
            false => OpKind::Put { value, length: 8, context, expires: false },
        };
        self.done((kind, level), start, outcome);
    }

    fn done(&mut self, (kind, level): (OpKind, Level), start: MonoTime, outcome: Outcome) {
        let end = Some(self.tick());
        let (node, local) = (NodeIndex(0), DcIndex(0));
        self.history.ops.push(Op {
            client: 0,
            node,
            local,
            key: KEY,
            kind,
            level,
            in_session: false,
            start,
            end,
            outcome,
        });
    }

    fn apply(&mut self, node: usize, record: &Record) {
        self.records[node].join(record);
        let at = self.tick();
        for (dot, _) in record.cells() {
            self.history.hold((KEY, dot), NodeIndex(u16::try_from(node).unwrap()), at);
        }
    }

    fn next_dot(&mut self, node: usize) -> Dot {
        let had = &self.history.incarnations[&NodeIndex(u16::try_from(node).unwrap())];
        let incarnation = *had.last().unwrap();
        let counter = self.counters.entry(incarnation).or_default();
        *counter += 1;
        Dot { incarnation, counter: *counter }
    }

    fn some_nodes(&mut self, count: usize) -> Vec<usize> {
        let mut nodes = BTreeSet::new();
        let first = self.prng.index(3);
        while nodes.len() < count - 1 {
            let more = self.prng.index(3);
            if more != first {
                nodes.insert(more);
            }
        }
        std::iter::once(first).chain(nodes).collect()
    }

    fn tick(&mut self) -> MonoTime {
        self.now += 1_000;
        MonoTime::from_nanos(self.now)
    }
}
