//! Steps over the faults: fewer, then weaker.

use crate::plan::{Fault, FaultKind, Plan};

use super::{Attempts, narrow};

/// Ends of links: `from` and `to`.
#[derive(Clone, Copy, Debug)]
enum End {
    From,
    To,
}

/// Leaves faults out: all, halves, quarters, …, each alone, until none can be spared.
pub(super) fn remove(search: &mut impl Attempts) {
    let mut size = search.best().faults.len();
    while size > 0 {
        let mut start = 0;
        while start < search.best().faults.len() {
            let removed = search.try_change("fewer faults", &|plan| {
                let end = plan.faults.len().min(start + size);
                plan.faults.drain(start..end);
            });
            // What followed the removed ones has moved to their place.
            if !removed {
                start += size;
            }
        }
        size /= 2;
    }
}

/// Begins each fault earlier, and with it all that follow: the pauses between faults shrink.
pub(super) fn hasten(search: &mut impl Attempts) {
    for index in 0..search.best().faults.len() {
        let before = |plan: &Plan| index.checked_sub(1).map_or(0, |i| begin(plan, i));
        let pause = |plan: &Plan| begin(plan, index).saturating_sub(before(plan));
        search.lower("an earlier fault", 0, &pause, &|plan, pause_ms| {
            let earlier_ms = pause(plan).saturating_sub(pause_ms);
            for fault in plan.faults.iter_mut().skip(index) {
                fault.at_ms = fault.at_ms.saturating_sub(earlier_ms);
            }
        });
    }
}

/// Makes each fault shorter, gentler, and its groups smaller.
pub(super) fn weaken(search: &mut impl Attempts) {
    for index in 0..search.best().faults.len() {
        search.lower("a shorter fault", 0, &|plan| length(plan, index), &|plan, ms| {
            change(plan, index, |fault| fault.for_ms = ms);
        });
        soften(search, index);
        for end in [End::From, End::To] {
            narrow_group(search, index, end);
        }
    }
}

fn soften(search: &mut impl Attempts, index: usize) {
    let Some(kind) = search.best().faults.get(index).map(|fault| fault.kind.clone()) else {
        return;
    };
    for softer in softer_kinds(&kind) {
        let adopt = |plan: &mut Plan| change(plan, index, |fault| fault.kind = softer.clone());
        if search.try_change("a weaker fault", &adopt) {
            // Its other sides may be weakened as well.
            return soften(search, index);
        }
    }
}

/// The same fault in a gentler way, each differing in one regard.
fn softer_kinds(kind: &FaultKind) -> Vec<FaultKind> {
    let mut softer = Vec::new();
    match kind.clone() {
        FaultKind::Kill { node, power: true } => {
            softer.push(FaultKind::Kill { node, power: false });
        }
        FaultKind::Kill { node, power: false } => softer.push(FaultKind::Stop { node }),
        FaultKind::Slow { node, factor } if factor > 2 => {
            softer.push(FaultKind::Slow { node, factor: factor / 2 });
        }
        FaultKind::Degrade { .. } => softer.extend(softer_links(kind)),
        FaultKind::DiskStall { node, stall_ms } if stall_ms > 1 => {
            softer.push(FaultKind::DiskStall { node, stall_ms: stall_ms / 2 });
        }
        FaultKind::BitRot { node, bits } if bits > 1 => {
            softer.push(FaultKind::BitRot { node, bits: bits / 2 });
        }
        FaultKind::ClockJump { node, by_ms } if by_ms.abs() > 1 => {
            softer.push(FaultKind::ClockJump { node, by_ms: by_ms / 2 });
        }
        FaultKind::Slow { .. }
        | FaultKind::DiskStall { .. }
        | FaultKind::BitRot { .. }
        | FaultKind::ClockJump { .. }
        | FaultKind::KillAtDiskCall { .. }
        | FaultKind::Stop { .. }
        | FaultKind::Wipe { .. }
        | FaultKind::Pause { .. }
        | FaultKind::Cut { .. }
        | FaultKind::DiskErrors { .. }
        | FaultKind::DiskFull { .. }
        | FaultKind::Misdirect { .. } => {}
    }
    softer
}

/// A degraded link with one of its ills gone, then with one halved.
fn softer_links(kind: &FaultKind) -> Vec<FaultKind> {
    let ills: [fn(&mut FaultKind, u64); 4] = [
        |kind, part| lessen(kind, |loss, _, _, _| *loss = divided(*loss, part)),
        |kind, part| lessen(kind, |_, twice, _, _| *twice = divided(*twice, part)),
        |kind, part| {
            lessen(kind, |_, _, jitter, _| *jitter = jitter.checked_div(part).unwrap_or(0))
        },
        // 0 is unlimited, and faster is gentler.
        |kind, part| lessen(kind, |_, _, _, rate| *rate = rate.saturating_mul(part)),
    ];
    let mut softer = Vec::new();
    for part in [0, 2] {
        for ill in ills {
            let mut candidate = kind.clone();
            ill(&mut candidate, part);
            let is_rate_only = matches!(
                (&candidate, kind),
                (
                    FaultKind::Degrade { bytes_per_second: after, .. },
                    FaultKind::Degrade { bytes_per_second: before, .. },
                ) if after > before && *after > RATE_MAX
            );
            if candidate != *kind && !is_rate_only {
                softer.push(candidate);
            }
        }
    }
    softer
}

/// A link of more bytes per second than this is not clogged, and doubling it ends here.
const RATE_MAX: u64 = 1 << 20;

fn divided(value: u32, part: u64) -> u32 {
    narrow(u64::from(value).checked_div(part).unwrap_or(0))
}

fn lessen(kind: &mut FaultKind, change: impl Fn(&mut u32, &mut u32, &mut u64, &mut u64)) {
    if let FaultKind::Degrade {
        loss_per_mille,
        duplicate_per_mille,
        jitter_ms,
        bytes_per_second,
        ..
    } = kind
    {
        change(loss_per_mille, duplicate_per_mille, jitter_ms, bytes_per_second);
    }
}

/// Takes nodes out of one end of a cut or degraded link, one after the other.
fn narrow_group(search: &mut impl Attempts, index: usize, end: End) {
    let mut place = 0;
    while place < group(search.best(), index, end).len() {
        let removed = search.try_change("a smaller group", &|plan| {
            change(plan, index, |fault| match (&mut fault.kind, end) {
                (FaultKind::Cut { from: nodes, .. }, End::From)
                | (FaultKind::Degrade { from: nodes, .. }, End::From)
                | (FaultKind::Cut { to: nodes, .. }, End::To)
                | (FaultKind::Degrade { to: nodes, .. }, End::To) => {
                    nodes.remove(place);
                }
                _ => {}
            });
        });
        place += usize::from(!removed);
    }
}

fn group(plan: &Plan, index: usize, end: End) -> &[u16] {
    match (plan.faults.get(index).map(|fault| &fault.kind), end) {
        (Some(FaultKind::Cut { from, .. } | FaultKind::Degrade { from, .. }), End::From) => from,
        (Some(FaultKind::Cut { to, .. } | FaultKind::Degrade { to, .. }), End::To) => to,
        _ => &[],
    }
}

fn begin(plan: &Plan, index: usize) -> u64 {
    plan.faults.get(index).map_or(0, |fault| fault.at_ms)
}

fn length(plan: &Plan, index: usize) -> u64 {
    plan.faults.get(index).map_or(0, |fault| fault.for_ms)
}

fn change(plan: &mut Plan, index: usize, change: impl Fn(&mut Fault)) {
    if let Some(fault) = plan.faults.get_mut(index) {
        change(fault);
    }
}
