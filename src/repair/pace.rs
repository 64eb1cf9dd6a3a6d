//! How long mending rests, as far as requests ask for it: by what it works, not by how far away the peer is.
//!
//! 1. A step begins, and remembers how long this node has waited for the peer so far.
//! 2. Each question adds its round trip, and each rest adds itself.
//! 3. What the step took without either is its work, here and at the peer.
//!
//! Two exchanges with one peer at the same time take each other's waiting for their own: they rest less than they might.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::time::MonoTime;

use super::Repair;

/// How long this node has waited, by peer.
pub(super) struct Waits {
    nanos: Box<[AtomicU64]>,
}

/// A step that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    peer: NodeIndex,
    began: MonoTime,
    waited: Duration,
}

impl Waits {
    pub(super) fn new(nodes: usize) -> Self {
        Self { nanos: (0..nodes).map(|_| AtomicU64::new(0)).collect() }
    }

    fn add(&self, peer: NodeIndex, waited: Duration) {
        if let Some(nanos) = self.nanos.get(usize::from(peer.0)) {
            let waited = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
            nanos.fetch_add(waited, Ordering::Relaxed);
        }
    }

    fn of(&self, peer: NodeIndex) -> Duration {
        let nanos = self.nanos.get(usize::from(peer.0));
        Duration::from_nanos(nanos.map_or(0, |nanos| nanos.load(Ordering::Relaxed)))
    }
}

impl Step {
    fn worked(&self, now: MonoTime, waited: Duration) -> Duration {
        now.since(self.began).saturating_sub(waited.saturating_sub(self.waited))
    }
}

impl Repair {
    /// A step with `peer` begins now.
    pub(super) fn step(&self, peer: NodeIndex) -> Step {
        Step { peer, began: self.parts.env.mono(), waited: self.parts.waits.of(peer) }
    }

    /// `peer` was asked at `began` and has answered.
    pub(super) fn note_answer(&self, peer: NodeIndex, began: MonoTime) {
        let took = self.parts.env.mono().since(began);
        let travelled = self.parts.peers.rtt(peer).unwrap_or_default();
        self.parts.waits.add(peer, took.min(travelled));
    }

    /// Ends a step: lets requests go before the next one.
    pub(super) async fn rest_after(&self, step: Step) {
        let now = self.parts.env.mono();
        let worked = step.worked(now, self.parts.waits.of(step.peer));
        let rest = self.parts.replica.rest_after(worked);
        self.parts.waits.add(step.peer, rest);
        self.parts.env.sleep(rest).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_round_trip_nor_a_rest_is_work() {
        let (waits, peer) = (Waits::new(3), NodeIndex(2));
        waits.add(peer, Duration::from_secs(7));
        let began = MonoTime::ZERO.after(Duration::from_secs(1));
        let step = Step { peer, began, waited: waits.of(peer) };
        let later = began.after(Duration::from_millis(100));
        assert_eq!(step.worked(later, waits.of(peer)), Duration::from_millis(100));
        waits.add(peer, Duration::from_millis(80));
        waits.add(NodeIndex(1), Duration::from_millis(15));
        assert_eq!(step.worked(later, waits.of(peer)), Duration::from_millis(20));
        waits.add(peer, Duration::from_secs(1));
        assert_eq!(step.worked(later, waits.of(peer)), Duration::ZERO, "another exchange waited");
        waits.add(NodeIndex(9), Duration::from_secs(1));
        assert_eq!(waits.of(NodeIndex(9)), Duration::ZERO, "no such node");
    }
}
