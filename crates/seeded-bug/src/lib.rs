//! Bugs on purpose: one-line mutants of the node, so that the simulator can be tested.
//!
//! A simulator that finds nothing proves nothing until it has found what is known to be there. Each [`Mutant`] repeats a
//! bug that a peer or Atoll itself really had, as one line of shipped code; the simulator arms one at a time and must
//! notice.
//!
//! 1. A call site reads `if seeded_bug(Mutant::AckBeforeFsync) { … }`, with the circumstance that the bug needs in front of
//!    the call where looking at it is free, behind it where not.
//! 2. Without the feature `seeded_bug` the condition is the constant `false` and the line is compiled out.
//! 3. With it, `arm` chooses the mutant that is on in this process, and `reached` says how often its line was run: a
//!    mutant that was never reached was not missed by the checkers but by the plan.
//!
//! Invariants
//! - No shipped artefact enables the feature; the crate has no dependencies and does nothing by itself.
//! - At most one mutant is armed: two bugs could hide each other.
//!
//! Source: DeMillo et al., "Hints on Test Data Selection", 1978, for the method; each mutant names its own.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(feature = "seeded_bug")]
mod armed;
mod names;
mod mutants;
mod table;

#[cfg(test)]
mod tests;

pub use mutants::Mutant;
pub use names::ParseMutantError;
pub use table::Finder;

#[cfg(feature = "seeded_bug")]
pub use armed::{arm, armed, reached, seeded_bug};

/// Whether `mutant` is armed: never, in a build without the feature.
#[cfg(not(feature = "seeded_bug"))]
#[inline(always)]
pub const fn seeded_bug(_mutant: Mutant) -> bool {
    false
}
