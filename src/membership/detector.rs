//! The failure detector: SWIM in two pools, and who may convict.
//!
//! Pure: the driver (`watch.rs`) brings packets, testimonies and the time, and carries out effects.
//!
//! 1. The nodes of a datacenter watch each other in its LAN pool, all nodes in the WAN pool (`swim.rs`); a node of the own
//!    datacenter is judged by the LAN pool, any other by the WAN pool.
//! 2. Whoever answers neither a probe nor those that others sent for us is suspect, and has a few seconds to contradict.
//! 3. Then it is convicted, but only if several observers do not hear it (`evidence.rs`). Until there are, the conviction
//!    is held back, and the suspect is told what is said of it.
//! 4. The first word of a convict on a new link overrules its conviction here at once. It is asked to join, learns that it was convicted,
//!    and comes back under its next generation.
//! 5. *Pause guard*: if the detector woke up more than a second late, this process stood still. Whatever should have come
//!    meanwhile says nothing about others; all timers start over, and nobody is judged for a while.
//!
//! Invariants
//! - Nobody becomes a member, or ceases to be one of the topology, by detection: it moves no data.
//! - A node that hears nobody convicts nobody, in clusters of three nodes and more.
//!
//! Source: Das et al., "SWIM", 2002; Dadgar et al., "Lifeguard", 2017, for the distrust of one's own slowness.

mod convict;
mod opinion;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::ids::{DcIndex, NodeIndex};
use atoll_protocol::time::{MonoTime, WallTime};
use atoll_protocol::wire::{Datagram, Pool};
use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;
use foca::{OwnedNotification, Timer};

use super::evidence::Evidence;
use super::member::Member;
use super::suspicion::Suspicions;
use super::swim::{Runtime, Swim};
use crate::net::{Judgement, Sense};

/// Between two looks at who is linked and who is silent.
const LOOK_PERIOD: Duration = Duration::from_millis(500);

/// Waking up so late means that this process stood still.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// How long nobody is judged after that: links that broke meanwhile are made again within a second or two.
const AMNESTY: Duration = Duration::from_secs(3);

/// What the detector learns.
#[derive(Clone, Debug)]
pub enum Input {
    /// A datagram of `from`, by the certificate of its link.
    Datagram {
        /// The sender.
        from: NodeIndex,
        /// Its bytes.
        bytes: Bytes,
    },
    /// This node has said its first word on a new link.
    Greeted(NodeIndex),
    /// Whom `from` does not hear.
    Testimony {
        /// The witness.
        from: NodeIndex,
        /// All whom it does not hear.
        silent: Vec<NodeIndex>,
    },
}

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Send a datagram; it may be lost.
    Send { to: NodeIndex, datagram: Bytes },
    /// Have requests treat the node accordingly.
    Judge { node: NodeIndex, judgement: Judgement },
    /// Publish what is believed now.
    Publish(Arc<Suspicions>),
}

/// A node's place in the cluster.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) own: NodeIndex,
    /// The datacenter of every node.
    pub(super) dcs: Vec<DcIndex>,
}

/// The failure detector of one node.
pub(super) struct Detector {
    own: NodeIndex,
    pools: BTreeMap<Pool, Swim>,
    /// By when, in the order in which they were set.
    timers: BTreeMap<(MonoTime, u64), Alarm>,
    timers_set: u64,
    evidence: Evidence,
    /// By node.
    subjects: Vec<Subject>,
    /// Convictions that wait for observers.
    held: BTreeMap<(Pool, NodeIndex), Timer<Member>>,
    published: Arc<Suspicions>,
}

/// What falls due.
#[derive(Clone, Debug)]
enum Alarm {
    Look,
    Gossip(Pool),
    Swim(Pool, Timer<Member>),
}

/// What is remembered of each node.
#[derive(Clone, Debug)]
struct Subject {
    /// The pool that judges it.
    judge: Pool,
    /// When it said its first word on a link that is open since; `None` without a link.
    greeted: Option<MonoTime>,
    /// When its pool last convicted it.
    convicted: MonoTime,
    /// What requests were told.
    judgement: Judgement,
}

impl Detector {
    /// The detector of a process that starts now, and what it begins with.
    pub(super) fn new(
        place: &Place,
        (now, wall): (MonoTime, WallTime),
        mut chance: impl FnMut() -> u64,
    ) -> Self {
        let (own, count) = (place.own, place.dcs.len());
        let own_dc = place.dcs.get(usize::from(own.0)).copied();
        let is_near: Arc<[bool]> = place.dcs.iter().map(|&dc| Some(dc) == own_dc).collect();
        let everybody: Arc<[bool]> = place.dcs.iter().map(|_| true).collect();
        let near = is_near.iter().filter(|is_near| **is_near).count();
        let mut pools = BTreeMap::new();
        let member = Member::starting(own, wall);
        if near > 1 {
            pools.insert(Pool::Lan, Swim::new(Pool::Lan, member, is_near.clone(), chance()));
        }
        if near < count {
            pools.insert(Pool::Wan, Swim::new(Pool::Wan, member, everybody, chance()));
        }
        let subject = |is_near: &bool| Subject {
            judge: if *is_near { Pool::Lan } else { Pool::Wan },
            greeted: None,
            convicted: MonoTime::ZERO,
            judgement: Judgement::Trusted,
        };
        let mut detector = Self {
            own,
            pools,
            timers: BTreeMap::new(),
            timers_set: 0,
            evidence: Evidence::new(own, count, now),
            subjects: is_near.iter().map(subject).collect(),
            held: BTreeMap::new(),
            published: Arc::default(),
        };
        detector.begin(now);
        detector
    }

    /// When it wants to be woken.
    pub(super) fn wake_at(&self) -> MonoTime {
        self.timers.first_key_value().map_or(MonoTime::ZERO, |((at, _), _)| *at)
    }

    /// Looks whether this process stood still. Comes first whenever the driver wakes up.
    pub(super) fn guard(&mut self, now: MonoTime) {
        let late = now.since(self.wake_at());
        if late <= PAUSE_MIN || seeded_bug(Mutant::PauseUnguarded) {
            return;
        }
        tracing::warn!(?late, "this process stood still: nobody is judged for {AMNESTY:?}");
        self.evidence.absolve(now.after(AMNESTY));
        let timers = std::mem::take(&mut self.timers);
        for ((at, number), alarm) in timers {
            let shifted = match alarm {
                Alarm::Look | Alarm::Gossip(_) => now,
                Alarm::Swim(..) => at.after(late).after(AMNESTY),
            };
            self.timers.insert((shifted, number), alarm);
        }
    }

    /// Takes in what was learnt.
    pub(super) fn handle(&mut self, now: MonoTime, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Datagram { from, bytes } => self.on_datagram(now, from, bytes, effects),
            Input::Greeted(node) => self.on_greeted(now, node, effects),
            Input::Testimony { from, silent } => {
                self.evidence.testify(from, &silent);
                self.try_held(now, effects);
            }
        }
        self.conclude(now, effects);
    }

    /// Does what is due; `sense` tells how each node stands.
    pub(super) fn wake(
        &mut self,
        now: MonoTime,
        sense: impl Fn(NodeIndex) -> Sense,
        effects: &mut Vec<Effect>,
    ) {
        while let Some(due) = self.timers.first_entry().filter(|due| due.key().0 <= now) {
            match due.remove() {
                Alarm::Look => self.look(now, &sense, effects),
                Alarm::Gossip(pool) => {
                    self.within(now, pool, effects, |swim, out| swim.gossip(out))
                }
                Alarm::Swim(pool, timer) => self.on_timer(now, pool, timer, effects),
            }
        }
        self.conclude(now, effects);
    }

    fn begin(&mut self, now: MonoTime) {
        self.set(now, Alarm::Look);
        let pools: Vec<Pool> = self.pools.keys().copied().collect();
        for pool in pools {
            // Nobody can be reached yet: whatever it wants to send is lost.
            self.within(now, pool, &mut Vec::new(), |swim, out| swim.begin(out));
        }
    }

    fn on_datagram(
        &mut self,
        now: MonoTime,
        from: NodeIndex,
        bytes: Bytes,
        effects: &mut Vec<Effect>,
    ) {
        match Datagram::decode(bytes) {
            Ok(Datagram { pool, known, packet }) => {
                self.within(now, pool, effects, |swim, out| {
                    swim.handle_packet((from, known), &packet, out);
                });
            }
            Err(error) => tracing::debug!(?from, %error, "datagram dropped"),
        }
    }

    fn on_greeted(&mut self, now: MonoTime, node: NodeIndex, effects: &mut Vec<Effect>) {
        let Some(subject) = self.subjects.get_mut(usize::from(node.0)) else { return };
        subject.greeted = Some(now);
        // Net has told requests already.
        subject.judgement = Judgement::Trusted;
        self.evidence.hear(node);
        for pool in [Pool::Lan, Pool::Wan] {
            self.announce(now, pool, node, effects);
        }
    }

    fn announce(&mut self, now: MonoTime, pool: Pool, node: NodeIndex, effects: &mut Vec<Effect>) {
        self.within(now, pool, effects, |swim, out| {
            if swim.has(node) {
                swim.announce(node, out);
            }
        });
    }

    /// Notes who is linked and who is silent, and asks those to join who are linked and no members.
    fn look(
        &mut self,
        now: MonoTime,
        sense: impl Fn(NodeIndex) -> Sense,
        effects: &mut Vec<Effect>,
    ) {
        self.set(now.after(LOOK_PERIOD), Alarm::Look);
        for node in self.others() {
            let sense = sense(node);
            self.evidence.listen(node, sense, now);
            let Some(subject) = self.subjects.get_mut(usize::from(node.0)) else { continue };
            if !sense.is_linked {
                subject.greeted = None;
                continue;
            }
            for pool in self.absent_from(node) {
                self.announce(now, pool, node, effects);
            }
        }
        self.try_held(now, effects);
        self.confront_suspects(now, effects);
    }

    fn on_timer(
        &mut self,
        now: MonoTime,
        pool: Pool,
        timer: Timer<Member>,
        effects: &mut Vec<Effect>,
    ) {
        let Timer::ChangeSuspectToDown { member_id, .. } = &timer else {
            return self.within(now, pool, effects, |swim, out| swim.fire(timer, out));
        };
        self.held.insert((pool, member_id.node), timer);
        self.try_held(now, effects);
    }

    /// Has a pool do something, and takes care of what it wants done then.
    fn within(
        &mut self,
        now: MonoTime,
        pool: Pool,
        effects: &mut Vec<Effect>,
        deed: impl FnOnce(&mut Swim, &mut Runtime),
    ) {
        let Some(swim) = self.pools.get_mut(&pool) else { return };
        let mut out = Runtime::new();
        deed(swim, &mut out);
        swim.take_stock();
        let mut has_returned = false;
        while let Some(news) = out.to_notify() {
            match news {
                OwnedNotification::MemberDown(member) => self.on_down(now, pool, member.node),
                OwnedNotification::Rejoin(_) => has_returned = true,
                OwnedNotification::MemberUp(_)
                | OwnedNotification::Rename(..)
                | OwnedNotification::Active
                | OwnedNotification::Idle
                | OwnedNotification::Defunct => {}
            }
        }
        while let Some((to, packet)) = out.to_send() {
            self.send(pool, to.node, packet, effects);
        }
        while let Some((span, timer)) = out.to_schedule() {
            self.set(now.after(span), Alarm::Swim(pool, timer));
        }
        self.schedule_gossip(now, pool);
        if has_returned {
            for node in self.others() {
                self.announce(now, pool, node, effects);
            }
        }
    }

    fn send(&self, pool: Pool, to: NodeIndex, packet: Bytes, effects: &mut Vec<Effect>) {
        if to == self.own {
            return;
        }
        if let Some(swim) = self.pools.get(&pool) {
            effects.push(Effect::Send { to, datagram: swim.datagram(to, packet).encode() });
        }
    }

    fn on_down(&mut self, now: MonoTime, pool: Pool, node: NodeIndex) {
        let Some(subject) = self.subjects.get_mut(usize::from(node.0)) else { return };
        if subject.judge == pool {
            subject.convicted = now;
        }
    }

    fn schedule_gossip(&mut self, now: MonoTime, pool: Pool) {
        let Some(swim) = self.pools.get(&pool) else { return };
        let is_set =
            self.timers.values().any(|alarm| matches!(alarm, Alarm::Gossip(of) if *of == pool));
        if swim.has_news() && !is_set {
            let at = now.after(swim.timing().gossip);
            self.set(at, Alarm::Gossip(pool));
        }
    }

    fn set(&mut self, at: MonoTime, alarm: Alarm) {
        self.timers_set += 1;
        self.timers.insert((at, self.timers_set), alarm);
    }

    fn others(&self) -> impl Iterator<Item = NodeIndex> + use<> {
        let (own, count) = (self.own, self.subjects.len());
        let all = (0..=u16::MAX).take(count).map(NodeIndex);
        all.filter(move |node| *node != own)
    }
}
