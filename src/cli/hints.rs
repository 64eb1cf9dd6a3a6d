//! `atoll hints list|replay|drop`: what nodes keep for others that are away.
//!
//! They are delivered by themselves; nothing here has to be typed. Replaying and dropping needs the profile's admin
//! certificate.
//!
//! Invariant: member names of the document are stable: scripts depend on them.

use atoll_client::{HintsCommand, HintsReport, HintsStatus, HintsWaiting, Role};
use atoll_protocol::ids::Name;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::common::{NodeJson, ReachArgs, all_told};
use super::context::connect;
use super::exit::Error;
use super::output::{Align, Columns, Console, NOTHING, ReportFormat, size, span};

#[cfg(test)]
mod tests;

/// Show, deliver and drop what nodes keep for others that are away, which is otherwise delivered by itself
#[derive(Debug, Args)]
pub(super) struct HintsArgs {
    #[command(subcommand)]
    command: What,
}

/// What to do with them.
#[derive(Debug, Subcommand)]
enum What {
    /// Show what every node keeps, and for whom
    List(ReachArgs),
    /// Try again now what waits for its next attempt; needs the profile's admin certificate
    Replay(ReachArgs),
    /// Forget hints; what they cover is compared by anti-entropy. Needs the profile's admin certificate
    Drop(DropArgs),
}

/// Whose hints are dropped.
#[derive(Debug, Args)]
struct DropArgs {
    /// The node that they are for; all nodes if none is named
    #[arg(value_name = "NODE")]
    target: Option<String>,
    #[command(flatten)]
    reach: ReachArgs,
}

/// What a node tells. Counters are since it started.
#[derive(Serialize)]
struct FactsJson<'a> {
    waiting: Vec<WaitingJson<'a>>,
    bytes_max: u64,
    written: u64,
    delivered: u64,
    superseded: u64,
    expired: u64,
    dropped: u64,
    overflowed: u64,
}

/// What waits for one node.
#[derive(Serialize)]
struct WaitingJson<'a> {
    target: &'a str,
    hints: u64,
    bytes: u64,
    oldest_seconds: u64,
}

/// `atoll hints …`.
pub(super) async fn hints(args: HintsArgs, console: &mut Console) -> Result<(), Error> {
    let (command, role, reach) = match args.command {
        What::List(reach) => (HintsCommand::List, Role::Client, reach),
        What::Replay(reach) => (HintsCommand::Replay, Role::Admin, reach),
        What::Drop(DropArgs { target, reach }) => {
            let target = target.map(|name| Name::new(&name)).transpose();
            let target = target.map_err(|error| {
                Error::usage(error.to_string(), "name a node as `atoll status` shows it")
            })?;
            (HintsCommand::Drop { target }, Role::Admin, reach)
        }
    };
    let client = connect(&reach.connect, role).await?;
    let reports = client.hints(command.clone()).await.map_err(Error::read)?;
    client.close().await;
    match reach.output.output {
        ReportFormat::Table => console.data(table(&reports).render(0))?,
        ReportFormat::Json => console.json(&document(&reports))?,
    }
    if command == HintsCommand::List {
        return Ok(());
    }
    all_told(reports.iter().map(|report| (&report.node, report.told.as_ref().err())))
}

/// A line for each pair of holder and target; holders of nothing have one as well.
fn table(reports: &[HintsReport]) -> Columns {
    let mut table = Columns::new(&[
        ("HOLDER", Align::Left),
        ("DC", Align::Left),
        ("TARGET", Align::Left),
        ("HINTS", Align::Right),
        ("BYTES", Align::Right),
        ("OLDEST", Align::Right),
        ("WRITTEN", Align::Right),
        ("DELIVERED", Align::Right),
        ("OTHERWISE ENDED", Align::Right),
        ("OVERFLOWED", Align::Right),
        ("NOTE", Align::Left),
    ]);
    for report in reports {
        let names = [report.node.to_string(), report.dc.to_string()];
        let mut row = |waiting: [String; 4], counters: [String; 4], note: &str| {
            let cells = names.iter().cloned().chain(waiting).chain(counters);
            table.row(cells.chain([note.to_owned()]));
        };
        let nothing = [(); 4].map(|()| NOTHING.to_owned());
        match &report.told {
            Err(reason) => row(nothing.clone(), nothing, reason),
            Ok(status) if status.waiting.is_empty() => {
                let [target, _, _, oldest] = nothing;
                row([target, "0".to_owned(), "0 B".to_owned(), oldest], counters(status), "");
            }
            Ok(status) => {
                for waiting in &status.waiting {
                    row(cells(waiting), counters(status), note(waiting, status.bytes_max));
                }
            }
        }
    }
    table
}

fn cells(waiting: &HintsWaiting) -> [String; 4] {
    let HintsWaiting { target, hints, bytes, oldest } = waiting;
    [target.to_string(), hints.to_string(), size(*bytes), span(*oldest)]
}

fn counters(status: &HintsStatus) -> [String; 4] {
    let otherwise = status.superseded + status.expired + status.dropped;
    [status.written, status.delivered, otherwise, status.overflowed].map(|count| count.to_string())
}

fn note(waiting: &HintsWaiting, bytes_max: u64) -> &'static str {
    let is_near = waiting.bytes >= bytes_max / 10 * 9;
    if is_near { "near its bound; what comes beyond is compared instead" } else { "" }
}

fn document(reports: &[HintsReport]) -> Vec<NodeJson<'_, FactsJson<'_>>> {
    let nodes = reports.iter();
    nodes.map(|report| NodeJson::new((&report.node, &report.dc), &report.told, facts)).collect()
}

fn facts(status: &HintsStatus) -> FactsJson<'_> {
    FactsJson {
        waiting: status.waiting.iter().map(waiting_json).collect(),
        bytes_max: status.bytes_max,
        written: status.written,
        delivered: status.delivered,
        superseded: status.superseded,
        expired: status.expired,
        dropped: status.dropped,
        overflowed: status.overflowed,
    }
}

fn waiting_json(waiting: &HintsWaiting) -> WaitingJson<'_> {
    WaitingJson {
        target: waiting.target.as_str(),
        hints: waiting.hints,
        bytes: waiting.bytes,
        oldest_seconds: waiting.oldest.as_secs(),
    }
}
