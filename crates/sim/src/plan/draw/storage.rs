//! Trouble of disks. What loses data strikes only where the budget allows it.

use crate::plan::{DiskCalls, Fault, FaultKind};
use crate::prng::Prng;

use super::scene::{Scene, skewed};

pub(super) fn wipe(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let Some(node) = scene.forgetful(prng) else {
        return Vec::new();
    };
    let at_ms = scene.begin(prng);
    Vec::from_iter(scene.fault(at_ms, skewed(prng, 50, 5_000), FaultKind::Wipe { node }))
}

/// Some calls fail, or every one of them.
pub(super) fn disk_errors(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let Some(node) = scene.ailing(prng) else {
        return Vec::new();
    };
    let calls = match prng.weighted(&[3, 3, 3, 1]) {
        0 => DiskCalls::Read,
        1 => DiskCalls::Write,
        2 => DiskCalls::Sync,
        _ => DiskCalls::SyncDir,
    };
    let per_mille = match prng.weighted(&[4, 4, 1]) {
        0 => 10,
        1 => 100,
        _ => 1_000,
    };
    let at_ms = scene.begin(prng);
    let for_ms = skewed(prng, 20, 4_000);
    let kind = FaultKind::DiskErrors { node, calls, per_mille };
    Vec::from_iter(scene.fault(at_ms, for_ms, kind))
}

pub(super) fn disk_full(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let kind = FaultKind::DiskFull { node: scene.node(prng) };
    let at_ms = scene.begin(prng);
    Vec::from_iter(scene.fault(at_ms, skewed(prng, 100, 8_000), kind))
}

pub(super) fn disk_stall(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let stall_ms = skewed(prng, 10, 30_000);
    let kind = FaultKind::DiskStall { node: scene.node(prng), stall_ms };
    let at_ms = scene.begin(prng);
    Vec::from_iter(scene.fault(at_ms, skewed(prng, 100, 8_000), kind))
}

pub(super) fn bit_rot(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let Some(node) = scene.forgetful(prng) else {
        return Vec::new();
    };
    let bits = u32::try_from(skewed(prng, 1, 40)).unwrap_or(1);
    let at_ms = scene.begin(prng);
    Vec::from_iter(scene.fault(at_ms, 0, FaultKind::BitRot { node, bits }))
}

pub(super) fn misdirect(scene: &Scene<'_>, prng: &mut Prng) -> Vec<Fault> {
    let Some(node) = scene.forgetful(prng) else {
        return Vec::new();
    };
    let at_ms = scene.begin(prng);
    Vec::from_iter(scene.fault(at_ms, 0, FaultKind::Misdirect { node }))
}
