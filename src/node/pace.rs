//! When background work of the storage engine may go on: pure decisions for `maintenance.rs`.
//!
//! 1. A unit of compaction or relocation that wrote faster than the limit earns a pause ([`plan_pause`]); so that the
//!    device keeps something for reads and for the log.
//! 2. While a pause lasts, one task may still flush, when a memtable is sealed ([`plan_turn`]).
//! 3. Debt comes first: near a bound at which writers would have to do the work themselves, nothing pauses.
//! 4. After a failure nothing but flushes is tried for a while: a damaged table that a compaction meets must not keep
//!    memtables from being flushed.
//!
//! Invariants
//! - A flush is never paced.
//! - The limit holds on average between two debts: a unit that was done out of turn is paid for later.

#[cfg(test)]
mod tests;

use std::time::Duration;

use atoll_protocol::time::MonoTime;
use atoll_storage::Options;

/// How background work is paced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// Bytes per second that compaction and relocation may write; 0 is no limit.
    bytes_per_second_max: u64,
    /// Tables in level 0 at which writers compact themselves.
    tables_l0_max: u64,
    /// Sealed memtables beyond which writers flush themselves.
    memtables_sealed_max: u64,
}

/// Work that waits, of the kinds that writers would have to do themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Debt {
    /// Tables in level 0.
    pub(super) tables_l0: u64,
    /// Memtables that wait for a flush.
    pub(super) memtables_sealed: u64,
}

/// What holds background work back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// The end of the pause of compaction and relocation.
    pub(super) paced_until: MonoTime,
    /// The end of the pause after a failure.
    pub(super) failed_until: MonoTime,
}

/// What a task of maintenance does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Whatever is due.
    Everything,
    /// A memtable waits for its flush, and nothing else is to be begun.
    Flush,
    /// Wait so long, or until something was written.
    Wait(Duration),
}

impl Pacing {
    /// Pacing to `bytes_per_second_max` (0: none) of an engine with `options`.
    pub fn new(options: &Options, bytes_per_second_max: u64) -> Self {
        Self {
            bytes_per_second_max,
            tables_l0_max: options.tables_l0_max as u64,
            memtables_sealed_max: options.memtables_sealed_max as u64,
        }
    }

    /// Whether `debt` is near a bound: two thirds of the tables in level 0, or one memtable short of the bound.
    fn is_near_bound(&self, debt: Debt) -> bool {
        let sealed_near = self.memtables_sealed_max.saturating_sub(1).max(1);
        debt.tables_l0.saturating_mul(3) >= self.tables_l0_max.saturating_mul(2)
            || debt.memtables_sealed >= sealed_near
    }
}

impl Held {
    /// Whether nothing holds anything back at `now`.
    pub(super) fn is_over(&self, now: MonoTime) -> bool {
        now >= self.paced_until && now >= self.failed_until
    }
}

/// The pause after a unit that wrote `written` bytes in `took`: what the limit would have taken, less what was taken.
pub(super) fn plan_pause(written: u64, took: Duration, debt: Debt, pacing: &Pacing) -> Duration {
    if pacing.bytes_per_second_max == 0 || pacing.is_near_bound(debt) {
        return Duration::ZERO;
    }
    let nanos = u128::from(written) * 1_000_000_000 / u128::from(pacing.bytes_per_second_max);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).saturating_sub(took)
}

/// What a task does at `now`.
pub(super) fn plan_turn(now: MonoTime, held: Held, debt: Debt, pacing: &Pacing) -> Turn {
    let failed = held.failed_until.since(now);
    let paced =
        if pacing.is_near_bound(debt) { Duration::ZERO } else { held.paced_until.since(now) };
    let wait = failed.max(paced);
    if wait.is_zero() {
        Turn::Everything
    } else if debt.memtables_sealed > 0 {
        Turn::Flush
    } else {
        Turn::Wait(wait)
    }
}
