//! Which mutant is on, in a build that has them: one process-wide choice, and a count.
//!
//! The choice is process-wide because call sites lie in functions that are handed nothing: a mutant is measured by a
//! process of its own, or by one seed after the other in the same.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::mutants::Mutant;

/// Nothing is armed.
const NONE: usize = usize::MAX;

static ARMED: AtomicUsize = AtomicUsize::new(NONE);
static REACHED: AtomicU64 = AtomicU64::new(0);

/// Turns `mutant` on and every other one off, and begins to count anew.
pub fn arm(mutant: Option<Mutant>) {
    ARMED.store(mutant.map_or(NONE, Mutant::position), Ordering::SeqCst);
    REACHED.store(0, Ordering::SeqCst);
}

/// The mutant that is on.
pub fn armed() -> Option<Mutant> {
    Mutant::ALL.get(ARMED.load(Ordering::Relaxed)).copied()
}

/// How often the armed mutant's line was run since it was armed.
pub fn reached() -> u64 {
    REACHED.load(Ordering::SeqCst)
}

/// Whether `mutant` is armed; counts if it is.
#[inline]
pub fn seeded_bug(mutant: Mutant) -> bool {
    let is_armed = ARMED.load(Ordering::Relaxed) == mutant.position();
    if is_armed {
        REACHED.fetch_add(1, Ordering::Relaxed);
    }
    is_armed
}
