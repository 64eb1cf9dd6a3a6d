//! The trouble of a run: every kind with its likelihood, drawn one by one.
//!
//! A kind is one way in which clusters really suffer; it becomes one plain fault or several (`network.rs`,
//! `processes.rs`, `storage.rs`).

use crate::plan::{Fault, FaultKind, Plan};
use crate::prng::Prng;

use super::scene::Scene;
use super::{network, processes, storage};

/// One way to suffer.
struct Trouble {
    name: &'static str,
    /// How likely a run takes part in it, in per cent of the usual.
    percent: u32,
    /// How often it strikes at most in one run.
    times_max: u64,
    strike: fn(&Scene<'_>, &mut Prng) -> Vec<Fault>,
}

const fn trouble(
    name: &'static str,
    percent: u32,
    times_max: u64,
    strike: fn(&Scene<'_>, &mut Prng) -> Vec<Fault>,
) -> Trouble {
    Trouble { name, percent, times_max, strike }
}

const TROUBLES: [Trouble; 25] = [
    trouble("kill", 150, 4, processes::kill),
    trouble("kill_at_disk_call", 120, 4, processes::kill_at_disk_call),
    trouble("kill_during_recovery", 80, 2, processes::kill_during_recovery),
    trouble("stop", 60, 2, processes::stop),
    trouble("rolling_restart", 60, 1, processes::rolling_restart),
    trouble("restart_storm", 60, 1, processes::restart_storm),
    trouble("dc_loss", 60, 1, processes::dc_loss),
    trouble("pause", 100, 3, processes::pause),
    trouble("slow", 80, 3, processes::slow),
    trouble("isolate_one", 120, 3, network::isolate_one),
    trouble("one_way", 120, 3, network::one_way),
    trouble("partial_partition", 120, 3, network::partial_partition),
    trouble("split", 80, 2, network::split),
    trouble("dc_split", 120, 2, network::dc_split),
    trouble("swizzle_clog", 60, 1, network::swizzle_clog),
    trouble("flaky", 100, 2, network::flaky),
    trouble("bad_link", 100, 3, network::bad_link),
    trouble("clog", 60, 2, network::clog),
    trouble("wipe", 100, 2, storage::wipe),
    trouble("disk_errors", 100, 2, storage::disk_errors),
    trouble("disk_full", 60, 2, storage::disk_full),
    trouble("disk_stall", 80, 2, storage::disk_stall),
    trouble("bit_rot", 80, 2, storage::bit_rot),
    trouble("misdirect", 60, 2, storage::misdirect),
    trouble("clock_jump", 100, 3, processes::clock_jump),
];

/// The faults of the otherwise complete `plan`, in order of time.
pub(super) fn draw(plan: &Plan, wants: impl Fn(&str) -> bool) -> Vec<Fault> {
    let scene = Scene::draw(&mut Prng::stream(plan.seed, "plan/faults"), plan);
    let wanted = TROUBLES.iter().filter(|trouble| wants(trouble.name));
    let mut faults: Vec<Fault> = wanted
        .flat_map(|trouble| strikes(trouble, &scene))
        .filter_map(|fault| gentle(fault, plan))
        .collect();
    faults.sort_by_key(|fault| fault.at_ms);
    faults
}

fn strikes(trouble: &Trouble, scene: &Scene<'_>) -> Vec<Fault> {
    let mut prng = Prng::stream(scene.plan.seed, &format!("plan/faults/{}", trouble.name));
    if !prng.per_mille(scene.kinds_per_mille * trouble.percent / 100) {
        return Vec::new();
    }
    (0..prng.between(1, trouble.times_max))
        .flat_map(|_| (trouble.strike)(scene, &mut prng))
        .collect()
}

/// Where durability is periodic nobody loses power and no sync fails: both may lose what was acknowledged.
fn gentle(mut fault: Fault, plan: &Plan) -> Option<Fault> {
    if plan.knobs.periodic_ms.is_none() {
        return Some(fault);
    }
    match &mut fault.kind {
        FaultKind::Kill { power, .. } => *power = false,
        FaultKind::KillAtDiskCall { .. } | FaultKind::DiskErrors { .. } => return None,
        FaultKind::Stop { .. }
        | FaultKind::Wipe { .. }
        | FaultKind::Pause { .. }
        | FaultKind::Slow { .. }
        | FaultKind::Cut { .. }
        | FaultKind::Degrade { .. }
        | FaultKind::DiskFull { .. }
        | FaultKind::DiskStall { .. }
        | FaultKind::BitRot { .. }
        | FaultKind::Misdirect { .. }
        | FaultKind::ClockJump { .. } => {}
    }
    Some(fault)
}
