//! `loadgen`: the load generator of Atoll. Open loop, free of coordinated omission, with exact histograms.
//!
//! ```text
//! cli ─▶ sweep ─▶ conduct ─▶ agent ─▶ SDK ─▶ cluster          act
//!          │         │         │
//!       search    report    draws, workload, arrivals, measure     decide
//! ```
//!
//! 1. `cli` turns arguments into a checked `plan`; `conduct` runs it in one process or several (`agent`).
//! 2. Every second each process passes on what it measured; sums are exact, percentiles come last.
//! 3. `report` keeps everything in one document, and makes the other formats from it.
//!
//! Invariants
//! - When a request is due never depends on an answer, except in a closed loop, and then the report says so.
//! - Everything below `agent` in this list is pure, except `system`, `console` and `clock`.
//!
//! Modules are in layer order: a module uses only modules listed below itself.

#![forbid(unsafe_code)]

mod cli;
mod conduct;
mod agent;
mod report;
mod stats;
mod slo;
mod search;
mod draws;
mod plan;
mod system;
mod measure;
mod workload;
mod arrivals;
mod chance;
mod units;
mod console;
mod error;
mod clock;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request makes and drops some dozens of small values on several threads, in the SDK most of all.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run(std::env::args_os())
}
