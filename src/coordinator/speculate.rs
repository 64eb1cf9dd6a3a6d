//! When a get should speculate, and whether it may.
//!
//! 1. A peer is overdue after the time in which it answers 99 of 100 reads. While too few of its reads are known, it gets
//!    the patience of a put.
//! 2. A speculative read is paid from the budget ([`HedgeBudget`](super::budget::HedgeBudget)).
//! 3. A peer that has said nothing at all for its patience, not even about other things, is not slow but gone: the read
//!    that replaces it is not speculation, and costs nothing.

use std::time::Duration;

use atoll_protocol::get::{GetInput, first_asked};
use atoll_protocol::ids::NodeIndex;
use atoll_protocol::put::Replica as ReplicaSlot;
use atoll_protocol::quorum::QuorumSpec;
use atoll_protocol::time::MonoTime;

use super::Coordinator;
use super::budget::Paid;
use super::running_get::Asked;

/// A get waits so long at least before it speculates: timers and schedulers are no finer.
const HEDGE_AFTER_MIN: Duration = Duration::from_millis(1);

impl Coordinator {
    /// How long a get waits for the replicas that it asks first; at most half of what is left.
    pub(super) fn hedge_after(
        &self,
        spec: &QuorumSpec,
        replicas: &[ReplicaSlot],
        deadline: MonoTime,
    ) -> Duration {
        let own = self.parts.cluster.own();
        let asked = first_asked(spec, replicas).into_iter().filter(|node| *node != own);
        let known: Option<Vec<_>> = asked.map(|node| self.parts.peers.read_p99(node)).collect();
        let Some(slowest) = known.and_then(|known| known.into_iter().max()) else {
            return self.patience(replicas, &self.laggards(replicas), deadline);
        };
        let half = deadline.since(self.parts.env.mono()) / 2;
        slowest.max(HEDGE_AFTER_MIN).min(half)
    }

    /// Whether so many further replicas may be read beside those that are overdue, which were asked at the given times.
    pub(super) fn may_speculate(
        &self,
        overdue: &[NodeIndex],
        asked: &[Asked],
        reads: u16,
    ) -> Option<GetInput> {
        let gone = asked
            .iter()
            .filter(|asked| overdue.contains(&asked.node))
            .filter(|asked| self.is_silent(asked.node, asked.since));
        let replaced = u64::try_from(gone.count()).unwrap_or(0).min(reads.into());
        let charged = u64::from(reads) - replaced;
        let counters = &self.parts.counters;
        match self.parts.hedges.pay(charged) {
            Paid::InFull => {
                Self::add(&counters.speculated, charged);
                Self::add(&counters.replaced, replaced);
                Some(GetInput::Granted)
            }
            Paid::Nothing => {
                Self::count(&counters.refused);
                None
            }
        }
    }

    /// True if `node` has not said anything since it was asked, for longer than anybody is waited for.
    fn is_silent(&self, node: NodeIndex, asked: MonoTime) -> bool {
        let peers = &self.parts.peers;
        let waited = self.parts.env.mono().since(asked);
        peers.last_heard(node) <= asked && waited > Self::patience_with(peers.rtt(node))
    }
}
