//! Histories of one key as text.
//!
//! ```text
//! key lww dc0=n0,n1,n2 dc1=n3           the key; `siblings dc0=n0,n1,n2` without this line
//! 10-20 c1@n0 QUORUM put v1 after a1,b2 expiring => acked a2 on n0,n1
//! 30-40 c1@n0 QUORUM get => got a2=v1 covering b2
//! 50- c2@n3 ONE delete after a2 => pending
//! seen a2=v1 at 12
//! held a2 n0 since 15 until 30
//! forgot n0 at 60
//! final n0,n1 a2=v1!900 b3=x floor a1   `x` is a tombstone, `!` an expiry; `absent`, `unreadable`
//! ```
//!
//! `in-session` behind a question makes it one of its client's session. Times are milliseconds. `a1` is the first dot of the incarnation `a`, which is node 0's; `b` is node 1's. `a1@50`
//! sets the timestamp 50, otherwise it is when the write that was seen began. An acked write is seen and held as soon
//! as it is invoked, unless `unseen` stands behind; `by` and `from` set the count that the node claims.

use std::collections::BTreeMap;

use atoll_protocol::ids::{DcIndex, Incarnation, Name, NodeIndex};
use atoll_protocol::keyspace::Conflict;
use atoll_protocol::record::{Cell, CellBody, Record};
use atoll_protocol::time::{MonoTime, WallTime};
use atoll_protocol::version::{Context, Dot, Timestamp};
use atoll_protocol::wire::Failure;
use bytes::Bytes;

use super::super::levels::fewest;
use crate::history::{
    Final, Forgetting, History, Key, KeyId, Op, OpKind, Outcome, ReadCell, Sighting, ValueId,
};

const KEY: KeyId = KeyId(0);
const TOKEN: u64 = 7;

pub(super) fn history(text: &str) -> History {
    let mut script = Script { history: History::default() };
    script.history.keys.push(key("siblings dc0=n0,n1,n2"));
    for node in 0..6_u16 {
        let had = vec![Incarnation(u64::from(b'a') + u64::from(node))];
        script.history.incarnations.insert(NodeIndex(node), had);
    }
    // What was seen must be known before it is read.
    let (finals, others): (Vec<_>, Vec<_>) =
        text.lines().partition(|line| line.starts_with("final "));
    others.into_iter().chain(finals).for_each(|line| script.line(line));
    script.history
}

struct Script {
    history: History,
}

/// The words of a line; `after("x")` is the word behind `x`.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        Self(text.split_whitespace().collect())
    }

    fn has(&self, word: &str) -> bool {
        self.0.contains(&word)
    }

    fn after(&self, word: &str) -> Option<&'a str> {
        let position = self.0.iter().position(|own| *own == word)?;
        Some(self.0.get(position + 1).unwrap_or_else(|| panic!("something follows `{word}`")))
    }

    fn time_after(&self, word: &str) -> Option<MonoTime> {
        self.after(word).map(|text| millis(text.parse().unwrap()))
    }
}

impl Script {
    fn line(&mut self, line: &str) {
        let words = Words::of(line);
        match words.0[0] {
            "key" => self.history.keys = vec![key(line.strip_prefix("key ").unwrap())],
            "seen" => self.see(words.0[1], words.time_after("at").unwrap()),
            "held" => {
                let (dot, _) = dot(words.0[1]);
                let since = words.time_after("since").unwrap();
                self.history.hold((KEY, dot), node(words.0[2]), since);
                let until = words.time_after("until").unwrap_or(since);
                self.history.hold((KEY, dot), node(words.0[2]), until);
            }
            "forgot" => {
                let at = words.time_after("at").unwrap();
                self.history.forgettings.push(Forgetting { node: node(words.0[1]), at });
            }
            "final" => self.store(&words),
            _ => self.operation(line),
        }
    }

    fn operation(&mut self, line: &str) {
        let (question, answer) = line.split_once("=>").expect("an operation has an outcome");
        let (question, answer) = (Words::of(question), Words::of(answer));
        let (start, end) = question.0[0].split_once('-').unwrap();
        let (start, end) = (millis(start.parse().unwrap()), end.parse().ok().map(millis));
        let (client, asked) = question.0[1].split_once('@').unwrap();
        let owner = self.key().owners.iter().find(|(owner, _)| *owner == node(asked));
        let mut op = Op {
            client: client[1..].parse().unwrap(),
            node: node(asked),
            local: owner.map_or(DcIndex(0), |(_, dc)| *dc),
            key: KEY,
            kind: kind(&question),
            level: question.0[2].parse().unwrap(),
            in_session: question.has("in-session"),
            start,
            end,
            outcome: Outcome::Pending,
        };
        op.outcome = self.outcome(&op, &answer);
        self.history.ops.push(op);
    }

    fn outcome(&mut self, op: &Op, words: &Words<'_>) -> Outcome {
        let (level, dc) = (op.level, None);
        match words.0[0] {
            "acked" => self.acked(op, words),
            "got" => self.got(op, words),
            "pending" => Outcome::Pending,
            "silent" => Outcome::NoAnswer,
            "unavailable" => {
                Outcome::Failed(Failure::Unavailable { level, dc, needed: 2, alive: 1 })
            }
            "unknown" => Outcome::Failed(Failure::Unknown { level, dc, needed: 2, acked: 1 }),
            "enough" => Outcome::Failed(Failure::Unknown { level, dc, needed: 2, acked: 2 }),
            "deadline" => Outcome::Failed(Failure::Deadline { level, dc, needed: 2, answered: 1 }),
            "behind" => Outcome::Failed(Failure::SessionBehind { answered: 3 }),
            "internal" => Outcome::Failed(Failure::Internal { detail: "a bug".to_owned() }),
            other => panic!("unknown outcome {other}"),
        }
    }

    fn acked(&mut self, op: &Op, words: &Words<'_>) -> Outcome {
        let (own, timestamp) = dot(words.0[1]);
        let timestamp = timestamp.unwrap_or(Timestamp(op.start.as_nanos() / 1_000_000));
        let mut context = Context::new(TOKEN);
        if self.key().conflict == Conflict::Siblings {
            op.context().into_iter().for_each(|seen| context.join(seen));
            words.after("plus").into_iter().for_each(|more| observe(&mut context, more));
        }
        context.observe(own.incarnation, own.counter);
        context.observe_timestamp(timestamp);
        let holders: Vec<_> =
            words.after("on").unwrap_or("").split(',').filter(|name| !name.is_empty()).collect();
        if !words.has("unseen") {
            let value = match op.kind {
                OpKind::Put { value, .. } => Some(value),
                OpKind::Delete { .. } | OpKind::Get => None,
            };
            let first = MonoTime::from_nanos(op.start.as_nanos() + 1);
            self.history.cells.insert((KEY, own), sighting(timestamp, value, first));
            for name in &holders {
                self.history.hold((KEY, own), node(name), first);
            }
        }
        let claimed = words.after("by").map(|count| count.parse().unwrap());
        let acked = claimed.unwrap_or(u16::try_from(holders.len()).unwrap());
        Outcome::Acked { context, acked }
    }

    fn got(&self, op: &Op, words: &Words<'_>) -> Outcome {
        let mut context = Context::new(TOKEN);
        let mut cells = Vec::new();
        for word in &words.0[1..] {
            let Some((name, value)) = word.split_once('=') else {
                break;
            };
            let (dot, timestamp) = dot(name);
            let known = self.history.cells.get(&(KEY, dot)).map(|sighting| sighting.timestamp);
            let timestamp = timestamp.or(known).unwrap_or_default();
            context.observe(dot.incarnation, dot.counter);
            context.observe_timestamp(timestamp);
            cells.push(ReadCell { dot, timestamp, value: value_id(value) });
        }
        words.after("covering").into_iter().for_each(|more| observe(&mut context, more));
        if let Some(only) = words.after("only") {
            context = Context::new(TOKEN);
            observe(&mut context, only);
        }
        let least = fewest(&self.key().counts, (op.level, op.local)).unwrap_or(1);
        let answered = words.after("from").map_or(least, |count| count.parse().unwrap());
        let wall = WallTime::from_micros(op.end.unwrap().as_nanos() / 1_000_000);
        Outcome::Got { context, cells, answered, wall: (wall, wall) }
    }

    fn see(&mut self, cell: &str, at: MonoTime) {
        let (name, value) = cell.split_once('=').unwrap();
        let (dot, timestamp) = dot(name);
        let timestamp = timestamp.unwrap_or(Timestamp(at.as_nanos() / 1_000_000));
        self.history.cells.insert((KEY, dot), sighting(timestamp, value_id(value), at));
    }

    fn store(&mut self, words: &Words<'_>) {
        let stored = match words.0[2] {
            "absent" => Final::Absent,
            "unreadable" => Final::Unreadable("a checksum does not match".to_owned()),
            _ => Final::Record(self.record(words)),
        };
        for name in words.0[1].split(',') {
            self.history.finals.insert((KEY, node(name)), stored.clone());
        }
    }

    fn record(&self, words: &Words<'_>) -> Record {
        let mut floors = Context::new(TOKEN);
        words.after("floor").into_iter().for_each(|more| observe(&mut floors, more));
        let mut cells = BTreeMap::new();
        for (name, content) in words.0[2..].iter().filter_map(|word| word.split_once('=')) {
            let (dot, timestamp) = dot(name);
            let (value, expiry) = content.split_once('!').unwrap_or((content, ""));
            let known = self.history.cells.get(&(KEY, dot)).map(|sighting| sighting.timestamp);
            let body = value_id(value).map_or(CellBody::Tombstone, |value| {
                CellBody::Value(Bytes::copy_from_slice(&value.0.to_be_bytes()))
            });
            let expires_at = expiry.parse().ok().map(WallTime::from_micros);
            let timestamp = timestamp.or(known).unwrap_or_default();
            cells.insert(dot, Cell { timestamp, expires_at, body });
        }
        let mut record = Record::empty(self.key().conflict);
        cells.into_iter().for_each(|(dot, cell)| record.apply_put(dot, cell, &floors));
        record
    }

    fn key(&self) -> &Key {
        &self.history.keys[0]
    }
}

fn key(text: &str) -> Key {
    let mut words = text.split_whitespace();
    let conflict = match words.next() {
        Some("lww") => Conflict::Lww,
        _ => Conflict::Siblings,
    };
    let (mut owners, mut counts) = (Vec::new(), Vec::new());
    for (dc, (_, nodes)) in (0..).zip(words.filter_map(|word| word.split_once('='))) {
        let nodes: Vec<_> = nodes.split(',').map(|name| (node(name), DcIndex(dc))).collect();
        counts.push(u8::try_from(nodes.len()).unwrap());
        owners.extend(nodes);
    }
    let keyspace = Name::new("default").unwrap();
    Key { keyspace, conflict, key: Bytes::from_static(b"k"), token: TOKEN, owners, counts }
}

fn kind(words: &Words<'_>) -> OpKind {
    let context = words.after("after").map(|seen| {
        let mut context = Context::new(TOKEN);
        observe(&mut context, seen);
        context
    });
    match words.0[3] {
        "get" => OpKind::Get,
        "delete" => OpKind::Delete { context },
        "put" => {
            let value = value_id(words.0[4]).unwrap();
            OpKind::Put { value, length: 8, context, expires: words.has("expiring") }
        }
        other => panic!("unknown kind {other}"),
    }
}

fn observe(context: &mut Context, text: &str) {
    for name in text.split(',') {
        let (dot, timestamp) = dot(name);
        context.observe(dot.incarnation, dot.counter);
        context.observe_timestamp(timestamp.unwrap_or_default());
    }
}

fn sighting(timestamp: Timestamp, value: Option<ValueId>, first: MonoTime) -> Sighting {
    Sighting { timestamp, digest: 0, value, first }
}

/// `a1` or `a1@50`.
fn dot(text: &str) -> (Dot, Option<Timestamp>) {
    let (name, timestamp) = text.split_once('@').unwrap_or((text, ""));
    let incarnation = Incarnation(u64::from(name.as_bytes()[0]));
    let dot = Dot { incarnation, counter: name[1..].parse().unwrap() };
    (dot, timestamp.parse().ok().map(Timestamp))
}

/// `v1` is a value; `x` a tombstone, or garbage where a value is expected.
fn value_id(text: &str) -> Option<ValueId> {
    text.strip_prefix('v').map(|number| ValueId(number.parse().unwrap()))
}

fn node(text: &str) -> NodeIndex {
    NodeIndex(text[1..].parse().unwrap())
}

fn millis(millis: u64) -> MonoTime {
    MonoTime::from_nanos(millis * 1_000_000)
}
