//! What the clients of a run do: few keys, so that they meet; levels that let the checkers expect something.

use atoll_protocol::ids::DcIndex;
use atoll_protocol::limits::RECORD_BYTES_MAX_DEFAULT;
use atoll_protocol::quorum::{Level, QuorumSpec};

use crate::plan::{Mix, Shape, Tier, Workload};
use crate::prng::Prng;

/// Levels whose reads must see each other's writes, and how likely each is.
const STRICT: [(Level, u32); 4] =
    [(Level::Quorum, 6), (Level::LocalQuorum, 3), (Level::EachQuorum, 2), (Level::All, 2)];

/// Levels that promise less.
const WEAK: [Level; 4] = [Level::One, Level::Two, Level::LocalOne, Level::LocalQuorumPlus(1)];

/// Runs of 1 000 whose clients hardly do anything but put blindly to one key, so that its siblings reach their limit.
const PILE_UP_PER_MILLE: u32 = 40;

/// Runs of 1 000 in which some clients work in sessions.
const SESSIONS_PER_MILLE: u32 = 500;

/// A strict level is drawn as often as this many weak ones.
const STRICT_COPIES: usize = 3;

pub(super) fn draw(prng: &mut Prng, tier: Tier, shape: &Shape, safety_ms: u64) -> Workload {
    let clients = small(prng, 2, 8);
    let operations = match tier {
        Tier::Messages => small(prng, 80, 400),
        Tier::Quic => small(prng, 30, 120),
    };
    let keys = small(prng, 1, 12);
    let lww_keys = if prng.per_mille(400) { keys.min(small(prng, 1, 4)) } else { 0 };
    let drawn = Workload {
        clients,
        sessions: 0,
        operations,
        think_ms: think_ms(prng, safety_ms, clients, operations),
        deadline_ms: prng.between(300, 5_000),
        sloppy_per_mille: 0,
        keys: keys - lww_keys,
        lww_keys,
        hot_per_mille: if prng.per_mille(300) { small(prng, 200, 900) } else { 0 },
        mix: mix(prng),
        levels: levels(prng, shape),
        value_bytes: value_bytes(prng),
        oversize_per_mille: if prng.per_mille(200) { small(prng, 5, 40) } else { 0 },
        ttl_per_mille: if prng.per_mille(250) { small(prng, 20, 250) } else { 0 },
        keyspaces: if prng.per_mille(200) { small(prng, 1, 3) } else { 0 },
    };
    let drawn = if prng.per_mille(PILE_UP_PER_MILLE) { pile_up(drawn) } else { drawn };
    // Drawn last: what was drawn before sessions existed is drawn as it was.
    let sessions =
        if prng.per_mille(SESSIONS_PER_MILLE) { small(prng, 1, u64::from(clients)) } else { 0 };
    Workload { sessions, ..drawn }
}

/// Siblings without end: small, so that the record does not reach its limit in bytes first.
fn pile_up(drawn: Workload) -> Workload {
    Workload {
        operations: drawn.operations.max(300),
        think_ms: drawn.think_ms.min(50),
        hot_per_mille: 950,
        mix: Mix { get: 1, modify: 0, follow: 0, blind: 30, delete: 0 },
        value_bytes: drawn.value_bytes.min(64),
        ..drawn
    }
}

fn small(prng: &mut Prng, low: u64, high: u64) -> u32 {
    u32::try_from(prng.between(low, high)).unwrap_or(u32::MAX)
}

/// Pauses so that the operations fill the safety phase, or a part of it, or come at once.
fn think_ms(prng: &mut Prng, safety_ms: u64, clients: u32, operations: u32) -> u64 {
    // A pause is half the longest one on average.
    let filling = 2 * safety_ms * u64::from(clients) / u64::from(operations.max(1));
    match prng.weighted(&[5, 3, 1]) {
        0 => filling,
        1 => prng.between(1, filling.max(1)),
        _ => 0,
    }
}

/// Some of the kinds, with reads and contextual writes among them.
fn mix(prng: &mut Prng) -> Mix {
    let mut weight = |of_1_000: u32, most: u64| {
        let weight = small(prng, 1, most);
        if prng.per_mille(of_1_000) { weight } else { 0 }
    };
    Mix {
        get: weight(1_000, 10),
        modify: weight(850, 10),
        follow: weight(600, 8),
        blind: weight(500, 6),
        delete: weight(600, 5),
    }
}

/// One to three strict levels, in four runs of ten also weak ones; a level that stands there more often is drawn more
/// often. Levels that the cluster can never satisfy are left out.
fn levels(prng: &mut Prng, shape: &Shape) -> Vec<String> {
    let weights = STRICT.map(|(_, weight)| weight);
    let mut levels = Vec::new();
    for _ in 0..prng.between(1, 3) {
        let drawn = STRICT.get(prng.weighted(&weights)).map_or(Level::Quorum, |&(level, _)| level);
        levels.extend([drawn; STRICT_COPIES]);
    }
    let mixed = prng.per_mille(400);
    for _ in 0..prng.between(1, 2) {
        let weak = prng.pick(&WEAK).copied().filter(|&level| mixed && satisfiable(level, shape));
        levels.extend(weak);
    }
    levels.iter().map(ToString::to_string).collect()
}

fn satisfiable(level: Level, shape: &Shape) -> bool {
    let replicas = shape.replicas();
    let mut locals = (0..replicas.len()).filter_map(|dc| u8::try_from(dc).ok()).map(DcIndex);
    locals.all(|local| QuorumSpec::new(level, &replicas, local).is_ok())
}

fn value_bytes(prng: &mut Prng) -> u32 {
    match prng.weighted(&[85, 10, 5]) {
        0 => small(prng, 0, 300),
        1 => small(prng, 300, 2_000),
        _ => small(prng, 2_000, RECORD_BYTES_MAX_DEFAULT as u64),
    }
}
