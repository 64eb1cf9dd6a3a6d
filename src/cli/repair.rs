//! `atoll repair status|start|pause`: anti-entropy, for those who want it now, or not now.
//!
//! It runs by itself; nothing here has to be typed. Starting and pausing needs the profile's admin certificate.
//!
//! Invariant: member names of the document are stable: scripts depend on them.

use atoll_client::{RepairCommand, RepairReport, RepairStatus, Role};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::common::{NodeJson, ReachArgs, all_told};
use super::context::connect;
use super::exit::Error;
use super::output::{Align, Columns, Console, NOTHING, ReportFormat, size, span};

#[cfg(test)]
mod tests;

/// Show, start and pause the comparison of replicas, which otherwise runs by itself
#[derive(Debug, Args)]
pub(super) struct RepairArgs {
    #[command(subcommand)]
    command: What,
}

/// What to do with it.
#[derive(Debug, Subcommand)]
enum What {
    /// Show how far every node is
    Status(ReachArgs),
    /// Compare everything now, and go on if it was paused; needs the profile's admin certificate
    Start(ReachArgs),
    /// Begin no comparison until `start`, or until a node starts again; needs the profile's admin certificate
    Pause(ReachArgs),
}

/// What a node tells. Counters are since it started.
#[derive(Serialize)]
struct FactsJson {
    paused: bool,
    cycle_seconds: u64,
    pending: u64,
    last_round_seconds: Option<u64>,
    compared: u64,
    differed: u64,
    records_fetched: u64,
    records_sent: u64,
    wire_bytes: u64,
    failed: u64,
    wrong_trees: u64,
}

/// `atoll repair …`.
pub(super) async fn repair(args: RepairArgs, console: &mut Console) -> Result<(), Error> {
    let (command, role, reach) = match args.command {
        What::Status(reach) => (RepairCommand::Status, Role::Client, reach),
        What::Start(reach) => (RepairCommand::Start, Role::Admin, reach),
        What::Pause(reach) => (RepairCommand::Pause, Role::Admin, reach),
    };
    let client = connect(&reach.connect, role).await?;
    let reports = client.repair(command).await.map_err(Error::read)?;
    client.close().await;
    match reach.output.output {
        ReportFormat::Table => console.data(table(&reports).render(0))?,
        ReportFormat::Json => console.json(&document(&reports))?,
    }
    if command == RepairCommand::Status {
        return Ok(());
    }
    all_told(reports.iter().map(|report| (&report.node, report.told.as_ref().err())))
}

fn table(reports: &[RepairReport]) -> Columns {
    let mut table = Columns::new(&[
        ("NODE", Align::Left),
        ("DC", Align::Left),
        ("STATE", Align::Left),
        ("PENDING", Align::Right),
        ("LAST ROUND", Align::Right),
        ("CYCLE", Align::Right),
        ("COMPARED", Align::Right),
        ("DIFFERED", Align::Right),
        ("FETCHED", Align::Right),
        ("SENT", Align::Right),
        ("WIRE", Align::Right),
        ("FAILED", Align::Right),
        ("NOTE", Align::Left),
    ]);
    for report in reports {
        let names = [report.node.to_string(), report.dc.to_string()];
        let facts = match &report.told {
            Ok(status) => [
                if status.paused { "paused" } else { "running" }.to_owned(),
                status.pending.to_string(),
                status.last_round.map_or(NOTHING.to_owned(), |ago| format!("{} ago", span(ago))),
                span(status.cycle),
                status.compared.to_string(),
                status.differed.to_string(),
                status.fetched.to_string(),
                status.sent.to_string(),
                size(status.wire_bytes),
                status.failed.to_string(),
                note(status),
            ],
            Err(reason) => {
                let mut facts = [(); 11].map(|()| NOTHING.to_owned());
                if let Some(last) = facts.last_mut() {
                    last.clone_from(reason);
                }
                facts
            }
        };
        table.row(names.into_iter().chain(facts));
    }
    table
}

fn note(status: &RepairStatus) -> String {
    match status.wrong_trees {
        0 => String::new(),
        wrong => format!("{wrong} wrong trees; see its log"),
    }
}

fn document(reports: &[RepairReport]) -> Vec<NodeJson<'_, FactsJson>> {
    let nodes = reports.iter();
    nodes.map(|report| NodeJson::new((&report.node, &report.dc), &report.told, facts)).collect()
}

fn facts(status: &RepairStatus) -> FactsJson {
    FactsJson {
        paused: status.paused,
        cycle_seconds: status.cycle.as_secs(),
        pending: status.pending,
        last_round_seconds: status.last_round.map(|ago| ago.as_secs()),
        compared: status.compared,
        differed: status.differed,
        records_fetched: status.fetched,
        records_sent: status.sent,
        wire_bytes: status.wire_bytes,
        failed: status.failed,
        wrong_trees: status.wrong_trees,
    }
}
