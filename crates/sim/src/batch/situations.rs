//! Situations that a good batch reaches: rare branches with a name, counted where they happen.
//!
//! A name is listed here when the code that counts it is written; the summary lists those that no seed reached.

/// Every name that a run may count.
pub const KNOWN: &[&str] = &[];
