//! Settings of the nodes of a run: mostly so small that a few hundred operations flush, compact and roll over.

use crate::plan::Knobs;
use crate::prng::Prng;

/// Longest sync interval: longer ones differ only in how much a crash may lose.
const PERIODIC_MS_MAX: u64 = 200;

/// Ten minutes.
const SKEW_MS_MAX: u64 = 600_000;

/// Clocks of machines drift by some tens of parts per million; a bad one by hundreds.
const DRIFT_PPM_MAX: u64 = 1_000;

/// A disk that a node can start on and that a few hundred operations may fill.
const TINY_DISK_BYTES: (u64, u64) = (4 << 20, 16 << 20);

/// A cache of a few blocks and values, from which something is pushed out all the time.
const CACHE_BYTES: (u64, u64) = (1 << 10, 16 << 10);

pub(super) fn draw(prng: &mut Prng, nodes: u16) -> Knobs {
    let plain = Knobs::plain(nodes);
    let memtable_bytes = match prng.weighted(&[2, 6, 3]) {
        0 => plain.memtable_bytes,
        1 => prng.between(1 << 10, 8 << 10),
        _ => prng.between(8 << 10, 64 << 10),
    };
    let segment_bytes = match prng.weighted(&[2, 5, 3]) {
        0 => plain.segment_bytes,
        1 => memtable_bytes.saturating_mul(2).min(128 << 10),
        _ => prng.between(1 << 10, 16 << 10),
    };
    let drawn = Knobs {
        periodic_ms: prng.per_mille(100).then(|| prng.between(10, PERIODIC_MS_MAX)),
        memtable_bytes,
        segment_bytes,
        block_bytes: 128 << prng.below(6),
        table_bytes: if prng.per_mille(200) {
            plain.table_bytes
        } else {
            prng.between(2 << 10, 32 << 10)
        },
        level_bytes: if prng.per_mille(200) {
            plain.level_bytes
        } else {
            prng.between(8 << 10, 128 << 10)
        },
        l0_trigger: prng.between(1, 8),
        disk_bytes: if prng.per_mille(70) {
            prng.between(TINY_DISK_BYTES.0, TINY_DISK_BYTES.1)
        } else {
            plain.disk_bytes
        },
        healers: plain.healers,
        purge_after_ms: plain.purge_after_ms,
        skew_ms: skews(prng, nodes),
        drift_ppm: drifts(prng, nodes),
        separation_bytes: separation_bytes(prng, plain.separation_bytes),
        cache_bytes: match prng.weighted(&[3, 3, 4]) {
            0 => 0,
            1 => prng.between(CACHE_BYTES.0, CACHE_BYTES.1),
            _ => plain.cache_bytes,
        },
    };
    if drawn.separation_bytes < plain.separation_bytes { narrow(drawn, prng) } else { drawn }
}

/// Where tables hold hardly anything but pointers, levels that they fill, and several of them in each.
fn narrow(drawn: Knobs, prng: &mut Prng) -> Knobs {
    let table_bytes = prng.between(128, 1 << 10);
    let level_bytes = prng.between(512, 4 << 10);
    if prng.per_mille(600) { Knobs { table_bytes, level_bytes, ..drawn } } else { drawn }
}

/// Everything, everything but markers, records with a value of some length, or few: an empty record has some 60 bytes.
fn separation_bytes(prng: &mut Prng, plain: u64) -> u64 {
    match prng.weighted(&[3, 2, 3, 2]) {
        0 => 1,
        1 => 24,
        2 => 100,
        _ => plain,
    }
}

fn skews(prng: &mut Prng, nodes: u16) -> Vec<i64> {
    let most = match prng.weighted(&[4, 3, 3]) {
        0 => 0,
        1 => 50,
        _ => SKEW_MS_MAX,
    };
    (0..nodes).map(|_| either_sign(prng, most)).collect()
}

fn drifts(prng: &mut Prng, nodes: u16) -> Vec<i32> {
    let most = if prng.per_mille(400) { DRIFT_PPM_MAX } else { 0 };
    (0..nodes).map(|_| i32::try_from(either_sign(prng, most)).unwrap_or(0)).collect()
}

/// A number of `-most..=most`.
pub(super) fn either_sign(prng: &mut Prng, most: u64) -> i64 {
    let size = i64::try_from(prng.between(0, most)).unwrap_or(0);
    if prng.per_mille(500) { -size } else { size }
}
