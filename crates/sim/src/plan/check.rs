//! Checks of a plan that was written by hand or shrunk: every mistake at once, each with its field.
//!
//! A plan that passes can be run: the cluster can be built, and every fault names a node that exists. It need not make
//! sense beyond that: a level that the cluster can never satisfy is a fair question.

use std::fmt::{self, Display, Formatter};
use std::ops::RangeInclusive;

use atoll_protocol::limits::RECORD_BYTES_MAX_DEFAULT;
use atoll_protocol::quorum::Level;
use atoll_protocol::token::Partitions;
use atoll_storage::Options;

use super::{Fault, FaultKind, Knobs, Plan, Shape, Workload};

/// Round trip beyond which no planet is that large.
const RTT_MS_MAX: u64 = 2_000;

/// An hour of virtual time takes about as long to simulate as anybody waits.
const SAFETY_MS_MAX: u64 = 3_600_000;

/// Clients are tasks of the simulator: more of them only wait for each other.
const CLIENTS_MAX: u64 = 64;

/// The checkers look at pairs of operations of a key.
const OPERATIONS_MAX: u64 = 100_000;

/// Keys of one keyspace of the workload; each is read at every owner at the end.
const KEYS_MAX: u64 = 1_000;

/// Keyspaces that a workload creates.
const KEYSPACES_MAX: u64 = 16;

/// Ten per cent fast or slow: a hundred times worse than any real clock.
const DRIFT_PPM_MAX: i64 = 100_000;

/// A node's files, empty, need about as much.
const DISK_BYTES_MIN: u64 = 1 << 20;

/// A mistake in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `workload.clients`, `faults[3].node`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub what: String,
}

/// Every mistake in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// The mistakes in the order of the file; never empty.
    pub problems: Vec<Problem>,
}

impl Display for PlanError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, Problem { field, what }) in self.problems.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}  {field}: {what}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PlanError {}

impl Plan {
    /// Checks that the plan can be run.
    ///
    /// # Errors
    /// [`PlanError`] with every mistake.
    pub fn check(&self) -> Result<(), PlanError> {
        let mut check = Check::default();
        check.shape(&self.shape);
        check.knobs(&self.knobs, self.shape.nodes());
        check.workload(&self.workload);
        check.range("safety_ms", self.safety_ms, 1..=SAFETY_MS_MAX);
        check.faults(self);
        if check.problems.is_empty() { Ok(()) } else { Err(PlanError { problems: check.problems }) }
    }
}

#[derive(Debug, Default)]
struct Check {
    problems: Vec<Problem>,
}

impl Check {
    fn refuse(&mut self, field: impl Into<String>, what: impl Into<String>) {
        self.problems.push(Problem { field: field.into(), what: what.into() });
    }

    fn range(&mut self, field: &str, found: impl Into<u64>, allowed: RangeInclusive<u64>) {
        let found = found.into();
        if !allowed.contains(&found) {
            let (low, high) = allowed.into_inner();
            self.refuse(field, format!("{found} is outside {low} to {high}"));
        }
    }

    fn shape(&mut self, shape: &Shape) {
        self.range("shape.dcs", shape.dcs.len() as u64, 1..=3);
        for (index, dc) in shape.dcs.iter().enumerate() {
            let field = |name: &str| format!("shape.dcs[{index}].{name}");
            let nodes = u64::from(dc.nodes);
            self.range(&field("nodes"), nodes, 1..=5);
            self.range(&field("racks"), dc.racks, 1..=nodes.max(1));
            let replicas_max = nodes.clamp(1, 3);
            self.range(&field("replication_factor"), dc.replication_factor, 1..=replicas_max);
        }
        self.range("shape.rtt_ms", shape.rtt_ms, 0..=RTT_MS_MAX);
        if let Err(error) = Partitions::new(shape.partitions) {
            self.refuse("shape.partitions", error.to_string());
        }
    }

    fn knobs(&mut self, knobs: &Knobs, nodes: u16) {
        if knobs.periodic_ms == Some(0) {
            self.refuse("knobs.periodic_ms", "0 ms is no interval: leave it out for `fsync`");
        }
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let options = Options {
            memtable_bytes_max: knobs.memtable_bytes,
            wal_segment_bytes_max: knobs.segment_bytes,
            block_bytes: size(knobs.block_bytes),
            table_bytes: knobs.table_bytes,
            level_bytes_base: knobs.level_bytes,
            tables_l0_trigger: size(knobs.l0_trigger),
            value_separation_bytes: knobs.separation_bytes,
            cache_bytes: knobs.cache_bytes,
            ..Options::default()
        };
        if let Err(error) = options.validate() {
            self.refuse("knobs", error.to_string());
        }
        self.range("knobs.disk_bytes", knobs.disk_bytes, DISK_BYTES_MIN..=u64::MAX);
        let entries = |found: usize| format!("{found} entries for {nodes} nodes");
        if knobs.skew_ms.len() != usize::from(nodes) {
            self.refuse("knobs.skew_ms", entries(knobs.skew_ms.len()));
        }
        if knobs.drift_ppm.len() != usize::from(nodes) {
            self.refuse("knobs.drift_ppm", entries(knobs.drift_ppm.len()));
        }
        for (node, &drift) in knobs.drift_ppm.iter().enumerate() {
            if i64::from(drift).abs() > DRIFT_PPM_MAX {
                let what = format!("{drift} ppm is beyond ±{DRIFT_PPM_MAX}");
                self.refuse(format!("knobs.drift_ppm[{node}]"), what);
            }
        }
    }

    fn workload(&mut self, workload: &Workload) {
        self.range("workload.clients", workload.clients, 1..=CLIENTS_MAX);
        self.range("workload.sessions", workload.sessions, 0..=CLIENTS_MAX);
        self.range("workload.operations", workload.operations, 1..=OPERATIONS_MAX);
        self.range("workload.deadline_ms", workload.deadline_ms, 1..=SAFETY_MS_MAX);
        self.range("workload.think_ms", workload.think_ms, 0..=SAFETY_MS_MAX);
        self.range("workload.keys", workload.keys, 0..=KEYS_MAX);
        self.range("workload.lww_keys", workload.lww_keys, 0..=KEYS_MAX);
        if workload.keys == 0 && workload.lww_keys == 0 {
            self.refuse("workload.keys", "0, and `lww_keys` is 0 too: at least one key is needed");
        }
        self.range("workload.hot_per_mille", workload.hot_per_mille, 0..=1_000);
        self.range("workload.oversize_per_mille", workload.oversize_per_mille, 0..=1_000);
        self.range("workload.ttl_per_mille", workload.ttl_per_mille, 0..=1_000);
        let value_bytes_max = RECORD_BYTES_MAX_DEFAULT as u64;
        self.range("workload.value_bytes", workload.value_bytes, 0..=value_bytes_max);
        self.range("workload.keyspaces", workload.keyspaces, 0..=KEYSPACES_MAX);
        let mix = &workload.mix;
        if [mix.get, mix.modify, mix.follow, mix.blind, mix.delete].iter().all(|&w| w == 0) {
            self.refuse("workload.mix", "every weight is 0");
        }
        if workload.levels.is_empty() {
            self.refuse("workload.levels", "at least one level is needed");
        }
        for (index, level) in workload.levels.iter().enumerate() {
            if let Err(error) = level.parse::<Level>() {
                self.refuse(format!("workload.levels[{index}]"), error.to_string());
            }
        }
    }

    fn faults(&mut self, plan: &Plan) {
        let mut latest = 0;
        for (index, fault) in plan.faults.iter().enumerate() {
            if fault.at_ms < latest {
                let what = format!("{} is before the fault above: keep their order", fault.at_ms);
                self.refuse(format!("faults[{index}].at_ms"), what);
            }
            latest = fault.at_ms;
            self.range(&format!("faults[{index}].at_ms"), fault.at_ms, 0..=plan.safety_ms);
            self.fault(index, fault, plan.shape.nodes());
        }
    }

    fn fault(&mut self, index: usize, fault: &Fault, nodes: u16) {
        let field = |name: &str| format!("faults[{index}].kind.{}.{name}", fault.kind.name());
        for node in fault.kind.nodes().into_iter().filter(|&node| node >= nodes) {
            self.refuse(field("node"), format!("there is no node {node}, only {nodes} nodes"));
        }
        match &fault.kind {
            FaultKind::Slow { factor, .. } => self.range(&field("factor"), *factor, 1..=1_000),
            FaultKind::Cut { from, to } => self.link_ends(&field, from, to),
            FaultKind::Degrade { from, to, loss_per_mille, duplicate_per_mille, .. } => {
                self.link_ends(&field, from, to);
                self.range(&field("loss_per_mille"), *loss_per_mille, 0..=1_000);
                self.range(&field("duplicate_per_mille"), *duplicate_per_mille, 0..=1_000);
            }
            FaultKind::DiskErrors { per_mille, .. } => {
                self.range(&field("per_mille"), *per_mille, 1..=1_000);
            }
            FaultKind::BitRot { bits, .. } => self.range(&field("bits"), *bits, 1..=1_000_000),
            FaultKind::Kill { .. }
            | FaultKind::KillAtDiskCall { .. }
            | FaultKind::Stop { .. }
            | FaultKind::Wipe { .. }
            | FaultKind::Pause { .. }
            | FaultKind::DiskFull { .. }
            | FaultKind::DiskStall { .. }
            | FaultKind::Misdirect { .. }
            | FaultKind::ClockJump { .. } => {}
        }
    }

    fn link_ends(&mut self, field: &dyn Fn(&str) -> String, from: &[u16], to: &[u16]) {
        if from.is_empty() {
            self.refuse(field("from"), "no node");
        }
        if to.is_empty() {
            self.refuse(field("to"), "no node");
        }
    }
}

#[cfg(test)]
mod tests;
