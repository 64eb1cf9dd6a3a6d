//! The state of the network: distances, and what the nemesis does to which direction.
//!
//! Every direction between two processes has a base latency (same datacenter, or half a round trip of the WAN) and a
//! stream of chance of its own. Faults stack: a frame suffers all that are in force for its direction.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::exec::ProcessId;
use crate::prng::Prng;

/// Latency between two processes of one datacenter, in nanoseconds: from the same rack to a busy network.
const LOCAL_NANOS: (u64, u64) = (50_000, 500_000);

/// Second copies of 1 000 that may arrive very late, and how late: later than any put takes, and than deletions are purged.
const LATE_PER_MILLE: u32 = 250;
const LATE_NANOS: u64 = 12_000_000_000;

/// Jitter of a WAN path, in thousandths of its latency.
const WAN_JITTER_PER_MILLE: u64 = 50;

/// Names a fault while it is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultId(pub u64);

/// What is done to the directions from any of `from` to any of `to`.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// Senders.
    pub from: Vec<ProcessId>,
    /// Receivers.
    pub to: Vec<ProcessId>,
    /// What happens to what is sent.
    pub effect: Effect,
}

/// What happens to what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing arrives.
    Cut,
    /// It suffers.
    Degrade {
        /// Of 1 000, so many are lost.
        loss_per_mille: u32,
        /// Of 1 000, so many arrive twice.
        duplicate_per_mille: u32,
        /// Longest extra delay.
        jitter: Duration,
        /// Bytes per second that get through; 0 is unlimited.
        bytes_per_second: u64,
    },
}

/// What becomes of one frame or datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The direction is cut.
    Cut,
    /// It is lost on the way.
    Lost,
    /// It arrives after each of these delays.
    Arrives(Vec<Duration>),
}

/// The state of the network.
pub(super) struct Conditions {
    seed: u64,
    /// Datacenter of each process.
    dcs: Vec<usize>,
    rtt: Duration,
    troubles: BTreeMap<FaultId, Trouble>,
    chance: BTreeMap<(usize, usize), Prng>,
    /// When a throttled direction has sent what it was given, in nanoseconds.
    busy_until: BTreeMap<(usize, usize), u64>,
    pub(super) injected: BTreeMap<&'static str, u64>,
}

impl Conditions {
    pub(super) fn new(seed: u64, dcs: Vec<usize>, rtt: Duration) -> Self {
        Self {
            seed,
            dcs,
            rtt,
            troubles: BTreeMap::new(),
            chance: BTreeMap::new(),
            busy_until: BTreeMap::new(),
            injected: BTreeMap::new(),
        }
    }

    pub(super) fn set(&mut self, id: FaultId, trouble: Trouble) {
        self.troubles.insert(id, trouble);
    }

    pub(super) fn clear(&mut self, id: FaultId) {
        self.troubles.remove(&id);
    }

    pub(super) fn heal(&mut self) {
        self.troubles.clear();
        self.busy_until.clear();
    }

    pub(super) fn is_cut(&self, from: ProcessId, to: ProcessId) -> bool {
        self.effects(from, to).any(|effect| effect == Effect::Cut)
    }

    /// Whether what is sent this way is cut off, or loses or delays so much that nothing may be heard for seconds.
    pub(super) fn is_troubled(&self, from: ProcessId, to: ProcessId) -> bool {
        self.effects(from, to).any(|effect| match effect {
            Effect::Cut => true,
            Effect::Degrade { loss_per_mille, jitter, bytes_per_second, .. } => {
                loss_per_mille >= 300 || jitter >= Duration::from_secs(1) || bytes_per_second > 0
            }
        })
    }

    /// Smoothed round-trip time as a connection would measure it.
    pub(super) fn rtt(&self, a: ProcessId, b: ProcessId) -> Duration {
        if self.is_local(a, b) { Duration::from_micros(500) } else { self.rtt }
    }

    /// Draws what becomes of `bytes` sent now.
    pub(super) fn fate(&mut self, from: ProcessId, to: ProcessId, bytes: usize, now: u64) -> Fate {
        if self.is_cut(from, to) {
            *self.injected.entry("frame into a cut").or_default() += 1;
            return Fate::Cut;
        }
        let direction = (from.0, to.0);
        let effects: Vec<Effect> = self.effects(from, to).collect();
        let base = self.base(from, to);
        let seed = self.seed;
        let label = || format!("net/{}-{}", from.0, to.0);
        let chance = self.chance.entry(direction).or_insert_with(|| Prng::stream(seed, &label()));
        let mut delay = chance.between(base.0, base.1);
        let (mut copies, mut is_lost, mut waits) = (1, false, 0);
        for effect in effects {
            let Effect::Degrade { loss_per_mille, duplicate_per_mille, jitter, bytes_per_second } =
                effect
            else {
                continue;
            };
            is_lost |= chance.per_mille(loss_per_mille);
            copies += u64::from(chance.per_mille(duplicate_per_mille));
            delay += chance.below(u64::try_from(jitter.as_nanos()).unwrap_or(u64::MAX).max(1));
            if let Some(takes) = (bytes as u64 * 1_000_000_000).checked_div(bytes_per_second) {
                let busy = self.busy_until.entry(direction).or_default();
                *busy = (*busy).max(now) + takes;
                waits = *busy - now;
            }
        }
        if is_lost {
            *self.injected.entry("frame lost").or_default() += 1;
            return Fate::Lost;
        }
        let spread = base.1.max(1_000_000);
        let arrivals = (0..copies).map(|copy| {
            let again = match copy {
                0 => 0,
                // As late as if a socket had not been read meanwhile.
                _ if chance.per_mille(LATE_PER_MILLE) => chance.below(LATE_NANOS),
                _ => chance.below(spread * 4),
            };
            Duration::from_nanos(delay + waits + again)
        });
        let arrivals: Vec<Duration> = arrivals.collect();
        if copies > 1 {
            *self.injected.entry("frame twice").or_default() += copies - 1;
        }
        Fate::Arrives(arrivals)
    }

    fn effects(&self, from: ProcessId, to: ProcessId) -> impl Iterator<Item = Effect> + '_ {
        let concerns =
            move |trouble: &&Trouble| trouble.from.contains(&from) && trouble.to.contains(&to);
        self.troubles.values().filter(concerns).map(|trouble| trouble.effect)
    }

    fn is_local(&self, a: ProcessId, b: ProcessId) -> bool {
        self.dcs.get(a.0) == self.dcs.get(b.0)
    }

    fn base(&self, from: ProcessId, to: ProcessId) -> (u64, u64) {
        if self.is_local(from, to) {
            return LOCAL_NANOS;
        }
        let half = u64::try_from(self.rtt.as_nanos() / 2).unwrap_or(u64::MAX);
        (half, half + half * WAN_JITTER_PER_MILLE / 1_000 + LOCAL_NANOS.1)
    }
}

#[cfg(test)]
mod tests {
    use super::{Conditions, Effect, Fate, FaultId, Trouble};
    use crate::exec::ProcessId;
    use std::time::Duration;

    const A: ProcessId = ProcessId(0);
    const B: ProcessId = ProcessId(1);

    fn conditions() -> Conditions {
        Conditions::new(3, vec![0, 1], Duration::from_millis(80))
    }

    fn trouble(effect: Effect) -> Trouble {
        Trouble { from: vec![A], to: vec![B], effect }
    }

    #[test]
    fn a_cut_is_one_way_and_ends() {
        let mut net = conditions();
        net.set(FaultId(1), trouble(Effect::Cut));
        assert_eq!(net.fate(A, B, 10, 0), Fate::Cut);
        assert!(matches!(net.fate(B, A, 10, 0), Fate::Arrives(_)));
        net.clear(FaultId(1));
        let Fate::Arrives(delays) = net.fate(A, B, 10, 0) else { panic!("healed") };
        assert!(delays.iter().all(|delay| *delay >= Duration::from_millis(40)), "{delays:?}");
    }

    #[test]
    fn loss_duplication_and_throttling_take_effect() {
        let mut net = conditions();
        let degrade = Effect::Degrade {
            loss_per_mille: 500,
            duplicate_per_mille: 500,
            jitter: Duration::from_millis(100),
            bytes_per_second: 0,
        };
        net.set(FaultId(1), trouble(degrade));
        let fates: Vec<Fate> = (0..200).map(|_| net.fate(A, B, 10, 0)).collect();
        let lost = fates.iter().filter(|fate| **fate == Fate::Lost).count();
        let twice =
            fates.iter().filter(|fate| matches!(fate, Fate::Arrives(at) if at.len() == 2)).count();
        assert!(
            (60..140).contains(&lost) && (20..90).contains(&twice),
            "{lost} lost, {twice} twice"
        );
        let throttle = Effect::Degrade {
            loss_per_mille: 0,
            duplicate_per_mille: 0,
            jitter: Duration::ZERO,
            bytes_per_second: 1_000,
        };
        net.set(FaultId(1), trouble(throttle));
        let delays: Vec<Fate> = (0..3).map(|_| net.fate(A, B, 1_000, 0)).collect();
        let Some(Fate::Arrives(last)) = delays.last() else { panic!("it arrives late") };
        assert!(last.iter().all(|delay| *delay >= Duration::from_secs(3)), "{last:?}");
    }
}
