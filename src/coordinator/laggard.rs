//! The one replica of a datacenter that answers much later than its neighbours.
//!
//! A machine that runs at a hundredth of its speed is not down: it acknowledges, late. It keeps receiving every write, and is
//! asked last, relays last, and is not waited for where others do. As soon as its round trips are those of its neighbours
//! again, so is its rank.
//!
//! Invariant: at most one replica of a datacenter lags. Where all are slow, nobody is.
//!
//! Source: Huang et al., "Gray Failure: The Achilles' Heel of Cloud-Scale Systems", HotOS 2017: what counts is how peers
//! see a node, compared with others.

use std::time::Duration;

use atoll_protocol::ids::{DcIndex, NodeIndex};

/// A laggard's round trips are so many times as long as the next slowest's, and longer by a scheduling hiccup.
const TIMES: u32 = 3;

/// A scheduling hiccup.
const HICCUP: Duration = Duration::from_millis(20);

/// The laggards among `nodes`, each with its datacenter and its smoothed round-trip time, if it is connected.
pub(super) fn laggards(nodes: &[(NodeIndex, DcIndex, Option<Duration>)]) -> Vec<NodeIndex> {
    let mut dcs: Vec<DcIndex> = nodes.iter().map(|(_, dc, _)| *dc).collect();
    dcs.sort_unstable();
    dcs.dedup();
    dcs.into_iter().filter_map(|dc| laggard(nodes, dc)).collect()
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
            assert_eq!(laggards(&nodes), wanted, "{rtts:?}");
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
}
