//! Trouble of processes, machines and clocks.

use crate::plan::{Fault, FaultKind};
use crate::prng::Prng;

use super::knobs::either_sign;
use super::scene::{Scene, skewed};

/// Kills of 1 000 that take the machine's power with them.
const POWER_PER_MILLE: u32 = 600;

/// Ten minutes, as far as clocks are ever wrong at all.
const JUMP_MS_MAX: u64 = 600_000;

pub(super) fn kill(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let kind = FaultKind::Kill { node: scene.node(prng), power: prng.per_mille(POWER_PER_MILLE) };
    let at_ms = scene.begin(prng);
    Vec::from_iter(scene.fault(at_ms, skewed(prng, 20, 10_000), kind))
}

pub(super) fn kill_at_disk_call(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let kind = FaultKind::KillAtDiskCall { node: scene.node(prng), calls: calls(prng, 400) };
    let at_ms = scene.begin(prng);
    Vec::from_iter(scene.fault(at_ms, skewed(prng, 20, 5_000), kind))
}

/// A kill, and power loss again while the node recovers from it, once or twice.
pub(super) fn kill_during_recovery(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let node = scene.node(prng);
    let power = prng.per_mille(POWER_PER_MILLE);
    let mut at_ms = scene.begin(prng);
    let mut down_ms = skewed(prng, 20, 2_000);
    let mut faults = Vec::from_iter(scene.fault(at_ms, down_ms, FaultKind::Kill { node, power }));
    for _ in 0..prng.between(1, 2) {
        // Right before the restart, so that the first call already counts, or while it is under way.
        at_ms += if prng.per_mille(500) { down_ms - 1 } else { down_ms + prng.between(0, 20) };
        down_ms = skewed(prng, 20, 1_000);
        let kind = FaultKind::KillAtDiskCall { node, calls: calls(prng, 60) };
        faults.extend(scene.fault(at_ms, down_ms, kind));
    }
    faults
}

/// Clean stops of 1 000 in the midst of which the process dies.
const DIES_AS_IT_STOPS_PER_MILLE: u32 = 400;

pub(super) fn stop(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let node = scene.node(prng);
    let at_ms = scene.begin(prng);
    let mut faults =
        Vec::from_iter(scene.fault(at_ms, skewed(prng, 20, 5_000), FaultKind::Stop { node }));
    if prng.per_mille(DIES_AS_IT_STOPS_PER_MILLE) {
        let kind = FaultKind::Kill { node, power: prng.per_mille(POWER_PER_MILLE) };
        let later_ms = at_ms + skewed(prng, 1, 300);
        faults.extend(scene.fault(later_ms, skewed(prng, 20, 1_000), kind));
    }
    faults
}

/// Every node once, one after the other, as an upgrade does it.
pub(super) fn rolling_restart(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let mut at_ms = prng.between(0, scene.plan.safety_ms / 2);
    let down_ms = skewed(prng, 20, 1_500);
    let pause_ms = skewed(prng, 0, 1_500);
    let mut faults = Vec::new();
    for node in 0..scene.nodes() {
        faults.extend(scene.fault(at_ms, down_ms, FaultKind::Stop { node }));
        at_ms += down_ms + pause_ms;
    }
    faults
}

/// One node dies again and again.
pub(super) fn restart_storm(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let node = scene.node(prng);
    let mut at_ms = prng.between(0, scene.plan.safety_ms / 2);
    let mut faults = Vec::new();
    for _ in 0..prng.between(3, 8) {
        let down_ms = prng.between(10, 300);
        let power = prng.per_mille(POWER_PER_MILLE);
        faults.extend(scene.fault(at_ms, down_ms, FaultKind::Kill { node, power }));
        at_ms += down_ms + prng.between(10, 600);
    }
    faults
}

/// A whole datacenter dies at once; it returns node by node.
pub(super) fn dc_loss(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let at_ms = scene.begin(prng);
    let power = prng.per_mille(POWER_PER_MILLE);
    let down_ms = skewed(prng, 50, 8_000);
    let ranges = scene.plan.shape.ranges();
    let Some(nodes) = prng.pick(&ranges).cloned() else {
        return Vec::new();
    };
    let mut die = |node| {
        let late_ms = prng.between(0, 500);
        scene.fault(at_ms, down_ms + late_ms, FaultKind::Kill { node, power })
    };
    nodes.filter_map(&mut die).collect()
}

pub(super) fn pause(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let kind = FaultKind::Pause { node: scene.node(prng) };
    let at_ms = scene.begin(prng);
    Vec::from_iter(scene.fault(at_ms, skewed(prng, 50, 15_000), kind))
}

pub(super) fn slow(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let factor = u32::try_from(prng.between(2, 20)).unwrap_or(2);
    let kind = FaultKind::Slow { node: scene.node(prng), factor };
    let at_ms = scene.begin(prng);
    Vec::from_iter(scene.fault(at_ms, prng.between(200, 10_000), kind))
}

/// A wall clock jumps either way, by milliseconds or by minutes.
pub(super) fn clock_jump(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let most = skewed(prng, 10, JUMP_MS_MAX);
    let kind = FaultKind::ClockJump { node: scene.node(prng), by_ms: either_sign(prng, most) };
    let at_ms = scene.begin(prng);
    Vec::from_iter(scene.fault(at_ms, 0, kind))
}

fn calls(prng: &mut Prng, most: u64) -> u32 {
    u32::try_from(skewed(prng, 0, most)).unwrap_or(0)
}
