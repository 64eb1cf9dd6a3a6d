//! What a run leaves behind: one JSON document with everything, and from it the formats that others read.
//!
//! | file | for |
//! |---|---|
//! | `report.json` | `loadgen show` and `compare`, and programs; histograms inside, so that sums stay exact |
//! | `OP.hlog` | HdrHistogram's interval log, a tag for each level and client (`hlog.rs`) |
//! | `OP.hgrm` | HdrHistogram's percentile distribution, for plotters (`hgrm.rs`) |
//! | `report.html` | people: one file, nothing fetched (`page.rs`) |
//!
//! Invariants
//! - All files of a folder come from the same [`Report`]; whoever has `report.json` can make the others again.

mod files;
mod hgrm;
mod hlog;
mod page;
mod schema;

pub(crate) use files::{load, write, write_sweep};
pub(crate) use hgrm::parse as parse_hgrm;
pub(crate) use hlog::parse as parse_hlog;
pub(crate) use schema::{
    Cluster, Event, LinkTime, NodeSecond, NodeTrace, Report, SCHEMA, Sweep, SweepStep, Verdict,
};
