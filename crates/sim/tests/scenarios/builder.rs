//! [`Scenario`]: a plan that shows only what matters, and [`Runs`]: what came of it.
//!
//! Unless said otherwise: three nodes with three replicas of each key, disks that sync, good clocks, and four clients
//! that read and write five keys at `QUORUM` for eight seconds.

use std::ops::{Range, RangeInclusive};

use atoll_protocol::quorum::Level;
use atoll_sim::check::{account, permitted_losses};
use atoll_sim::history::{History, Op, OpKind, Outcome};
use atoll_sim::plan::{DcShape, Fault, FaultKind, Knobs, Mix, Plan, Shape, Tier, Workload};
use atoll_sim::run::{Report, Trace, run};

/// Enough for every scenario to be no luck, few enough for well under two seconds. After even seeds all nodes lose
/// power once more at the end.
const SEEDS: RangeInclusive<u64> = 1..=8;

/// Length of the time of trouble.
const SAFETY_MS: u64 = 8_000;

/// A plan under construction.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    plan: Plan,
    seeds: RangeInclusive<u64>,
}

/// The same plan, run once for each seed.
pub(crate) struct Runs {
    /// In order of the seeds.
    pub(crate) reports: Vec<(u64, Report)>,
}

impl Scenario {
    /// One datacenter of so many nodes, each key on all of them.
    pub(crate) fn nodes(nodes: u8) -> Self {
        Self::dcs(&[nodes])
    }

    /// Datacenters of so many nodes, at most three each, each key on all of them.
    pub(crate) fn dcs(nodes: &[u8]) -> Self {
        let dc = |&nodes: &u8| DcShape { nodes: nodes.into(), racks: 1, replication_factor: nodes };
        let shape = Shape { dcs: nodes.iter().map(dc).collect(), rtt_ms: 40, partitions: 16 };
        let knobs = Knobs::plain(shape.nodes());
        let workload = Workload {
            clients: 4,
            sessions: 0,
            operations: 200,
            think_ms: 2 * SAFETY_MS * 4 / 200,
            deadline_ms: 1_000,
            sloppy_per_mille: 0,
            keys: 5,
            lww_keys: 0,
            hot_per_mille: 0,
            mix: Mix { get: 3, modify: 3, follow: 2, blind: 1, delete: 1 },
            levels: vec!["QUORUM".to_owned()],
            value_bytes: 200,
            oversize_per_mille: 0,
            ttl_per_mille: 0,
            keyspaces: 0,
        };
        let (seed, tier, faults, safety_ms) = (0, Tier::Messages, Vec::new(), SAFETY_MS);
        let plan = Plan { seed, tier, shape, knobs, workload, faults, safety_ms };
        Self { plan, seeds: SEEDS }
    }

    /// Every client works in a session, and moves about.
    pub(crate) fn in_sessions(mut self) -> Self {
        self.plan.workload.sessions = self.plan.workload.clients;
        self
    }

    /// What happens at once; a node that dies is started again at once.
    pub(crate) fn at(self, at_ms: u64, kind: FaultKind) -> Self {
        self.during(at_ms..at_ms, kind)
    }

    /// What lasts; a node that dies is down for so long.
    pub(crate) fn during(mut self, ms: Range<u64>, kind: FaultKind) -> Self {
        self.plan.faults.push(Fault { at_ms: ms.start, for_ms: ms.end - ms.start, kind });
        self.plan.faults.sort_by_key(|fault| fault.at_ms);
        self
    }

    /// What clients ask for instead of `QUORUM`.
    pub(crate) fn levels(mut self, levels: &[&str]) -> Self {
        self.plan.workload.levels = levels.iter().map(ToString::to_string).collect();
        self
    }

    /// All keys are in a keyspace with `lww`, which an administrator creates before anything else happens.
    pub(crate) fn last_write_wins(mut self) -> Self {
        self.plan.workload.lww_keys = std::mem::take(&mut self.plan.workload.keys);
        self
    }

    /// Keyspaces that an administrator creates meanwhile, two seconds apart at most.
    pub(crate) fn new_keyspaces(mut self, count: u32) -> Self {
        self.plan.workload.keyspaces = count;
        self
    }

    /// Values and memtables of a few kilobytes: tables are written and compacted all the time, values separated and moved.
    pub(crate) fn busy_storage(mut self) -> Self {
        let knobs = &mut self.plan.knobs;
        knobs.memtable_bytes = 8 << 10;
        knobs.segment_bytes = 16 << 10;
        knobs.table_bytes = 8 << 10;
        knobs.level_bytes = 16 << 10;
        knobs.l0_trigger = 2;
        knobs.separation_bytes = 100;
        knobs.cache_bytes = 8 << 10;
        self.plan.workload.value_bytes = 2_000;
        self
    }

    /// Acknowledge before the sync, which comes every so often.
    pub(crate) fn sync_every(mut self, interval_ms: u64) -> Self {
        self.plan.knobs.periodic_ms = Some(interval_ms);
        self
    }

    /// Clients only read.
    pub(crate) fn reads_only(mut self) -> Self {
        self.plan.workload.mix = Mix { get: 1, modify: 0, follow: 0, blind: 0, delete: 0 };
        self
    }

    /// How far each node's wall clock is off.
    pub(crate) fn clocks_off_by(mut self, skew_ms: &[i64]) -> Self {
        self.plan.knobs.skew_ms = skew_ms.to_vec();
        self
    }

    /// How long the time of trouble lasts.
    pub(crate) fn lasting(mut self, safety_ms: u64) -> Self {
        self.plan.safety_ms = safety_ms;
        self
    }

    /// Over real QUIC.
    pub(crate) fn over_quic(mut self) -> Self {
        self.plan.tier = Tier::Quic;
        self
    }

    /// Other seeds than the usual ones.
    pub(crate) fn seeds(mut self, seeds: RangeInclusive<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// Runs the plan for every seed; every promise must be kept.
    pub(crate) fn run(self) -> Runs {
        self.plan.check().expect("the scenario can be run");
        let one = |seed| {
            let plan = Plan { seed, ..self.plan.clone() };
            let report = run(&plan, Trace::Hash);
            if let Some(violation) = report.violations.first() {
                let all = &report.violations;
                let story = account(&report.history, violation);
                panic!("seed {seed}: {all:#?}\n{story}");
            }
            (seed, report)
        };
        Runs { reports: self.seeds.clone().map(one).collect() }
    }
}

impl Runs {
    /// Every fault and situation named here took effect in every run: otherwise the scenario would show nothing.
    #[track_caller]
    pub(crate) fn all_had(&self, names: &[&str]) -> &Self {
        for (seed, report) in &self.reports {
            for name in names {
                let (faults, situations) = (&report.faults, &report.situations);
                let had = faults.contains_key(*name) || situations.contains_key(*name);
                assert!(had, "seed {seed} had no {name}: {faults:?} {situations:?}");
            }
        }
        self
    }

    /// No run reached the situation.
    #[track_caller]
    pub(crate) fn none_had(&self, name: &str) -> &Self {
        for (seed, report) in &self.reports {
            let count = report.situations.get(name).copied().unwrap_or(0);
            assert_eq!(count, 0, "seed {seed}: {name}");
        }
        self
    }

    /// Every operation of every client was answered with what was asked for: nobody noticed the trouble.
    #[track_caller]
    pub(crate) fn everything_succeeded(&self) -> &Self {
        self.everything_succeeded_where(|_| true)
    }

    /// The same for the operations that `is_meant`.
    #[track_caller]
    pub(crate) fn everything_succeeded_where(&self, is_meant: impl Fn(&Op) -> bool) -> &Self {
        for (seed, report) in &self.reports {
            // What the simulator itself reads in the end, it reads at `ALL` until it succeeds.
            let clients = report.history.ops.iter().filter(|op| op.level != Level::All);
            let failed = clients.filter(|op| is_meant(op)).find(|op| !has_succeeded(&op.outcome));
            assert!(failed.is_none(), "seed {seed}: {failed:#?}");
        }
        self
    }

    /// No acknowledged write is gone, not even one that the promises would not mourn.
    #[track_caller]
    pub(crate) fn nothing_was_lost(&self) -> &Self {
        for (seed, report) in &self.reports {
            let lost = permitted_losses(&report.history);
            assert_eq!(lost, [], "seed {seed}");
            assert!(acked_writes(&report.history) > 50, "seed {seed}: {:?}", report.operations);
        }
        self
    }
}

/// Writes that were acknowledged.
pub(crate) fn acked_writes(history: &History) -> usize {
    let acked = |outcome: &Outcome| matches!(outcome, Outcome::Acked { .. });
    let is_write = |kind: &OpKind| !matches!(kind, OpKind::Get);
    history.ops.iter().filter(|op| is_write(&op.kind) && acked(&op.outcome)).count()
}

fn has_succeeded(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Acked { .. } | Outcome::Got { .. })
}
