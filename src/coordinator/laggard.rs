//! The one replica of a datacenter that answers much later than its neighbours.
//!
//! A machine that runs at a hundredth of its speed is not down: it acknowledges, late. It keeps receiving every write, and is
//! asked last, relays last, and is not waited for where others do. Once its round trips are those of its neighbours again, it is
//! on probation: it gets its rank back when they have been so for a while.
//!
//! Invariant: at most one replica of a datacenter lags. Where all are slow, nobody is.
//!
//! Source: Huang et al., "Gray Failure: The Achilles' Heel of Cloud-Scale Systems", HotOS 2017: what counts is how peers
//! see a node, compared with others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atoll_protocol::ids::{DcIndex, NodeIndex};
use atoll_protocol::time::MonoTime;

/// A laggard's round trips are so many times as long as the next slowest's, and longer by a scheduling hiccup.
const TIMES: u32 = 3;

/// A scheduling hiccup.
const HICCUP: Duration = Duration::from_millis(20);

/// So long a laggard stays one after its round trips were last too long: a machine that is starved is quick now and then.
const PROBATION: Duration = Duration::from_secs(10);

/// Nobody was ever found lagging.
const NEVER: u64 = 0;

/// When each node was last found lagging.
#[derive(Debug)]
pub(super) struct Laggards {
    /// Nanoseconds of the monotonic clock, by node.
    found: Box<[AtomicU64]>,
}

impl Laggards {
    /// Nobody lags, of so many nodes.
    pub(super) fn new(nodes: usize) -> Self {
        Self { found: (0..nodes).map(|_| AtomicU64::new(NEVER)).collect() }
    }

    /// The laggards among `nodes` at `now`, each with its datacenter and its smoothed round-trip time, if it is connected.
    pub(super) fn among(
        &self,
        nodes: &[(NodeIndex, DcIndex, Option<Duration>)],
        now: MonoTime,
    ) -> Vec<NodeIndex> {
        let mut dcs: Vec<DcIndex> = nodes.iter().map(|(_, dc, _)| *dc).collect();
        dcs.sort_unstable();
        dcs.dedup();
        let lags = |dc| match laggard(nodes, dc) {
            Some(node) => {
                self.note(node, now);
                Some(node)
            }
            None => self.on_probation(nodes, dc, now),
        };
        dcs.into_iter().filter_map(lags).collect()
    }

    fn note(&self, node: NodeIndex, now: MonoTime) {
        if let Some(found) = self.found.get(usize::from(node.0)) {
            found.store(now.as_nanos().max(NEVER + 1), Ordering::Relaxed);
        }
    }

    /// The node of `dc` that was found lagging last, if that is not long ago.
    fn on_probation(
        &self,
        nodes: &[(NodeIndex, DcIndex, Option<Duration>)],
        dc: DcIndex,
        now: MonoTime,
    ) -> Option<NodeIndex> {
        let found =
            |node: NodeIndex| match self.found.get(usize::from(node.0))?.load(Ordering::Relaxed) {
                NEVER => None,
                at => Some(MonoTime::from_nanos(at)),
            };
        let here = nodes.iter().filter(|(_, of, _)| *of == dc);
        let (at, node) = here.filter_map(|(node, ..)| Some((found(*node)?, *node))).max()?;
        (now.since(at) < PROBATION).then_some(node)
    }
}

fn laggard(nodes: &[(NodeIndex, DcIndex, Option<Duration>)], dc: DcIndex) -> Option<NodeIndex> {
    let here = nodes.iter().filter(|(_, of, _)| *of == dc);
    let mut rtts: Vec<(Duration, NodeIndex)> =
        here.filter_map(|(node, _, rtt)| Some(((*rtt)?, *node))).collect();
    rtts.sort_unstable();
    let [.., (next, _), (slowest, node)] = rtts.as_slice() else { return None };
    (*slowest > *next * TIMES + HICCUP).then_some(*node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_datacenter_lags_behind_its_neighbours() {
        let check = |rtts: &[(u8, u64)], wanted: &[u16]| {
            let node = |(at, &(dc, millis)): (usize, &(u8, u64))| {
                let rtt = (millis > 0).then(|| Duration::from_millis(millis));
                (NodeIndex(u16::try_from(at).unwrap()), DcIndex(dc), rtt)
            };
            let nodes: Vec<_> = rtts.iter().enumerate().map(node).collect();
            let wanted: Vec<_> = wanted.iter().copied().map(NodeIndex).collect();
            let laggards = Laggards::new(nodes.len());
            assert_eq!(laggards.among(&nodes, MonoTime::from_nanos(7)), wanted, "{rtts:?}");
        };
        check(&[(0, 1), (0, 1), (0, 24)], &[2]);
        check(&[(0, 1), (0, 1), (0, 23)], &[]);
        check(&[(0, 400), (0, 80), (0, 82)], &[0]);
        check(&[(0, 200), (0, 80), (0, 82)], &[]);
        // All of a datacenter are far away, or slow; of one that is alone nobody can tell.
        check(&[(0, 1), (0, 1), (1, 300), (1, 310)], &[]);
        check(&[(0, 1), (1, 900)], &[]);
        check(&[(0, 1), (0, 500), (1, 80), (1, 600)], &[1, 3]);
        // Who is not connected is no neighbour to compare with.
        check(&[(0, 0), (0, 500)], &[]);
        check(&[(0, 2), (0, 0), (0, 500)], &[2]);
    }

    #[test]
    fn a_laggard_is_on_probation_until_it_has_been_quick_for_a_while() {
        let laggards = Laggards::new(3);
        let at = |seconds| MonoTime::from_nanos(0).after(Duration::from_secs(seconds));
        let lags = |millis: [u64; 3], seconds| {
            let node = |(at, millis): (usize, &u64)| {
                let node = NodeIndex(u16::try_from(at).unwrap());
                (node, DcIndex(0), Some(Duration::from_millis(*millis)))
            };
            let nodes: Vec<_> = millis.iter().enumerate().map(node).collect();
            laggards.among(&nodes, at(seconds)).into_iter().map(|node| node.0).collect::<Vec<_>>()
        };
        assert_eq!(lags([1, 1, 1], 0), [] as [u16; 0]);
        assert_eq!(lags([1, 1, 90], 1), [2]);
        assert_eq!(lags([1, 1, 1], 5), [2]);
        assert_eq!(lags([1, 1, 90], 8), [2], "it was too early");
        assert_eq!(lags([1, 1, 1], 17), [2]);
        assert_eq!(lags([1, 90, 1], 17), [1], "there is one of a datacenter");
        assert_eq!(lags([1, 1, 1], 26), [1]);
        assert_eq!(lags([1, 1, 1], 27), [] as [u16; 0]);
    }
}
