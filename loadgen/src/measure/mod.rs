//! What a run measures, in forms that can be added exactly. Pure, except for the locks in `shards.rs`.
//!
//! ```text
//! requests ─▶ Shards ─ every second ─▶ Sample ─▶ other processes' Samples added ─▶ Interval ─▶ report
//! ```
//!
//! `histo.rs` is a latency histogram and its text form, `tally.rs` the counts of one series, a [`Sample`] those of all.
//!
//! Invariants
//! - Adding is exact: percentiles are computed once, from the sum; they are never averaged.

mod histo;
mod shards;
mod tally;

pub(crate) use histo::Histo;
pub(crate) use shards::{Done, Shards, Wait};
pub(crate) use tally::{Facts, Interval, Phase, Precedence, Sample, Series, Tally, Usage};
