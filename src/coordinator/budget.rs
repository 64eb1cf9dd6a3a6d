//! The budget of speculative reads: one for every twenty gets, and a few in advance.
//!
//! A peer that is slow for everybody makes every get want a speculative read; sending them would double the load of those
//! that are not slow yet.
//!
//! Invariants
//! - Since its birth a budget has paid for at most [`IN_ADVANCE`] reads, plus one for each [`GETS_PER_READ`] gets.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

use atoll_seeded_bug::{Mutant, seeded_bug};

/// Gets that earn one speculative read: 5 %.
pub const GETS_PER_READ: u64 = 20;

/// Speculative reads that can be saved up, and that a budget begins with: enough for the gets that meet a peer in the
/// moment in which it falls silent.
pub const IN_ADVANCE: u64 = 10;

/// What gets have earned, in shares of [`GETS_PER_READ`] to a read.
#[derive(Debug)]
pub(super) struct HedgeBudget {
    shares: AtomicU64,
}

impl HedgeBudget {
    /// A full one.
    pub(super) fn new() -> Self {
        Self { shares: AtomicU64::new(IN_ADVANCE * GETS_PER_READ) }
    }

    /// A get was admitted.
    pub(super) fn earn(&self) {
        let full = IN_ADVANCE * GETS_PER_READ;
        // Full stays full; a failed update changes nothing.
        let _ = self.shares.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |shares| {
            (shares < full).then_some(shares + 1)
        });
    }

    /// Pays for `reads`, or for none of them.
    pub(super) fn pay(&self, reads: u64) -> Paid {
        let spend = |shares: u64| shares.checked_sub(reads * GETS_PER_READ);
        match self.shares.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend) {
            Ok(_) => Paid::InFull,
            Err(_) if seeded_bug(Mutant::HedgeBudgetIgnored) => Paid::InFull,
            Err(_) => Paid::Nothing,
        }
    }
}

/// Whether a budget paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paid {
    /// For everything.
    InFull,
    /// There is too little left.
    Nothing,
}
