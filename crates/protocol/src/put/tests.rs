//! Scenarios as text (`scenarios.txt`), and every order of every fate for small clusters.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::{
    Liveness, Miss, PutEffect, PutError, PutInput, PutMachine, PutOutcome, PutPlan, Replica,
};
use crate::ids::{DcIndex, NodeIndex};
use crate::quorum::tests::is_met;
use crate::quorum::{Level, QuorumSpec, Shortfall};
use crate::time::MonoTime;

/// The replicas of a key by name: `eu=(e1 e2! e3) us=(u1)`, where `!` marks one that is down; `eu+=(f1)` behind them are
/// fallbacks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) replicas: Vec<Replica>,
    fallbacks: Vec<Replica>,
    pub(crate) names: Vec<String>,
    pub(crate) dcs: Vec<String>,
}

impl Cluster {
    pub(crate) fn parse(text: &str) -> Self {
        let mut cluster = Self::default();
        for group in text.split_inclusive(')').filter(|group| !group.trim().is_empty()) {
            let (dc, nodes) = group.trim().trim_end_matches(')').split_once("=(").unwrap();
            if let Some(dc) = dc.strip_suffix('+') {
                let dc = cluster.dc(dc);
                nodes.split_whitespace().for_each(|node| cluster.add_fallback(dc, node));
                continue;
            }
            let index = DcIndex(u8::try_from(cluster.dcs.len()).unwrap());
            cluster.dcs.push(dc.to_owned());
            for node in nodes.split_whitespace() {
                cluster.add(index, node);
            }
        }
        cluster
    }

    fn add_fallback(&mut self, dc: DcIndex, name: &str) {
        let node = NodeIndex(u16::try_from(self.names.len()).unwrap());
        self.fallbacks.push(Replica { node, dc, liveness: Liveness::Alive });
        self.names.push(name.to_owned());
    }

    fn add(&mut self, dc: DcIndex, node: &str) {
        let name = node.trim_end_matches('!');
        let liveness = if name == node { Liveness::Alive } else { Liveness::Down };
        let index = NodeIndex(u16::try_from(self.names.len()).unwrap());
        self.replicas.push(Replica { node: index, dc, liveness });
        self.names.push(name.to_owned());
    }

    pub(crate) fn node(&self, name: &str) -> NodeIndex {
        let index = self.names.iter().position(|known| known == name);
        // A stranger is any number beyond the list.
        NodeIndex(index.map_or(99, |index| u16::try_from(index).unwrap()))
    }

    pub(crate) fn name(&self, node: NodeIndex) -> &str {
        &self.names[usize::from(node.0)]
    }

    pub(crate) fn dc(&self, name: &str) -> DcIndex {
        DcIndex(u8::try_from(self.dcs.iter().position(|dc| dc == name).unwrap()).unwrap())
    }

    pub(crate) fn dc_of(&self, node: NodeIndex) -> DcIndex {
        self.replicas[usize::from(node.0)].dc
    }

    pub(crate) fn counts(&self) -> Vec<u8> {
        let mut counts = vec![0; self.dcs.len()];
        self.replicas.iter().for_each(|replica| counts[usize::from(replica.dc.0)] += 1);
        counts
    }

    pub(crate) fn acks(&self, nodes: impl IntoIterator<Item = NodeIndex>) -> Vec<u16> {
        let mut acks = vec![0; self.dcs.len()];
        nodes.into_iter().for_each(|node| acks[usize::from(self.dc_of(node).0)] += 1);
        acks
    }

    pub(crate) fn shortfall(&self, shortfall: Shortfall) -> String {
        let dc = shortfall.dc.map_or("all".to_owned(), |dc| self.dcs[usize::from(dc.0)].clone());
        format!("{dc} {}/{}", shortfall.have, shortfall.needed)
    }
}

/// `key=value` settings of a scenario's first line.
pub(crate) fn setting<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

pub(crate) fn millis(text: &str) -> MonoTime {
    let count = text.strip_suffix("ms").unwrap().parse().unwrap();
    MonoTime::ZERO.after(Duration::from_millis(count))
}

pub(crate) fn in_millis(at: MonoTime) -> String {
    format!("{}ms", at.since(MonoTime::ZERO).as_millis())
}

/// Replays a scenario file: every block begins with a `# comment` and a setup line; each line after it is an input.
pub(crate) fn replay(text: &str, mut run: impl FnMut(&str) -> String) -> String {
    let mut actual = String::new();
    for line in text.lines() {
        let question = line.split("->").next().unwrap().trim();
        if question.is_empty() || question.starts_with('#') {
            actual.push_str(line.trim_end());
        } else {
            let answer = run(question);
            actual.push_str(format!("{question:<28} -> {answer}").trim_end());
        }
        actual.push('\n');
    }
    actual
}

/// The cluster part of a setup line: everything from the first `dc=(`.
pub(crate) fn cluster_part(line: &str) -> &str {
    let open = line.find("=(").unwrap();
    let start = line[..open].rfind(' ').unwrap();
    &line[start..]
}

const DEADLINE: MonoTime = MonoTime::from_nanos(1_000_000_000);

struct Scenario {
    cluster: Cluster,
    machine: Option<PutMachine>,
    now: MonoTime,
}

impl Scenario {
    fn line(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let input = match words.as_slice() {
            ["put", ..] => return self.begin(line),
            ["minted"] => PutInput::Minted,
            ["ack", node] => PutInput::Acked { from: self.cluster.node(node) },
            ["refuse", node] => PutInput::Refused { from: self.cluster.node(node) },
            ["fail", node] => PutInput::Failed { from: self.cluster.node(node) },
            ["tick", at] => {
                self.now = millis(at);
                PutInput::Tick
            }
            ["at", at] => {
                self.now = millis(at);
                return String::new();
            }
            _ => panic!("what is `{line}`?"),
        };
        let machine = self.machine.as_mut().expect("a machine was admitted");
        let mut out = Vec::new();
        machine.handle(self.now, input, &mut out);
        let mut answer: Vec<String> = out.iter().map(|effect| self.effect(effect)).collect();
        if self.machine.as_ref().is_some_and(PutMachine::is_closed) {
            answer.push("closed".to_owned());
        }
        answer.join(" | ")
    }

    fn begin(&mut self, line: &str) -> String {
        self.cluster = Cluster::parse(cluster_part(line));
        self.now = MonoTime::ZERO;
        let coordinator = self.cluster.node(setting(line, "from").unwrap());
        let local = match setting(line, "local") {
            Some(dc) => self.cluster.dc(dc),
            None => self.cluster.dc_of(coordinator),
        };
        let level = setting(line, "level").unwrap().parse().unwrap();
        let plan = PutPlan {
            spec: QuorumSpec::new(level, &self.cluster.counts(), local).unwrap(),
            coordinator,
            replicas: self.cluster.replicas.clone(),
            fallbacks: self.cluster.fallbacks.clone(),
            deadline: DEADLINE,
            rerelay_after: millis(setting(line, "rerelay").unwrap_or("100ms"))
                .since(MonoTime::ZERO),
        };
        match PutMachine::admit(plan) {
            Ok(machine) => {
                self.machine = Some(machine);
                "admitted".to_owned()
            }
            Err(PutError::Unavailable(short)) => {
                format!("unavailable {}", self.cluster.shortfall(short))
            }
            Err(PutError::Unknown(_)) => panic!("nothing was written at admission"),
        }
    }

    fn effect(&self, effect: &PutEffect) -> String {
        let names = |nodes: &[NodeIndex]| {
            nodes.iter().map(|&node| self.cluster.name(node)).collect::<Vec<_>>().join(" ")
        };
        match effect {
            PutEffect::Send { to, relay_to } if relay_to.is_empty() => {
                format!("send {}", names(&[*to]))
            }
            PutEffect::Send { to, relay_to } => {
                format!("send {}({})", names(&[*to]), names(relay_to))
            }
            PutEffect::Missed { owner, miss: Miss::Refused } => {
                format!("refused by {}", names(&[*owner]))
            }
            PutEffect::Missed { owner, miss: Miss::Unheard } => {
                format!("missed {}", names(&[*owner]))
            }
            PutEffect::WakeAt(at) => format!("wake {}", in_millis(*at)),
            PutEffect::Hold { to, owner } => {
                format!("hold {} for {}", names(&[*to]), names(&[*owner]))
            }
            PutEffect::Finish(Ok(PutOutcome { acked, held: 0 })) => format!("ok {acked}"),
            PutEffect::Finish(Ok(PutOutcome { acked, held })) => format!("ok {acked}+{held}"),
            PutEffect::Finish(Err(PutError::Unknown(short))) => {
                format!("unknown {}", self.cluster.shortfall(*short))
            }
            PutEffect::Finish(Err(PutError::Unavailable(_))) => panic!("never after admission"),
        }
    }
}

#[test]
fn scenarios() {
    let text = include_str!("scenarios.txt");
    let mut scenario = Scenario { cluster: Cluster::default(), machine: None, now: MonoTime::ZERO };
    let actual = replay(text, |line| scenario.line(line));
    assert!(actual == text, "put/scenarios.txt should read:\n{actual}");
}

/// What one replica reports, in order.
const FATES: [&[char]; 5] = [&['a'], &['f'], &[], &['f', 'a'], &['a', 'f']];

const LEVELS: [Level; 9] = [
    Level::One,
    Level::Two,
    Level::Three,
    Level::LocalOne,
    Level::LocalQuorum,
    Level::Quorum,
    Level::EachQuorum,
    Level::All,
    Level::LocalQuorumPlus(1),
];

#[derive(Clone, Copy, Debug)]
enum Event {
    Minted,
    Acked(NodeIndex),
    Failed(NodeIndex),
    Rerelay,
}

/// One put with everything that was ever emitted, checked against the laws after each step.
struct Run<'a> {
    cluster: &'a Cluster,
    level: Level,
    machine: PutMachine,
    minted: bool,
    /// First report of each replica: true if it acknowledged.
    first: BTreeMap<NodeIndex, bool>,
    missed: Vec<NodeIndex>,
    copies: Vec<NodeIndex>,
    finishes: usize,
}

const COORDINATOR: NodeIndex = NodeIndex(0);

impl<'a> Run<'a> {
    fn admit(cluster: &'a Cluster, level: Level) -> Option<Self> {
        let plan = PutPlan {
            spec: QuorumSpec::new(level, &cluster.counts(), DcIndex(0)).ok()?,
            coordinator: COORDINATOR,
            replicas: cluster.replicas.clone(),
            fallbacks: Vec::new(),
            deadline: DEADLINE,
            rerelay_after: Duration::from_millis(100),
        };
        let alive = cluster.replicas.iter().filter(|r| r.liveness == Liveness::Alive);
        let alive = cluster.acks(alive.map(|replica| replica.node));
        let machine = PutMachine::admit(plan);
        assert_eq!(
            machine.is_ok(),
            is_met(level, &cluster.counts(), 0, &alive),
            "{level} {cluster:?}"
        );
        let machine = machine.ok()?;
        let (first, missed, copies) = (BTreeMap::new(), Vec::new(), Vec::new());
        Some(Self { cluster, level, machine, minted: false, first, missed, copies, finishes: 0 })
    }

    fn step(&mut self, now: MonoTime, event: Event) {
        let was_closed = self.machine.is_closed();
        let input = match event {
            Event::Minted => PutInput::Minted,
            Event::Acked(from) => PutInput::Acked { from },
            Event::Failed(from) => PutInput::Failed { from },
            Event::Rerelay => PutInput::Tick,
        };
        self.minted |= matches!(event, Event::Minted);
        if !was_closed {
            self.note(event);
        }
        let mut out = Vec::new();
        self.machine.handle(now, input, &mut out);
        assert!(!was_closed || out.is_empty(), "closed is closed");
        out.into_iter().for_each(|effect| self.check(effect));
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Acked(node) => drop(self.first.entry(node).or_insert(true)),
            Event::Failed(node) => drop(self.first.entry(node).or_insert(false)),
            Event::Minted => {
                for replica in &self.cluster.replicas {
                    if replica.liveness == Liveness::Down {
                        self.first.insert(replica.node, false);
                    }
                }
            }
            Event::Rerelay => {}
        }
    }

    fn acked(&self) -> Vec<u16> {
        self.cluster.acks(self.first.iter().filter(|(_, acked)| **acked).map(|(node, _)| *node))
    }

    fn check(&mut self, effect: PutEffect) {
        match effect {
            PutEffect::Finish(answer) => {
                self.finishes += 1;
                let truly = is_met(self.level, &self.cluster.counts(), 0, &self.acked());
                assert_eq!(answer.is_ok(), truly, "{} {:?} {answer:?}", self.level, self.first);
                assert!(!matches!(answer, Err(PutError::Unavailable(_))), "only before the mint");
                if let Ok(outcome) = answer {
                    assert_eq!(outcome.acked, self.acked().iter().sum::<u16>());
                }
            }
            PutEffect::Missed { owner, .. } => self.missed.push(owner),
            PutEffect::Send { to, relay_to } => {
                assert!(self.minted, "nothing is sent before the mint");
                let is_local = self.cluster.dc_of(to) == self.cluster.dc_of(COORDINATOR);
                assert!(!is_local || relay_to.is_empty(), "local copies are direct");
                for &node in relay_to.iter().chain([&to]) {
                    assert_eq!(
                        self.cluster.dc_of(node),
                        self.cluster.dc_of(to),
                        "relays stay home"
                    );
                    assert_ne!(node, COORDINATOR);
                    assert!(
                        !self.first.contains_key(&node),
                        "nobody is sent what it has or refused"
                    );
                    self.copies.push(node);
                }
            }
            PutEffect::WakeAt(at) => assert!(at <= DEADLINE),
            PutEffect::Hold { .. } => panic!("the quorum is strict"),
        }
    }

    fn end(mut self) {
        self.step(DEADLINE, Event::Rerelay);
        assert!(self.machine.is_closed());
        assert_eq!(self.finishes, 1, "answered once");
        for replica in self.cluster.replicas.iter().filter(|replica| replica.node != COORDINATOR) {
            let missed = self.missed.iter().filter(|node| **node == replica.node).count();
            let acked = usize::from(self.first.get(&replica.node).copied().unwrap_or(false));
            assert_eq!(missed + acked, 1, "{} {:?} {:?}", self.level, self.first, self.missed);
            let is_alive = replica.liveness == Liveness::Alive;
            let early = self.first.contains_key(&replica.node);
            assert!(
                early || !is_alive || self.copies.contains(&replica.node),
                "everyone is sent one"
            );
        }
        assert!(!self.missed.contains(&COORDINATOR));
    }
}

/// Every interleaving of the replicas' fates, with the re-relay timer between any two of them.
fn every_order(cluster: &Cluster, level: Level, fates: &[&[char]]) -> usize {
    let mut order = Vec::new();
    let mut runs = 0;
    interleave(fates, &mut vec![0; fates.len()], &mut order, &mut |order| {
        for timer in 0..=order.len() {
            let Some(mut run) = Run::admit(cluster, level) else {
                return;
            };
            run.step(MonoTime::ZERO, Event::Minted);
            for (index, &event) in order.iter().enumerate() {
                if index == timer {
                    run.step(millis("100ms"), Event::Rerelay);
                }
                run.step(millis(if index < timer { "1ms" } else { "200ms" }), event);
            }
            run.end();
            runs += 1;
        }
    });
    runs
}

fn interleave(
    fates: &[&[char]],
    taken: &mut Vec<usize>,
    order: &mut Vec<Event>,
    visit: &mut impl FnMut(&[Event]),
) {
    let mut is_complete = true;
    for index in 0..fates.len() {
        let Some(&fate) = fates[index].get(taken[index]) else {
            continue;
        };
        is_complete = false;
        let node = NodeIndex(u16::try_from(index).unwrap());
        order.push(if fate == 'a' { Event::Acked(node) } else { Event::Failed(node) });
        taken[index] += 1;
        interleave(fates, taken, order, visit);
        taken[index] -= 1;
        order.pop();
    }
    if is_complete {
        visit(order);
    }
}

#[test]
fn all_orders_of_all_fates_of_three_replicas() {
    let mut runs = 0;
    for text in ["eu=(e1 e2 e3)", "eu=(e1 e2) us=(u1)", "eu=(e1) us=(u1 u2)", "eu=(e1 e2!) us=(u1)"]
    {
        let cluster = Cluster::parse(text);
        for level in [Level::One, Level::LocalQuorum, Level::Quorum, Level::EachQuorum, Level::All]
        {
            // The coordinator's own replica acknowledges, fails, or never answers.
            for own in &FATES[..3] {
                for second in FATES {
                    for third in FATES {
                        runs += every_order(&cluster, level, &[own, second, third]);
                    }
                }
            }
        }
    }
    assert!(runs > 10_000, "{runs} runs");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Larger clusters, random events in random order, duplicates, strangers and early losses included.
    #[test]
    fn laws_hold_in_larger_clusters(
        shape in prop::sample::select(vec![
            "eu=(e1 e2 e3) us=(u1 u2 u3)",
            "eu=(e1 e2! e3) us=(u1 u2 u3) ap=(a1 a2 a3)",
            "eu=(e1 e2 e3) us=(u1! u2 u3 u4 u5) ap=(a1)",
            "eu=(e1) us=(u1 u2!) ap=(a1! a2!)",
        ]),
        level in prop::sample::select(LEVELS.to_vec()),
        mint_after in 0usize..4,
        events in prop::collection::vec((0u16..12, 0u8..4, 0u64..400), 0..30),
    ) {
        let cluster = Cluster::parse(shape);
        if let Some(mut run) = Run::admit(&cluster, level) {
            let mut now = 0;
            for (index, (node, kind, pause)) in events.into_iter().enumerate() {
                if index == mint_after {
                    run.step(MonoTime::from_nanos(now), Event::Minted);
                }
                now += pause * 200_000;
                let node = NodeIndex(node % u16::try_from(cluster.names.len()).unwrap());
                let is_down = cluster.replicas[usize::from(node.0)].liveness == Liveness::Down;
                let event = match kind {
                    _ if is_down => Event::Rerelay,
                    0 | 1 if run.minted => Event::Acked(node),
                    2 if node != COORDINATOR => Event::Failed(node),
                    _ => Event::Rerelay,
                };
                run.step(MonoTime::from_nanos(now.min(999_999_999)), event);
            }
            if !run.minted {
                run.step(MonoTime::from_nanos(now.min(999_999_999)), Event::Minted);
            }
            run.end();
        }
    }
}

fn plan(text: &str, coordinator: &str) -> PutPlan {
    let cluster = Cluster::parse(text);
    PutPlan {
        spec: QuorumSpec::new(Level::One, &cluster.counts(), DcIndex(0)).unwrap(),
        coordinator: cluster.node(coordinator),
        replicas: cluster.replicas,
        fallbacks: Vec::new(),
        deadline: DEADLINE,
        rerelay_after: Duration::from_millis(100),
    }
}

#[test]
#[should_panic(expected = "the coordinator of a put is a replica of its key")]
fn a_stranger_cannot_coordinate() {
    drop(PutMachine::admit(plan("eu=(e1 e2)", "x")));
}

#[test]
#[should_panic(expected = "a coordinator can reach its own replica")]
fn a_coordinator_is_alive() {
    drop(PutMachine::admit(plan("eu=(e1! e2)", "e1")));
}

#[test]
#[should_panic(expected = "a put mints one dot")]
fn a_put_mints_once() {
    let mut machine = PutMachine::admit(plan("eu=(e1 e2)", "e1")).unwrap();
    machine.handle(MonoTime::ZERO, PutInput::Minted, &mut Vec::new());
    machine.handle(MonoTime::ZERO, PutInput::Minted, &mut Vec::new());
}
