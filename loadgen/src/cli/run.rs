//! `load` and `run`: one run, its report, its verdict.

use std::path::Path;

use super::args::{Format, LoadArgs, RunArgs};
use super::setup::{Choice, Wanted, folder, nodes, prepare};
use super::{outcome, show};
use crate::conduct::{Orders, conduct};
use crate::console::{data, talk};
use crate::error::Error;
use crate::plan::{Extent, Kind, Pace, Shortness};
use crate::report::{self, Report};

/// Loads a key space.
///
/// # Errors
/// See [`run`].
pub(super) async fn load(args: LoadArgs) -> Result<(), Error> {
    let pace = match args.rate {
        Some(rate) => Pace::Open { rate: rate as f64, spacing: args.pace.arrivals },
        None => Pace::Closed { callers: args.closed },
    };
    let nodes = nodes(&args.watch)?;
    let (plan, control) = prepare(Wanted {
        kind: Kind::Load,
        pace,
        extent: Extent::Ops(args.workload.keys),
        warmup: std::time::Duration::ZERO,
        shortness: Shortness::Forced,
        spread: &args.pace,
        workload: &args.workload,
        target: &args.target,
        choice: Choice::load(),
    })
    .await?;
    let events = args.watch.events;
    let orders = Orders { plan, control, events, nodes, title: "load".to_owned() };
    let report = conduct(orders).await?;
    deliver(&report, &folder(args.output.out), args.output.output)?;
    outcome::judge(&report, &[])
}

/// Sends requests, and measures.
///
/// # Errors
/// [`Error::InvalidRun`] and [`Error::Missed`], after the report was written; anything else before.
pub(super) async fn run(args: RunArgs) -> Result<(), Error> {
    let pace = match (args.rate, args.closed) {
        (Some(rate), _) => Pace::Open { rate: rate as f64, spacing: args.measured.pace.arrivals },
        (None, Some(callers)) => Pace::Closed { callers },
        (None, None) => return Err(Error::usage("no load: add --rate 1k, or --closed 64")),
    };
    let wanted = Wanted::measured(&args.measured, pace)?;
    let nodes = nodes(&args.watch)?;
    let (plan, control) = prepare(wanted).await?;
    let events = args.watch.events;
    let orders = Orders { plan, control, events, nodes, title: "run".to_owned() };
    let report = conduct(orders).await?;
    deliver(&report, &folder(args.output.out), args.output.output)?;
    outcome::judge(&report, &args.objectives)
}

/// Writes the files, and prints the report.
fn deliver(report: &Report, folder: &Path, format: Format) -> Result<(), Error> {
    let files = report::write(report, folder)?;
    match format {
        Format::Table => data(&show::text(report))?,
        Format::Json => crate::console::json(&show::summary(report))?,
    }
    talk(&format!("wrote {}: {}", folder.display(), files.join(" ")));
    Ok(())
}
