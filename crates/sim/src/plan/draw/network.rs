//! Trouble of the network. None where there is only one node.

use crate::plan::{Fault, FaultKind};
use crate::prng::Prng;

use super::scene::{Scene, skewed};

/// Longest trouble of one link.
const LASTS_MS_MAX: u64 = 12_000;

/// 64 kbit/s: a frame of 10 KiB takes more than a second.
const CLOGGED_BYTES_PER_SECOND: u64 = 8_000;

/// One node hears nobody and nobody hears it.
pub(super) fn isolate_one(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let node = scene.node(prng);
    cut_both_ways(scene, prng, vec![node], scene.others(node))
}

/// One node is not heard any more, or hears nobody; by all the others or by one of them.
pub(super) fn one_way(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let Some((node, other)) = scene.pair(prng) else {
        return Vec::new();
    };
    let others = if prng.per_mille(500) { scene.others(node) } else { vec![other] };
    let (from, to) = if prng.per_mille(500) { (vec![node], others) } else { (others, vec![node]) };
    let at_ms = scene.begin(prng);
    let for_ms = skewed(prng, 50, LASTS_MS_MAX);
    Vec::from_iter(scene.fault(at_ms, for_ms, FaultKind::Cut { from, to }))
}

/// Two nodes do not hear each other, and everybody else hears both.
pub(super) fn partial_partition(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let Some((one, other)) = scene.pair(prng) else {
        return Vec::new();
    };
    cut_both_ways(scene, prng, vec![one], vec![other])
}

/// Two groups of any size do not hear each other.
pub(super) fn split(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let mut nodes = scene.shuffled(prng);
    let last = u64::try_from(nodes.len()).unwrap_or(0).saturating_sub(1).max(1);
    let size = usize::try_from(prng.between(1, last)).unwrap_or(1).min(nodes.len());
    let others = nodes.split_off(size);
    cut_both_ways(scene, prng, nodes, others)
}

/// A datacenter is cut off from another one, or from all of them.
pub(super) fn dc_split(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let mut ranges = scene.plan.shape.ranges();
    let here = ranges.swap_remove(prng.index(ranges.len()));
    let there: Vec<u16> = if prng.per_mille(500) {
        ranges.into_iter().flatten().collect()
    } else {
        prng.pick(&ranges).cloned().into_iter().flatten().collect()
    };
    cut_both_ways(scene, prng, here.collect(), there)
}

/// Nodes are cut off one by one and return in another order.
pub(super) fn swizzle_clog(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let cut_order = scene.shuffled(prng);
    let heal_order = scene.shuffled(prng);
    let gap_ms = prng.between(10, 600);
    let begin_ms = prng.between(0, scene.plan.safety_ms / 2);
    let size = prng.index(cut_order.len()) + 1;
    let heal_ms = begin_ms + gap_ms * u64::from(scene.nodes()) + prng.between(0, 2_000);
    let mut faults = Vec::new();
    for (turn, &node) in cut_order.iter().enumerate().take(size) {
        let heal_turn = heal_order.iter().position(|&healed| healed == node).unwrap_or(0);
        let at_ms = begin_ms + gap_ms * turn as u64;
        let for_ms = heal_ms + gap_ms * heal_turn as u64 - at_ms;
        faults.extend(both_ways(scene, (at_ms, for_ms), &[node], &scene.others(node)));
    }
    faults
}

/// The whole network loses, repeats and reorders.
pub(super) fn flaky(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let everybody: Vec<u16> = (0..scene.nodes()).collect();
    degrade(scene, prng, everybody.clone(), everybody)
}

/// One link, or all links of one node, lose, repeat and reorder, in one direction.
pub(super) fn bad_link(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let Some((node, other)) = scene.pair(prng) else {
        return Vec::new();
    };
    let others = if prng.per_mille(500) { scene.others(node) } else { vec![other] };
    if prng.per_mille(500) {
        degrade(scene, prng, vec![node], others)
    } else {
        degrade(scene, prng, others, vec![node])
    }
}

/// The links of one node carry hardly anything.
pub(super) fn clog(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let node = scene.node(prng);
    let others = scene.others(node);
    if others.is_empty() {
        return Vec::new();
    }
    let bytes_per_second = CLOGGED_BYTES_PER_SECOND << prng.below(5);
    let kind = |from: &[u16], to: &[u16]| FaultKind::Degrade {
        from: from.to_vec(),
        to: to.to_vec(),
        loss_per_mille: 0,
        duplicate_per_mille: 0,
        jitter_ms: 0,
        bytes_per_second,
    };
    let at_ms = scene.begin(prng);
    let for_ms = skewed(prng, 500, LASTS_MS_MAX);
    let kinds = [kind(&[node], &others), kind(&others, &[node])];
    kinds.into_iter().filter_map(|kind| scene.fault(at_ms, for_ms, kind)).collect()
}

fn degrade(scene: &Scene<'_>, prng: &mut Prng, from: Vec<u16>, to: Vec<u16>) -> Vec<Fault> {
    let mut some = |of_1_000: u32, most: u64| {
        let amount = skewed(prng, 1, most);
        if prng.per_mille(of_1_000) { amount } else { 0 }
    };
    let small = |amount: u64| u32::try_from(amount).unwrap_or(0);
    let kind = FaultKind::Degrade {
        from,
        to,
        loss_per_mille: small(some(800, scene.loss_per_mille_max())),
        duplicate_per_mille: small(some(400, 500)),
        jitter_ms: some(600, 2_000),
        bytes_per_second: 0,
    };
    if scene.nodes() < 2 {
        return Vec::new();
    }
    let at_ms = scene.begin(prng);
    Vec::from_iter(scene.fault(at_ms, skewed(prng, 200, LASTS_MS_MAX), kind))
}

fn cut_both_ways(
    scene: &Scene<'_>,
    prng: &mut Prng,
    ours: Vec<u16>,
    theirs: Vec<u16>,
) -> Vec<Fault> {
    let at_ms = scene.begin(prng);
    let for_ms = skewed(prng, 50, LASTS_MS_MAX);
    both_ways(scene, (at_ms, for_ms), &ours, &theirs)
}

/// Cuts from `at_ms` on, for `for_ms`; none if there is nobody on a side.
fn both_ways(
    scene: &Scene<'_>,
    (at_ms, for_ms): (u64, u64),
    ours: &[u16],
    theirs: &[u16],
) -> Vec<Fault> {
    if ours.is_empty() || theirs.is_empty() {
        return Vec::new();
    }
    let cut = |from: &[u16], to: &[u16]| FaultKind::Cut { from: from.to_vec(), to: to.to_vec() };
    let kinds = [cut(ours, theirs), cut(theirs, ours)];
    kinds.into_iter().filter_map(|kind| scene.fault(at_ms, for_ms, kind)).collect()
}
