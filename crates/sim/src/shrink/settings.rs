//! Steps over the workload and the knobs: less work, then everything as a reader expects it.

use crate::plan::{Knobs, Plan};

use super::{Attempts, narrow};

/// Fewer clients, operations and keys.
pub(super) fn reduce_work(search: &mut impl Attempts) {
    search.lower("fewer clients", 1, &|plan| u64::from(plan.workload.clients), &|plan, count| {
        plan.workload.clients = narrow(count);
    });
    search.lower(
        "fewer operations",
        1,
        &|plan| u64::from(plan.workload.operations),
        &|plan, count| plan.workload.operations = narrow(count),
    );
    search.lower("fewer keys", 0, &|plan| u64::from(plan.workload.keys), &|plan, count| {
        plan.workload.keys = narrow(count);
    });
    search.lower("fewer keys", 0, &|plan| u64::from(plan.workload.lww_keys), &|plan, count| {
        plan.workload.lww_keys = narrow(count);
    });
}

/// One thing fewer.
type Simplification = fn(&mut Plan);

/// Whatever can be usual becomes usual.
pub(super) fn simplify(search: &mut impl Attempts) {
    let changes: [(&str, Simplification); 11] = [
        ("no sessions", |plan| plan.workload.sessions = 0),
        ("no hot key", |plan| plan.workload.hot_per_mille = 0),
        ("no oversized values", |plan| plan.workload.oversize_per_mille = 0),
        ("no sloppy writes", |plan| plan.workload.sloppy_per_mille = 0),
        ("no expiry", |plan| plan.workload.ttl_per_mille = 0),
        ("no new keyspaces", |plan| plan.workload.keyspaces = 0),
        ("no deletes", |plan| plan.workload.mix.delete = 0),
        ("no blind puts", |plan| plan.workload.mix.blind = 0),
        ("no follow-up puts", |plan| plan.workload.mix.follow = 0),
        ("no read-modify-writes", |plan| plan.workload.mix.modify = 0),
        ("no reads", |plan| plan.workload.mix.get = 0),
    ];
    for (what, change) in changes {
        search.try_change(what, &change);
    }
    simplify_levels(search);
    search.lower("shorter values", 0, &|plan| u64::from(plan.workload.value_bytes), &|plan, n| {
        plan.workload.value_bytes = narrow(n);
    });
    while search.try_change("fewer partitions", &|plan| plan.shape.partitions /= 2) {}
    usual_knobs(search);
}

/// Only one level, or at least each one once, or some left out.
fn simplify_levels(search: &mut impl Attempts) {
    let mut distinct = search.best().workload.levels.clone();
    distinct.sort();
    distinct.dedup();
    for level in &distinct {
        let only = |plan: &mut Plan| plan.workload.levels = vec![level.clone()];
        if search.try_change("one level", &only) {
            return;
        }
    }
    search.try_change("each level once", &|plan| plan.workload.levels = distinct.clone());
    for level in &distinct {
        let without = |plan: &mut Plan| plan.workload.levels.retain(|other| other != level);
        search.try_change("fewer levels", &without);
    }
}

/// All knobs as they are shipped, or at least some.
fn usual_knobs(search: &mut impl Attempts) {
    let plain = Knobs::plain(search.best().shape.nodes());
    if search.try_change("usual settings", &|plan| plan.knobs = plain.clone()) {
        return;
    }
    let changes: [fn(&mut Knobs, &Knobs); 13] = [
        |knobs, plain| knobs.periodic_ms = plain.periodic_ms,
        |knobs, plain| knobs.memtable_bytes = plain.memtable_bytes,
        |knobs, plain| knobs.segment_bytes = plain.segment_bytes,
        |knobs, plain| knobs.block_bytes = plain.block_bytes,
        |knobs, plain| knobs.table_bytes = plain.table_bytes,
        |knobs, plain| knobs.level_bytes = plain.level_bytes,
        |knobs, plain| knobs.l0_trigger = plain.l0_trigger,
        |knobs, plain| knobs.separation_bytes = plain.separation_bytes,
        |knobs, plain| knobs.cache_bytes = plain.cache_bytes,
        |knobs, plain| knobs.purge_after_ms = plain.purge_after_ms,
        |knobs, plain| knobs.disk_bytes = plain.disk_bytes,
        |knobs, plain| knobs.skew_ms.clone_from(&plain.skew_ms),
        |knobs, plain| knobs.drift_ppm.clone_from(&plain.drift_ppm),
    ];
    for change in changes {
        search.try_change("a usual setting", &|plan| change(&mut plan.knobs, &plain));
    }
}
