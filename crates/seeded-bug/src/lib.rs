//! Bugs on purpose: one-line mutants of the node, so that the simulator can be tested.
//!
//! A call site reads `if seeded_bug(Mutant::AckBeforeFsync) { … }`. Without the feature `seeded_bug` the condition is
//! the constant `false` and the line is compiled out; with it, one mutant at a time is armed by the simulator.
//!
//! Source of each mutant: a bug that a peer really had; see `docs/simulation.md`.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

/// The mutants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Mutant {
    /// A write is acknowledged before the log is synced.
    AckBeforeFsync,
}

/// Whether `mutant` is armed.
#[inline]
pub const fn seeded_bug(_mutant: Mutant) -> bool {
    false
}
