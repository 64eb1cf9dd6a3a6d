//! Which node to ask: a pure choice among candidates.
//!
//! 1. Sort by health, then by place, then by readiness; only the best class remains.
//! 2. Of two members drawn by chance take the one with the lower round-trip time × requests under way (power of two
//!    choices): load spreads without everybody running to the same node.
//!
//! ```text
//! health     connected, dialling or idle  <  let a request time out just now  <  last dial failed
//! place      own datacenter: replica, other node  <  other datacenters by distance: replica, other node
//! readiness  connected  <  dialling  <  idle
//! ```
//!
//! Invariants
//! - A node of another datacenter is never chosen unless the request allows it.
//! - Unless the own datacenter has nobody in good health, no other is chosen.
//!
//! Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001; the score is DESIGN §6's.

use std::time::{Duration, Instant};

use atoll_protocol::ids::{DcIndex, Name, NodeIndex};
use atoll_protocol::quorum::Level;

use crate::cluster::Snapshot;
use crate::link::Condition;
use crate::profile::DcFailover;

/// Distance of a datacenter that nothing is known about: farther than any that was measured.
const UNKNOWN_DISTANCE: Duration = Duration::from_secs(3_600);

/// Whether other datacenters may serve a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Only the own one.
    OwnDc,
    /// Any.
    AllDcs,
}

/// Where a candidate stands; the lesser is preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// In the own datacenter.
    Own(Holds),
    /// In another one, so far away.
    Other(Duration, Holds),
}

/// Whether a candidate holds the key; the lesser is preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holds {
    /// It is a replica.
    Replica,
    /// It would forward.
    Nothing,
}

/// A node that could be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) node: NodeIndex,
    pub(crate) place: Place,
    pub(crate) condition: Condition,
}

/// The key that a request is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) keyspace: &'a Name,
    pub(crate) key: &'a [u8],
}

/// Whether a request at `level` may leave the own datacenter.
pub(crate) fn reach(level: Level, failover: DcFailover) -> Reach {
    let counts_local = level.is_local() || matches!(level, Level::LocalQuorumPlus(_));
    match failover {
        DcFailover::Never if counts_local => Reach::OwnDc,
        DcFailover::Never | DcFailover::Allowed => Reach::AllDcs,
    }
}

/// Chooses a candidate; `chance` is a random number.
pub(crate) fn choose(candidates: &[Candidate], chance: u64) -> Option<NodeIndex> {
    let best = candidates.iter().map(class).min()?;
    let class_members: Vec<&Candidate> = candidates.iter().filter(|c| class(c) == best).collect();
    let count = u64::try_from(class_members.len()).ok()?;
    let draw = |number: u64, among: u64| usize::try_from(number.checked_rem(among)?).ok();
    let first_at = draw(chance, count)?;
    let first = class_members.get(first_at)?;
    let Some(step) = draw(chance >> 32, count - 1) else { return Some(first.node) };
    // A step of 1..count from the first is always another one.
    let second = class_members.get((first_at + 1 + step) % class_members.len())?;
    Some(if score(second) < score(first) { second.node } else { first.node })
}

/// The replicas of `key` in the own datacenter.
pub(crate) fn own_replicas(snapshot: &Snapshot, key: Key<'_>, now: Instant) -> Vec<Candidate> {
    let Some(own) = snapshot.own_dc() else { return Vec::new() };
    let candidate = |&node: &NodeIndex| {
        let condition = snapshot.peer(node)?.condition(now);
        Some(Candidate { node, place: Place::Own(Holds::Replica), condition })
    };
    snapshot.replicas(key.keyspace, key.key, own).iter().filter_map(candidate).collect()
}

/// Every node that may be asked. Cost: reads all nodes; the shortcut for a healthy cluster is [`own_replicas`].
pub(crate) fn everyone(
    snapshot: &Snapshot,
    key: Option<Key<'_>>,
    reach: Reach,
    now: Instant,
) -> Vec<Candidate> {
    let own = snapshot.own_dc();
    let conditions: Vec<(NodeIndex, DcIndex, Condition)> = snapshot
        .nodes()
        .filter_map(|node| Some((node, snapshot.dc_of(node)?, snapshot.peer(node)?.condition(now))))
        .filter(|(_, dc, _)| reach == Reach::AllDcs || own.is_none() || own == Some(*dc))
        .collect();
    let candidate = |&(node, dc, condition): &(NodeIndex, DcIndex, Condition)| {
        let replicas = key.map(|Key { keyspace, key }| snapshot.replicas(keyspace, key, dc));
        let holds = match replicas {
            Some(replicas) if replicas.contains(&node) => Holds::Replica,
            Some(_) | None => Holds::Nothing,
        };
        let place = match own {
            Some(own) if own == dc => Place::Own(holds),
            Some(_) | None => Place::Other(distance(snapshot, dc, &conditions), holds),
        };
        Candidate { node, place, condition }
    };
    conditions.iter().map(candidate).collect()
}

/// How far away `dc` is: what was measured, or else what the topology says of the link.
fn distance(
    snapshot: &Snapshot,
    dc: DcIndex,
    conditions: &[(NodeIndex, DcIndex, Condition)],
) -> Duration {
    let measured = conditions.iter().filter(|(_, of, _)| *of == dc);
    let measured = measured.filter_map(|(_, _, condition)| match condition {
        Condition::Up { rtt, .. } => Some(*rtt),
        Condition::Suspect | Condition::Dialing | Condition::Idle | Condition::Down => None,
    });
    let described = || snapshot.own_dc().map(|own| snapshot.topology().rtt(own, dc));
    measured.min().or_else(described).filter(|rtt| !rtt.is_zero()).unwrap_or(UNKNOWN_DISTANCE)
}

/// Health, place, readiness; the lesser is better.
fn class(candidate: &Candidate) -> (u8, Place, u8) {
    let (health, readiness) = match candidate.condition {
        Condition::Up { .. } => (0, 0),
        Condition::Dialing => (0, 1),
        Condition::Idle => (0, 2),
        Condition::Suspect => (1, 0),
        Condition::Down => (2, 0),
    };
    (health, candidate.place, readiness)
}

fn score(candidate: &Candidate) -> u128 {
    match candidate.condition {
        Condition::Up { rtt, inflight } => rtt.as_micros() * (inflight as u128 + 1),
        Condition::Suspect | Condition::Dialing | Condition::Idle | Condition::Down => 0,
    }
}

/// True if `candidates` has one in good health, so that looking further is not needed.
pub(crate) fn has_healthy(candidates: &[Candidate]) -> bool {
    candidates.iter().any(|candidate| class(candidate).0 == 0)
}
