//! The detector alone: a few of them in one thread, a network of queues, and time that is a number.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use atoll_protocol::ids::{DcIndex, NodeIndex};
use atoll_protocol::time::{MonoTime, WallTime};
use atoll_protocol::wire::{Datagram, Pool, SuspicionState};
use bytes::Bytes;
use proptest::prelude::*;

use super::detector::{Detector, Effect, Input, Place};
use super::suspicion::Suspicions;
use crate::net::{Judgement, Sense};

/// One step of time, and how long every datagram takes.
const STEP: Duration = Duration::from_millis(10);

/// How often a node is heard over links and testifies.
const GOSSIP_STEPS: u64 = 100;

/// Some detectors and the network between them.
struct Cluster {
    now: MonoTime,
    place: Vec<DcIndex>,
    nodes: BTreeMap<NodeIndex, Node>,
    /// Directions that let nothing through.
    cuts: BTreeSet<(NodeIndex, NodeIndex)>,
    flying: Vec<(NodeIndex, NodeIndex, Bytes)>,
    steps: u64,
    wall: u64,
}

struct Node {
    detector: Detector,
    seen: Suspicions,
    judged: BTreeMap<NodeIndex, Judgement>,
    heard: BTreeMap<NodeIndex, MonoTime>,
    is_paused: bool,
}

fn index(node: u16) -> NodeIndex {
    NodeIndex(node)
}

impl Cluster {
    /// Datacenters of so many nodes, all of them started and linked.
    fn start(dcs: &[u16]) -> Self {
        let place: Vec<DcIndex> = (0..)
            .zip(dcs)
            .flat_map(|(dc, count)| std::iter::repeat_n(DcIndex(dc), usize::from(*count)))
            .collect();
        let mut cluster = Self {
            now: MonoTime::from_nanos(1),
            place,
            nodes: BTreeMap::new(),
            cuts: BTreeSet::new(),
            flying: Vec::new(),
            steps: 0,
            wall: 1_000_000,
        };
        for node in 0..u16::try_from(cluster.place.len()).unwrap() {
            cluster.boot(index(node));
        }
        cluster.run(Duration::from_secs(3));
        cluster
    }

    /// Starts a node and links it with all others.
    fn boot(&mut self, node: NodeIndex) {
        let place = Place { own: node, dcs: self.place.clone() };
        let mut seed = u64::from(node.0) * 1_000;
        self.wall += 1_000;
        let times = (self.now, WallTime::from_micros(self.wall));
        let detector = Detector::new(&place, times, || {
            seed += 1;
            seed
        });
        let (seen, judged) = (Suspicions::default(), BTreeMap::new());
        let new = Node { detector, seen, judged, heard: BTreeMap::new(), is_paused: false };
        self.nodes.insert(node, new);
        let others: Vec<NodeIndex> =
            self.nodes.keys().copied().filter(|other| *other != node).collect();
        for other in others {
            self.link(node, other);
        }
    }

    /// Two nodes make a link.
    fn link(&mut self, a: NodeIndex, b: NodeIndex) {
        for (here, there) in [(a, b), (b, a)] {
            let now = self.now;
            let node = self.nodes.get_mut(&here).unwrap();
            node.heard.insert(there, now);
            node.judged.remove(&there);
            self.feed(here, Input::Greeted(there));
        }
    }

    fn kill(&mut self, node: u16) {
        self.nodes.remove(&index(node));
    }

    fn cut(&mut self, from: u16, to: u16) {
        self.cuts.insert((index(from), index(to)));
    }

    fn cut_both(&mut self, a: u16, b: u16) {
        self.cut(a, b);
        self.cut(b, a);
    }

    fn feed(&mut self, node: NodeIndex, input: Input) {
        let now = self.now;
        let Some(here) = self.nodes.get_mut(&node) else { return };
        let mut effects = Vec::new();
        here.detector.guard(now);
        here.detector.handle(now, input, &mut effects);
        self.carry_out(node, effects);
    }

    fn carry_out(&mut self, node: NodeIndex, effects: Vec<Effect>) {
        for effect in effects {
            let here = self.nodes.get_mut(&node).unwrap();
            match effect {
                Effect::Send { to, datagram } => self.flying.push((node, to, datagram)),
                Effect::Judge { node, judgement } => {
                    here.judged.insert(node, judgement);
                }
                Effect::Publish(suspicions) => here.seen = (*suspicions).clone(),
            }
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now.after(span);
        while self.now < end {
            self.step();
        }
    }

    fn step(&mut self) {
        self.now = self.now.after(STEP);
        self.steps += 1;
        for (from, to, bytes) in std::mem::take(&mut self.flying) {
            self.arrive(from, to, Some(bytes));
        }
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            let now = self.now;
            let is_reachable = self.reachable(node);
            let here = self.nodes.get_mut(&node).unwrap();
            if here.is_paused {
                continue;
            }
            let mut effects = Vec::new();
            if here.detector.wake_at() <= now {
                here.detector.guard(now);
                let heard = here.heard.clone();
                let sense = |other| Sense {
                    is_linked: is_reachable.contains(&other),
                    heard: heard.get(&other).copied().unwrap_or(MonoTime::ZERO),
                };
                here.detector.wake(now, sense, &mut effects);
            }
            self.carry_out(node, effects);
            if (self.steps + u64::from(node.0)).is_multiple_of(GOSSIP_STEPS) {
                self.gossip(node);
            }
        }
    }

    /// Nodes with which a link would stay open.
    fn reachable(&self, node: NodeIndex) -> BTreeSet<NodeIndex> {
        let is_open = |other: &NodeIndex| {
            !self.cuts.contains(&(node, *other)) && !self.cuts.contains(&(*other, node))
        };
        self.nodes.keys().copied().filter(is_open).collect()
    }

    fn gossip(&mut self, node: NodeIndex) {
        let silent = self.nodes[&node].seen.silent.clone();
        for other in self.nodes.keys().copied().collect::<Vec<_>>() {
            if other != node && self.arrive(node, other, None) {
                self.feed(other, Input::Testimony { from: node, silent: silent.clone() });
            }
        }
    }

    fn arrive(&mut self, from: NodeIndex, to: NodeIndex, datagram: Option<Bytes>) -> bool {
        let now = self.now;
        if self.cuts.contains(&(from, to)) {
            return false;
        }
        let Some(there) = self.nodes.get_mut(&to).filter(|there| !there.is_paused) else {
            return false;
        };
        there.heard.insert(from, now);
        if let Some(bytes) = datagram {
            self.feed(to, Input::Datagram { from, bytes });
        }
        true
    }

    /// What `node` believes of `other`.
    fn opinion(&self, node: u16, other: u16) -> Option<SuspicionState> {
        self.nodes[&index(node)].seen.of(index(other)).map(|suspicion| suspicion.state)
    }

    /// Nobody has anything against anybody.
    fn is_whole(&self) -> bool {
        self.nodes.values().all(|node| {
            node.seen == Suspicions::default()
                && node.judged.values().all(|judgement| *judgement == Judgement::Trusted)
        })
    }

    /// How long it takes until every other node has convicted `victim`.
    fn convicted_after(&mut self, victim: u16, within: Duration) -> Duration {
        let began = self.now;
        while self.now.since(began) < within {
            let all = self.nodes.keys().filter(|node| **node != index(victim));
            let convicted = Some(SuspicionState::Convicted);
            if all.clone().all(|node| self.opinion(node.0, victim) == convicted) {
                return self.now.since(began);
            }
            self.step();
        }
        panic!("{:#?}", self.nodes.values().map(|node| &node.seen).collect::<Vec<_>>());
    }
}

const CONVICTED: Option<SuspicionState> = Some(SuspicionState::Convicted);
const SUSPECT: Option<SuspicionState> = Some(SuspicionState::Suspect);

#[test]
fn who_starts_becomes_a_member_everywhere() {
    assert!(Cluster::start(&[3, 2]).is_whole());
    assert!(Cluster::start(&[1]).is_whole());
    assert!(Cluster::start(&[1, 1, 1]).is_whole());
}

#[test]
fn a_dead_node_is_convicted_in_time_and_comes_back_with_its_next_life() {
    let mut cluster = Cluster::start(&[3]);
    cluster.kill(2);
    let took = cluster.convicted_after(2, Duration::from_secs(5));
    assert!(took > Duration::from_secs(2), "{took:?}");
    assert_eq!(cluster.nodes[&index(0)].judged[&index(2)], Judgement::Convicted);
    let observers = &cluster.nodes[&index(0)].seen.of(index(2)).unwrap().observers;
    assert_eq!(*observers, [index(0), index(1)]);
    cluster.boot(index(2));
    assert_ne!(cluster.opinion(0, 2), CONVICTED, "its word overrules the conviction at once");
    cluster.run(Duration::from_secs(3));
    assert!(cluster.is_whole());
}

#[test]
fn another_datacenter_learns_it_in_time_too() {
    let mut cluster = Cluster::start(&[3, 3]);
    cluster.kill(4);
    let took = cluster.convicted_after(4, Duration::from_secs(15));
    assert!(took > Duration::from_secs(4), "{took:?}");
}

#[test]
fn a_whole_datacenter_is_convicted() {
    let mut cluster = Cluster::start(&[3, 3]);
    (3..6).for_each(|node| cluster.kill(node));
    for node in 3..6 {
        cluster.convicted_after(node, Duration::from_secs(20));
    }
}

#[test]
fn one_way_between_two_nodes_is_seen_and_convicts_nobody() {
    let mut cluster = Cluster::start(&[3]);
    cluster.cut(1, 0);
    cluster.run(Duration::from_secs(60));
    assert_eq!(cluster.opinion(0, 1), SUSPECT);
    let seen_by = |node: u16| cluster.nodes[&index(node)].seen.of(index(1)).cloned();
    assert_eq!(seen_by(0).unwrap().observers, [index(0)]);
    assert_eq!(seen_by(2).unwrap().observers, [index(0)], "the third knows who");
    // Whoever reaches it goes on asking it first.
    assert_eq!(cluster.nodes[&index(2)].judged.get(&index(1)), None);
    cluster.cuts.clear();
    cluster.link(index(0), index(1));
    cluster.run(Duration::from_secs(5));
    assert!(cluster.is_whole());
}

#[test]
fn who_hears_nobody_convicts_nobody_and_is_convicted() {
    let mut cluster = Cluster::start(&[4]);
    (1..4).for_each(|other| cluster.cut_both(0, other));
    cluster.run(Duration::from_secs(20));
    assert_eq!([1, 2, 3].map(|other| cluster.opinion(0, other)), [SUSPECT; 3]);
    assert_eq!([1, 2, 3].map(|other| cluster.opinion(other, 0)), [CONVICTED; 3]);
    cluster.cuts.clear();
    (1..4).for_each(|other| cluster.link(index(0), index(other)));
    cluster.run(Duration::from_secs(5));
    let outlook: Vec<_> = cluster.nodes.values().map(|node| node.seen.clone()).collect();
    assert!(outlook.iter().all(|seen| *seen == Suspicions::default()), "{outlook:#?}");
}

#[test]
fn of_two_nodes_the_other_one_has_to_do() {
    let mut cluster = Cluster::start(&[2]);
    cluster.kill(1);
    cluster.convicted_after(1, Duration::from_secs(5));
}

#[test]
fn a_cut_that_others_do_not_see_convicts_nobody() {
    // In a pool of two nobody can probe for the other one: the other datacenter's testimony is what counts.
    let mut cluster = Cluster::start(&[2, 2]);
    cluster.cut_both(0, 1);
    cluster.run(Duration::from_secs(60));
    assert_eq!((cluster.opinion(0, 1), cluster.opinion(1, 0)), (SUSPECT, SUSPECT));
    assert_eq!((cluster.opinion(2, 1), cluster.opinion(3, 0)), (SUSPECT, SUSPECT), "they know");
    cluster.cuts.clear();
    cluster.link(index(0), index(1));
    cluster.run(Duration::from_secs(5));
    assert!(cluster.is_whole(), "{:#?}", cluster.nodes[&index(0)].seen);
}

#[test]
fn a_suspicion_does_not_outlive_its_cause_though_who_began_it_dies() {
    let mut cluster = Cluster::start(&[4]);
    // Node 3 answers nobody until the first has told everybody of its suspicion; then that one dies.
    (0..3).for_each(|other| cluster.cut(3, other));
    let everybody_knows = |cluster: &Cluster| {
        let suspects = |node: u16| cluster.nodes[&index(node)].judged.get(&index(3)).copied();
        [0, 1, 2].into_iter().all(|node| suspects(node) == Some(Judgement::Suspect))
    };
    while !everybody_knows(&cluster) {
        cluster.step();
    }
    cluster.cuts.clear();
    cluster.kill(0);
    cluster.run(Duration::from_secs(8));
    assert_eq!((cluster.opinion(1, 3), cluster.opinion(2, 3)), (None, None));
    cluster.convicted_after(0, Duration::from_secs(1));
}

#[test]
fn who_stood_still_judges_nobody_and_returns() {
    let mut cluster = Cluster::start(&[3]);
    cluster.nodes.get_mut(&index(0)).unwrap().is_paused = true;
    cluster.convicted_after(0, Duration::from_secs(6));
    cluster.run(Duration::from_secs(10));
    cluster.nodes.get_mut(&index(0)).unwrap().is_paused = false;
    // It hears the others again a second later.
    let end = cluster.now.after(Duration::from_secs(10));
    while cluster.now < end {
        cluster.step();
        let seen = &cluster.nodes[&index(0)].seen;
        assert!(seen.silent.is_empty() && seen.suspicions.is_empty(), "{seen:?}");
    }
    let seen: Vec<_> = cluster.nodes.values().map(|node| node.seen.clone()).collect();
    assert!(seen.iter().all(|seen| *seen == Suspicions::default()), "{seen:#?}");
}

#[test]
fn a_clock_that_was_set_back_keeps_nobody_out() {
    let mut cluster = Cluster::start(&[3, 1]);
    cluster.kill(1);
    cluster.convicted_after(1, Duration::from_secs(15));
    cluster.wall = 5;
    cluster.boot(index(1));
    cluster.run(Duration::from_secs(3));
    let seen: Vec<_> = cluster.nodes.values().map(|node| node.seen.clone()).collect();
    assert!(seen.iter().all(|seen| *seen == Suspicions::default()), "{seen:#?}");
}

fn packets() -> impl Strategy<Value = Bytes> {
    let pool = prop_oneof![Just(Pool::Lan), Just(Pool::Wan)];
    let framed = (pool, any::<u64>(), any::<Vec<u8>>())
        .prop_map(|(pool, known, packet)| Datagram { pool, known, packet: packet.into() }.encode());
    prop_oneof![any::<Vec<u8>>().prop_map(Bytes::from), framed]
}

proptest! {
    #[test]
    fn no_datagram_panics(datagrams in prop::collection::vec(packets(), 1..20)) {
        let mut cluster = Cluster::start(&[2, 1]);
        for bytes in datagrams {
            cluster.feed(index(0), Input::Datagram { from: index(1), bytes });
        }
        cluster.run(Duration::from_secs(1));
    }

    /// Datagrams as they are sent, with bytes of them changed, by nodes that are who they say or not.
    #[test]
    fn no_damaged_datagram_panics(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u16), 1..60),
    ) {
        let mut cluster = Cluster::start(&[2, 1]);
        let mut damage = damage.into_iter();
        for _ in 0..400 {
            cluster.step();
            let Some((from, _, bytes)) = cluster.flying.first().cloned() else { continue };
            let Some((at, byte, to)) = damage.next() else { break };
            let mut bytes = bytes.to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
            cluster.feed(index(to), Input::Datagram { from, bytes: bytes.into() });
        }
        cluster.run(Duration::from_secs(1));
    }
}
