//! Scenarios as text (`scenarios.txt`), and simulated replicas under random interleavings.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::{GetEffect, GetError, GetInput, GetMachine, GetOutcome, GetPlan, ReadReason};
use crate::ids::{DcIndex, Incarnation, NodeIndex};
use crate::keyspace::Conflict;
use crate::put::Liveness;
use crate::put::tests::{Cluster, cluster_part, in_millis, millis, replay, setting};
use crate::quorum::tests::{distance, is_met};
use crate::quorum::{Level, QuorumSpec};
use crate::record::{Cell, CellBody, Record};
use crate::time::MonoTime;
use crate::version::{Context, Dot, Timestamp};

const DEADLINE: MonoTime = MonoTime::from_nanos(1_000_000_000);
const HEDGE_AFTER: Duration = Duration::from_millis(50);

/// A record with one sibling per character: `{ac}` holds what the actors `a` and `c` wrote.
fn record(text: &str) -> Record {
    let mut record = Record::empty(Conflict::Siblings);
    for actor in text.bytes().filter(u8::is_ascii_lowercase) {
        let dot = Dot { incarnation: Incarnation(actor.into()), counter: 1 };
        let body = CellBody::Value(Bytes::copy_from_slice(&[actor]));
        let cell = Cell { timestamp: Timestamp(1), expires_at: None, body };
        record.apply_put(dot, cell, &Context::new(0));
    }
    record
}

fn text(record: &Record) -> String {
    let actors = record.cells().map(|(dot, _)| u8::try_from(dot.incarnation.0).unwrap());
    format!("{{{}}}", actors.map(char::from).collect::<String>())
}

struct Scenario {
    cluster: Cluster,
    machine: Option<GetMachine>,
    now: MonoTime,
}

impl Scenario {
    fn line(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let node = |name: &str| self.cluster.node(name);
        let input = match words.as_slice() {
            ["get", ..] => return self.begin(line),
            ["start"] => GetInput::Start,
            ["record", from, what] => GetInput::Record { from: node(from), record: record(what) },
            ["lww", from] => {
                GetInput::Record { from: node(from), record: Record::empty(Conflict::Lww) }
            }
            ["same", from] => GetInput::Same { from: node(from) },
            ["older", from, what] => {
                GetInput::Older { from: node(from), digest: record(what).digest() }
            }
            ["granted"] => GetInput::Granted,
            ["repaired", from] => GetInput::Repaired { from: node(from) },
            ["fail", from] => GetInput::Failed { from: node(from) },
            ["tick", at] => {
                self.now = millis(at);
                GetInput::Tick
            }
            _ => panic!("what is `{line}`?"),
        };
        let mut out = Vec::new();
        let machine = self.machine.as_mut().expect("a machine was admitted");
        machine.handle(self.now, input, &mut out);
        let mut answer: Vec<String> = out.iter().map(|effect| self.effect(effect)).collect();
        if self.machine.as_ref().is_some_and(GetMachine::is_closed) {
            answer.push("closed".to_owned());
        }
        answer.join(" | ")
    }

    fn begin(&mut self, line: &str) -> String {
        self.cluster = Cluster::parse(cluster_part(line));
        self.now = MonoTime::ZERO;
        let local = setting(line, "local").map_or(DcIndex(0), |dc| self.cluster.dc(dc));
        let level = setting(line, "level").unwrap().parse().unwrap();
        let mut plan = plan(&self.cluster, level, local);
        plan.at_least = setting(line, "session").map(|seen| record(seen).context(0));
        plan.coordinator = self.cluster.node(setting(line, "from").unwrap());
        match GetMachine::admit(plan) {
            Ok(machine) => {
                self.machine = Some(machine);
                "admitted".to_owned()
            }
            Err(error) => self.error(error),
        }
    }

    fn error(&self, error: GetError) -> String {
        match error {
            GetError::Unavailable(short) => {
                format!("unavailable {}", self.cluster.shortfall(short))
            }
            GetError::Behind { answered } => format!("behind, answered {answered}"),
            GetError::Deadline(short) => format!("deadline {}", self.cluster.shortfall(short)),
        }
    }

    fn effect(&self, effect: &GetEffect) -> String {
        let joined = self.machine.as_ref().map(GetMachine::joined).unwrap();
        match effect {
            GetEffect::Read { to, known, reason } => {
                let speculative = match reason {
                    ReadReason::Needed => "",
                    ReadReason::Speculative => " too",
                    ReadReason::Session => " for the session",
                };
                let known = known.map_or(String::new(), |digest| {
                    assert_eq!(digest, joined.digest());
                    format!(" unless {}", text(joined))
                });
                format!("read {}{speculative}{known}", self.cluster.name(*to))
            }
            GetEffect::Speculate { overdue, reads } => {
                let overdue: Vec<_> = overdue.iter().map(|node| self.cluster.name(*node)).collect();
                format!("may {reads} be read beside {}", overdue.join(" "))
            }
            GetEffect::Cancel { to } => format!("cancel {}", self.cluster.name(*to)),
            GetEffect::Repair { to } => {
                format!("repair {} {}", self.cluster.name(*to), text(joined))
            }
            GetEffect::WakeAt(at) => format!("wake {}", in_millis(*at)),
            GetEffect::Finish(Ok(GetOutcome { answered, stale, won })) => {
                let won = if *won > 0 { format!(" won {won}") } else { String::new() };
                format!("ok {} answered {answered} stale {stale}{won}", text(joined))
            }
            GetEffect::Finish(Err(error)) => self.error(*error),
        }
    }
}

fn plan(cluster: &Cluster, level: Level, local: DcIndex) -> GetPlan {
    GetPlan {
        spec: QuorumSpec::new(level, &cluster.counts(), local).unwrap(),
        coordinator: NodeIndex(0),
        replicas: cluster.replicas.clone(),
        empty: Record::empty(Conflict::Siblings),
        at_least: None,
        deadline: DEADLINE,
        hedge_after: HEDGE_AFTER,
    }
}

#[test]
fn scenarios() {
    let text = include_str!("scenarios.txt");
    let mut scenario = Scenario { cluster: Cluster::default(), machine: None, now: MonoTime::ZERO };
    let actual = replay(text, |line| scenario.line(line));
    assert!(actual == text, "get/scenarios.txt should read:\n{actual}");
}

/// Whether speculative reads are granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Budget {
    Left,
    Spent,
}

/// Replicas that hold real records, a network that delivers in any order, and a log of what happened.
struct World {
    cluster: Cluster,
    level: Level,
    at_least: Option<Context>,
    local: usize,
    machine: GetMachine,
    held: Vec<Record>,
    /// Requests under way, with the record of a repair.
    pending: Vec<(GetEffect, Record)>,
    read: BTreeSet<NodeIndex>,
    /// Join of every record that a reply brought or confirmed before the answer.
    replied: Record,
    replied_by: BTreeSet<NodeIndex>,
    reads: usize,
    failures: usize,
    overdue: usize,
    /// Speculative reads that the machine asked for and was not granted yet.
    wanted: usize,
    finishes: usize,
    now: MonoTime,
}

impl World {
    fn new(shape: &str, level: Level, held: &[&str]) -> Option<Self> {
        Self::with_session(shape, level, held, None)
    }

    fn with_session(
        shape: &str,
        level: Level,
        held: &[&str],
        session: Option<&str>,
    ) -> Option<Self> {
        let cluster = Cluster::parse(shape);
        QuorumSpec::new(level, &cluster.counts(), DcIndex(0)).ok()?;
        let alive = cluster.replicas.iter().filter(|r| r.liveness == Liveness::Alive);
        let alive = cluster.acks(alive.map(|replica| replica.node));
        let at_least = session.map(|seen| record(seen).context(0));
        let plan = GetPlan { at_least: at_least.clone(), ..plan(&cluster, level, DcIndex(0)) };
        let machine = GetMachine::admit(plan);
        assert_eq!(machine.is_ok(), is_met(level, &cluster.counts(), 0, &alive));
        Some(Self {
            level,
            at_least,
            local: 0,
            machine: machine.ok()?,
            held: (0..cluster.names.len()).map(|i| record(held[i % held.len()])).collect(),
            pending: Vec::new(),
            read: BTreeSet::new(),
            replied: record(""),
            replied_by: BTreeSet::new(),
            reads: 0,
            failures: 0,
            overdue: 0,
            wanted: 0,
            finishes: 0,
            now: MonoTime::ZERO,
            cluster,
        })
    }

    fn feed(&mut self, input: GetInput) {
        let was_closed = self.machine.is_closed();
        let mut out = Vec::new();
        self.machine.handle(self.now, input, &mut out);
        assert!(!was_closed || out.is_empty(), "closed is closed");
        assert!(out.len() <= 2 * self.held.len() + 3);
        out.into_iter().for_each(|effect| self.take(effect));
    }

    fn take(&mut self, effect: GetEffect) {
        match effect {
            GetEffect::WakeAt(at) => assert!(at <= DEADLINE),
            GetEffect::Finish(answer) => self.on_finish(answer),
            GetEffect::Speculate { overdue, reads } => {
                assert!(!overdue.is_empty() && usize::from(reads) <= self.held.len());
                assert_eq!(self.finishes, 0, "the answer ends the reading");
                self.wanted = self.wanted.max(usize::from(reads));
                self.overdue = self.overdue.max(overdue.len());
            }
            GetEffect::Cancel { to } => {
                assert_eq!(self.finishes, 1, "who is needed is not cancelled");
                let is_read =
                    |e: &GetEffect| matches!(e, GetEffect::Read { to: t, .. } if *t == to);
                let before = self.pending.len();
                self.pending.retain(|(effect, _)| !is_read(effect));
                assert_eq!(self.pending.len() + 1, before, "what is under way is cancelled, once");
            }
            GetEffect::Read { to, .. } => {
                assert!(self.read.insert(to), "nobody is read twice");
                assert_eq!(self.finishes, 0, "the answer ends the reading");
                self.reads += 1;
                self.send(to, effect);
            }
            GetEffect::Repair { to } => {
                assert!(self.replied_by.contains(&to), "only who answered is repaired");
                self.send(to, effect);
            }
        }
    }

    fn send(&mut self, to: NodeIndex, effect: GetEffect) {
        let is_local_level = matches!(self.level, Level::LocalOne | Level::LocalQuorum);
        let is_here = usize::from(self.cluster.dc_of(to).0) == self.local;
        let is_session = matches!(effect, GetEffect::Read { reason: ReadReason::Session, .. });
        assert!(is_here || !is_local_level || is_session, "a local level stays at home");
        assert_eq!(self.cluster.replicas[usize::from(to.0)].liveness, Liveness::Alive);
        self.pending.push((effect, self.machine.joined().clone()));
    }

    fn on_finish(&mut self, answer: Result<GetOutcome, GetError>) {
        self.finishes += 1;
        let joined = self.machine.joined();
        let is_behind = self.at_least.as_ref().is_some_and(|session| !joined.has_seen(session));
        let Ok(outcome) = answer else {
            let gave_up = matches!(answer, Err(GetError::Behind { .. }));
            return assert!(is_behind || !gave_up, "what was seen is answered");
        };
        assert!(!is_behind, "a session never goes back");
        assert_eq!(*joined, self.replied, "the answer is the join of all replies");
        let nodes = self.cluster.replicas.iter().map(|replica| replica.node);
        let holders = nodes.filter(|node| self.held[usize::from(node.0)] == *joined);
        let standing = if matches!(self.level, Level::One | Level::LocalOne) {
            self.cluster.acks(self.replied_by.iter().copied())
        } else {
            self.cluster.acks(holders)
        };
        assert!(
            is_met(self.level, &self.cluster.counts(), self.local, &standing),
            "{}",
            self.level
        );
        assert!(usize::from(outcome.answered) <= self.replied_by.len());
        assert!(usize::from(outcome.stale) <= self.replied_by.len());
    }

    /// Delivers the request at `choice` to its replica and the reply back, or loses it.
    fn deliver(&mut self, choice: usize, is_lost: u8) {
        if self.pending.is_empty() {
            return;
        }
        let (effect, sent) = self.pending.swap_remove(choice % self.pending.len());
        let (GetEffect::Read { to, .. } | GetEffect::Repair { to }) = effect else {
            unreachable!()
        };
        let index = usize::from(to.0);
        if is_lost == 0 {
            self.failures += 1;
            return self.feed(GetInput::Failed { from: to });
        }
        let input = match effect {
            GetEffect::Read { known, .. } => {
                if self.finishes == 0 {
                    self.replied.join(&self.held[index]);
                }
                self.replied_by.insert(to);
                self.reply(to, known.map(|_| &sent))
            }
            _ => {
                self.held[index].join(&sent);
                GetInput::Repaired { from: to }
            }
        };
        self.feed(input);
    }

    /// What `to` answers to who knows `known`, as `service` answers it.
    fn reply(&self, to: NodeIndex, known: Option<&Record>) -> GetInput {
        let held = &self.held[usize::from(to.0)];
        match known {
            Some(known) if known == held => GetInput::Same { from: to },
            Some(known) if held.is_covered_by(&known.version()) => {
                GetInput::Older { from: to, digest: held.digest() }
            }
            _ => GetInput::Record { from: to, record: held.clone() },
        }
    }

    fn tick(&mut self, at: MonoTime, budget: Budget) {
        self.now = self.now.max(at);
        self.feed(GetInput::Tick);
        if self.wanted > 0 && budget == Budget::Left {
            self.wanted = 0;
            self.feed(GetInput::Granted);
        }
    }

    fn end(mut self) {
        for _ in 0..1_000 {
            if self.machine.is_closed() {
                break;
            }
            if self.pending.is_empty() {
                self.tick(DEADLINE, Budget::Left);
            }
            self.deliver(0, 1);
        }
        assert!(self.machine.is_closed(), "no endless conversation");
        assert_eq!(self.finishes, 1, "answered once");
        let counts = self.cluster.counts();
        let all: Vec<u16> = counts.iter().map(|&count| u16::from(count)).collect();
        let needed =
            distance(self.level, &counts, self.local, &vec![0; counts.len()], &all).unwrap();
        let sought = if self.at_least.is_some() { self.held.len() } else { 0 };
        let bound = usize::from(needed) + self.failures + self.overdue + sought;
        assert!(
            self.reads <= bound,
            "{} reads, {needed} needed, {} failed",
            self.reads,
            self.failures
        );
    }
}

const LEVELS: [Level; 10] = [
    Level::One,
    Level::Two,
    Level::Three,
    Level::LocalOne,
    Level::LocalQuorum,
    Level::Quorum,
    Level::EachQuorum,
    Level::All,
    Level::LocalQuorumPlus(1),
    Level::LocalQuorumPlus(2),
];

const SHAPES: [&str; 6] = [
    "eu=(e1 e2 e3)",
    "eu=(e1 e2 e3) us=(u1 u2 u3)",
    "eu=(e1 e2! e3) us=(u1 u2) ap=(a1 a2! a3)",
    "eu=(e1! e2 e3 e4 e5) us=(u1)",
    "eu=(e1) us=(u1 u2!) ap=(a1)",
    "eu=(e1 e2) us=() ap=(a1 a2 a3)",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn laws_hold_under_any_interleaving(
        shape in prop::sample::select(SHAPES.to_vec()),
        level in prop::sample::select(LEVELS.to_vec()),
        held in prop::collection::vec(prop::sample::select(vec!["", "a", "ab", "bc", "abcd"]), 1..6),
        session in prop::option::of(prop::sample::select(vec!["", "a", "bd", "abcd"])),
        hedges in prop::collection::vec((0usize..24, any::<bool>()), 0..3),
        steps in prop::collection::vec((0usize..8, 0u8..5), 0..24),
    ) {
        if let Some(mut world) = World::with_session(shape, level, &held, session) {
            world.feed(GetInput::Start);
            for (index, (choice, is_lost)) in steps.into_iter().enumerate() {
                for (number, (_, is_left)) in hedges.iter().enumerate().filter(|(_, h)| h.0 == index) {
                    let budget = if *is_left { Budget::Left } else { Budget::Spent };
                    world.tick(MonoTime::ZERO.after(HEDGE_AFTER * (1 << (2 * number))), budget);
                }
                world.deliver(choice, is_lost);
            }
            world.end();
        }
    }
}

/// Three replicas, each with one of three records: every choice of the next four deliveries and of their loss.
#[test]
fn all_orders_of_three_replicas() {
    let records = ["", "a", "ab"];
    let (one_dc, two_dcs) = ("eu=(e1 e2 e3)", "eu=(e1 e2) us=(u1)");
    let cases = [
        (Level::One, two_dcs),
        (Level::LocalQuorum, two_dcs),
        (Level::Quorum, one_dc),
        (Level::All, one_dc),
    ];
    let mut runs = 0;
    for (level, shape) in cases {
        for seed in 0..27 {
            let held = [records[seed % 3], records[seed / 3 % 3], records[seed / 9]];
            for script in 0..4u32.pow(4) {
                let mut world = World::new(shape, level, &held).unwrap();
                world.feed(GetInput::Start);
                for step in 0..4 {
                    // Two bits per step: which request, and whether it is lost.
                    let bits = script >> (2 * step) & 3;
                    world.deliver((bits & 1) as usize, u8::from(bits & 2 == 0));
                }
                world.end();
                runs += 1;
            }
        }
    }
    assert_eq!(runs, 4 * 27 * 256);
}

/// A quorum put before and a quorum get after: whatever the get asks, it returns the put (promise P3).
#[test]
fn a_quorum_get_sees_every_quorum_put() {
    for holders in [[0, 1], [0, 2], [1, 2]] {
        for lost in 0..3usize {
            let mut world = World::new("eu=(e1 e2 e3)", Level::Quorum, &["", "", ""]).unwrap();
            holders.iter().for_each(|&index: &usize| world.held[index] = record("a"));
            world.feed(GetInput::Start);
            for step in 0..6 {
                world.deliver(0, u8::from(step != lost));
            }
            if world.finishes == 1 && world.failures <= 1 && !world.machine.joined().is_empty() {
                assert_eq!(text(world.machine.joined()), "{a}");
            }
            let standing = world.held.iter().filter(|held| text(held) == "{a}").count();
            assert!(standing >= 2);
            world.end();
        }
    }
}
