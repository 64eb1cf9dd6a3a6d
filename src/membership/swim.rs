//! One pool of SWIM (Das et al., 2002): foca, its settings, and what it does not do by itself.
//!
//! foca probes one member after the other, asks others to probe whoever does not answer, suspects whoever they do not
//! reach either, and spreads what it learns with every packet. Added here:
//!
//! 1. Every node of the topology is a member from the beginning: detection adds and removes nobody.
//! 2. A packet counts only if its sender is who the certificate of its link names.
//! 3. Whoever is known under a greater generation than its own takes the next one, and joins again.
//! 4. A suspect can be told directly: gossip ends after a few packets, and may never have reached it.
//!
//! Invariants
//! - No I/O, no clock; what foca wants done is left in the [`Runtime`] of the caller.

use std::num::{NonZeroU8, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::wire::{DATAGRAM_HEADER_BYTES, Datagram, Pool};
use atoll_quic::DATAGRAM_BYTES_MAX;
use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::{BufMut, Bytes, BytesMut};
use foca::{
    AccumulatingRuntime, Codec, Config, Foca, Header, Message, NoCustomBroadcast, State, Timer,
};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::SeedableRng;

use super::codec::SwimCodec;
use super::member::Member;

/// What foca wants done.
pub(super) type Runtime = AccumulatingRuntime<Member>;

/// Members that are asked to probe one that did not answer.
const INDIRECT_PROBES: NonZeroUsize = NonZeroUsize::new(3).expect("it is 3");

/// Packets that carry one piece of news: to three members at a time, two rounds and more in a pool of a few nodes.
const TRANSMISSIONS_MAX: NonZeroU8 = NonZeroU8::new(8).expect("it is 8");

/// Longest packet.
const PACKET_BYTES_MAX: NonZeroUsize =
    NonZeroUsize::new(DATAGRAM_BYTES_MAX - DATAGRAM_HEADER_BYTES).expect("a datagram has a header");

/// How patient a pool is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// Between two probes, of different members.
    probe_period: Duration,
    /// Until others are asked to probe.
    probe_rtt: Duration,
    /// Until a suspect that has not contradicted is down.
    suspicion: Duration,
    /// Between two rounds of gossip while there is news.
    pub(super) gossip: Duration,
}

/// Within a datacenter: probed by somebody within a second (0.5), suspected at the end of that probe (0.5), down after 2 s,
/// which everybody knows 0.5 s later: 3.5 s, of 5 s that are promised. A round trip takes a millisecond; the rest of the
/// 200 ms is for busy machines.
const LAN: Timing = Timing {
    probe_period: Duration::from_millis(500),
    probe_rtt: Duration::from_millis(200),
    suspicion: Duration::from_secs(2),
    gossip: Duration::from_millis(200),
};

/// Between datacenters: 1.5 + 1.5 + 4 + 1 s = 8 s, of 15 s that are promised. A round trip of 300 ms twice over is 600 ms
/// for the direct probe, and the indirect one, which takes two of them, has 900 ms.
const WAN: Timing = Timing {
    probe_period: Duration::from_millis(1_500),
    probe_rtt: Duration::from_millis(600),
    suspicion: Duration::from_secs(4),
    gossip: Duration::from_millis(500),
};

/// A pool as one of its members sees it.
pub(super) struct Swim {
    pool: Pool,
    codec: SwimCodec,
    foca: Foca<Member, SwimCodec, Pcg64, NoCustomBroadcast>,
    /// How everybody stands, by node: foca's list is in no order.
    standings: Vec<Option<Standing>>,
}

/// How a member stands in a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) member: Member,
    pub(super) incarnation: u16,
    pub(super) state: State,
}

impl Swim {
    /// The pool of `nodes` as `own` sees it, with everybody in it unmet and taken for alive.
    pub(super) fn new(pool: Pool, own: Member, nodes: Arc<[bool]>, seed: u64) -> Self {
        let standings = vec![None; nodes.len()];
        let codec = SwimCodec::new(nodes);
        let rng = Pcg64::seed_from_u64(seed);
        let foca = Foca::new(own, config(pool), rng, codec.clone());
        Self { pool, codec, foca, standings }
    }

    /// Lets probing begin.
    pub(super) fn begin(&mut self, out: &mut Runtime) {
        let own = self.foca.identity().node;
        let others = self.codec.nodes().filter(|&node| node != own);
        let unmet = others.map(|node| foca::Member::alive(Member::unmet(node)));
        note(self.foca.apply_many(unmet, false, out));
    }

    /// How patient it is.
    pub(super) fn timing(&self) -> Timing {
        timing(self.pool)
    }

    /// Whether `node` is of this pool.
    pub(super) fn has(&self, node: NodeIndex) -> bool {
        self.codec.has(node)
    }

    /// Takes a packet of `from`, who knows this node under generation `known`.
    pub(super) fn handle_packet(
        &mut self,
        (from, known): (NodeIndex, u64),
        packet: &[u8],
        out: &mut Runtime,
    ) {
        let sender = self.codec.peek(packet).map(|header| header.src.node);
        if !sender.as_ref().is_ok_and(|sender| *sender == from) {
            tracing::debug!(?from, ?sender, "packet of failure detection dropped");
            return;
        }
        self.outgrow(known, out);
        note(self.foca.handle_data(packet, out));
    }

    /// Takes the generation after `known`, if that is ahead of the own one: it is of an earlier life, or clocks were set back.
    fn outgrow(&mut self, known: u64, out: &mut Runtime) {
        let own = *self.foca.identity();
        if known <= own.generation || seeded_bug(Mutant::GenerationNotOutgrown) {
            return;
        }
        if let Some(next) = (Member { generation: known, ..own }).next() {
            note(self.foca.change_identity(next, &mut *out));
            foca::Runtime::notify(out, foca::Notification::Rejoin(&next));
        }
    }

    /// Hands back what [`Runtime`] was asked to hand back.
    pub(super) fn fire(&mut self, timer: Timer<Member>, out: &mut Runtime) {
        note(self.foca.handle_timer(timer, out));
    }

    /// Tells `node` that this one is there, and asks who else is.
    pub(super) fn announce(&mut self, node: NodeIndex, out: &mut Runtime) {
        let known = self.standing(node).map_or(Member::unmet(node), |standing| standing.member);
        note(self.foca.announce(known, out));
    }

    /// Spreads news to a few members.
    pub(super) fn gossip(&mut self, out: &mut Runtime) {
        note(self.foca.gossip(out));
    }

    /// Whether there is news to spread.
    pub(super) fn has_news(&self) -> bool {
        self.foca.updates_backlog() > 0
    }

    /// Tells a suspect that it is one, so that it can contradict.
    pub(super) fn confront(&self, suspect: Standing, out: &mut Runtime) {
        let header = Header {
            src: *self.foca.identity(),
            // What it knows of us already is no less.
            src_incarnation: 0,
            dst: suspect.member,
            message: Message::Gossip,
        };
        let update = foca::Member::new(suspect.member, suspect.incarnation, State::Suspect);
        let (mut codec, mut packet) = (self.codec.clone(), BytesMut::new());
        let written = codec.encode_header(&header, &mut packet).and_then(|()| {
            packet.put_u16(1);
            codec.encode_member(&update, &mut packet)
        });
        match written {
            Ok(()) => foca::Runtime::send_to(out, suspect.member, &packet),
            Err(error) => tracing::error!(%error, "a suspect cannot be told"),
        }
    }

    /// How `node` stands.
    pub(super) fn standing(&self, node: NodeIndex) -> Option<Standing> {
        self.standings.get(usize::from(node.0)).copied().flatten()
    }

    /// Takes down how everybody stands; after every deed.
    pub(super) fn take_stock(&mut self) {
        for known in self.foca.iter_membership_state() {
            let (member, incarnation, state) = (*known.id(), known.incarnation(), known.state());
            if let Some(standing) = self.standings.get_mut(usize::from(member.node.0)) {
                *standing = Some(Standing { member, incarnation, state });
            }
        }
    }

    /// What is sent to `to`, from what foca wants sent.
    pub(super) fn datagram(&self, to: NodeIndex, packet: Bytes) -> Datagram {
        let known = self.standing(to).map_or(0, |standing| standing.member.generation);
        Datagram { pool: self.pool, known, packet }
    }
}

fn timing(pool: Pool) -> Timing {
    match pool {
        Pool::Lan => LAN,
        Pool::Wan => WAN,
    }
}

fn config(pool: Pool) -> Config {
    let timing = timing(pool);
    Config {
        probe_period: timing.probe_period,
        probe_rtt: timing.probe_rtt,
        num_indirect_probes: INDIRECT_PROBES,
        max_transmissions: TRANSMISSIONS_MAX,
        suspect_to_down_after: timing.suspicion,
        // Members are the nodes of the topology: as many as there are, for ever.
        remove_down_after: None,
        max_packet_size: PACKET_BYTES_MAX,
        notify_down_members: true,
        // What these would do at a fixed rate, the detector does when there is a reason.
        periodic_announce: None,
        periodic_announce_to_down_members: None,
        periodic_gossip: None,
    }
}

/// foca goes on after every error that it returns.
fn note(result: Result<(), foca::Error>) {
    if let Err(error) = result {
        tracing::debug!(%error, "failure detection");
    }
}
