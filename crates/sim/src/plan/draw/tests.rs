use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{FaultKind, Plan, Tier};

/// Enough for every share below to be within a few per cent.
const SEEDS: u64 = 2_000;

fn plans(tier: Tier) -> Vec<Plan> {
    (0..SEEDS).map(|seed| Plan::draw(seed, tier)).collect()
}

fn share(plans: &[Plan], holds: impl Fn(&Plan) -> bool) -> f64 {
    plans.iter().filter(|plan| holds(plan)).count() as f64 / plans.len() as f64
}

fn disks_at_fault(plan: &Plan) -> usize {
    let at_fault =
        |kind: &FaultKind| kind.loses_data() || matches!(kind, FaultKind::DiskErrors { .. });
    let faults = plan.faults.iter().filter(|fault| at_fault(&fault.kind));
    faults.flat_map(|fault| fault.kind.nodes()).collect::<BTreeSet<_>>().len()
}

#[test]
fn every_plan_can_be_run_and_is_drawn_again_alike() {
    for tier in [Tier::Messages, Tier::Quic] {
        for plan in plans(tier) {
            assert_eq!(plan.check(), Ok(()), "seed {}", plan.seed);
            assert_eq!(plan, Plan::draw(plan.seed, tier));
        }
    }
}

#[test]
fn shapes_are_small_but_not_only() {
    let plans = plans(Tier::Messages);
    let three = share(
        &plans,
        |plan| matches!(plan.shape.dcs.as_slice(), [dc] if dc.nodes == 3 && dc.replication_factor == 3),
    );
    assert!((0.33..0.45).contains(&three), "{three}");
    assert!(share(&plans, |plan| plan.shape.nodes() > 9) < 0.05);
    assert!(share(&plans, |plan| plan.shape.dcs.len() == 3) > 0.1);
    assert!(share(&self::plans(Tier::Quic), |plan| plan.shape.nodes() <= 3) > 0.9);
}

#[test]
fn budgets_are_kept_in_nine_runs_of_ten() {
    let plans = plans(Tier::Messages);
    let exceeded = share(&plans, |plan| disks_at_fault(plan) > 1);
    assert!((0.005..0.1).contains(&exceeded), "{exceeded}");
    assert!(share(&plans, |plan| disks_at_fault(plan) == 1) > 0.1);
    let periodic = share(&plans, |plan| plan.knobs.periodic_ms.is_some());
    assert!((0.07..0.13).contains(&periodic), "{periodic}");
    for plan in plans.iter().filter(|plan| plan.knobs.periodic_ms.is_some()) {
        let loses_power = plan.faults.iter().any(|fault| {
            matches!(
                fault.kind,
                FaultKind::Kill { power: true, .. } | FaultKind::KillAtDiskCall { .. }
            )
        });
        assert!(!loses_power, "seed {}", plan.seed);
    }
}

#[test]
fn a_run_takes_part_in_some_kinds_and_all_runs_in_all() {
    let plans = plans(Tier::Messages);
    let mut runs: BTreeMap<&str, usize> = BTreeMap::new();
    for plan in &plans {
        let kinds: BTreeSet<&str> = plan.faults.iter().map(|fault| fault.kind.name()).collect();
        assert!(kinds.len() <= FaultKind::NAMES.len());
        for kind in kinds {
            *runs.entry(kind).or_default() += 1;
        }
    }
    for name in FaultKind::NAMES {
        let count = runs.get(name).copied().unwrap_or(0);
        assert!((50..1_500).contains(&count), "{name} in {count} runs");
    }
    assert!(share(&plans, |plan| plan.faults.is_empty()) > 0.03);
    assert!(share(&plans, |plan| plan.faults.len() > 60) < 0.02);
}

#[test]
fn leaving_one_kind_out_does_not_shift_the_others() {
    for seed in 0..300 {
        let whole = Plan::draw(seed, Tier::Messages);
        let without = Plan::draw_with(seed, Tier::Messages, |name| name != "pause");
        let mut expected = whole.clone();
        expected.faults.retain(|fault| !matches!(fault.kind, FaultKind::Pause { .. }));
        assert_eq!(without, expected, "seed {seed}");
    }
}

#[test]
fn freshness_can_be_checked_in_every_run() {
    for plan in plans(Tier::Messages) {
        let strict = ["QUORUM", "LOCAL_QUORUM", "EACH_QUORUM", "ALL"];
        let levels = &plan.workload.levels;
        let count = levels.iter().filter(|level| strict.contains(&level.as_str())).count();
        assert!(2 * count > levels.len(), "seed {}: {levels:?}", plan.seed);
    }
    let loss = |plan: &Plan| {
        plan.faults.iter().all(|fault| match fault.kind {
            FaultKind::Degrade { loss_per_mille, .. } => loss_per_mille <= 100,
            _ => true,
        })
    };
    assert!(plans(Tier::Quic).iter().all(loss));
}
