//! `atoll status`: every node of the cluster, and what can be done with those that are up.
//!
//! 1. Ask one node for the topology and the keyspaces, and one for a report on every node.
//! 2. Compute, per datacenter and over all keyspaces, which partitions have a LOCAL_QUORUM (`health.rs`).
//! 3. Print, grouped by datacenter. With `--check` a cluster that is not whole is exit code 8.
//!
//! With `--storage` it shows the storage engines instead (`storage.rs`).
//!
//! Round-trip times are those to one node that is named above the table: each node tells its own.
//!
//! Invariants
//! - A column exists only if nodes tell what is in it.

mod health;
mod report;
mod storage;

use atoll_client::{ClusterView, NodeReport, Role};
use atoll_protocol::wire::{NodeState, NodeStatus, SuspicionState, SuspicionStatus};
use clap::{ArgAction, Args};

use super::common::{ConnectArgs, ReportArg};
use super::context::connect;
use super::exit::Error;
use super::flags::flag;
use super::output::{Align, Columns, Console, NOTHING, ReportFormat, round_trip, size, span};
use health::{DcHealth, Health};

#[cfg(test)]
mod tests;

/// Show every node of the cluster
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Exit with code 8 if a node is down or a partition lacks a LOCAL_QUORUM
    #[arg(long)]
    check: bool,
    /// Show the storage engines of the nodes instead: what they hold, do in the background and wait for
    #[arg(long = "storage", action = ArgAction::SetTrue, conflicts_with = "check", value_parser = flag(Subject::Nodes, Subject::Storage))]
    subject: Subject,
    #[command(flatten)]
    output: ReportArg,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// The nodes and what can be done with them.
    Nodes,
    /// Their storage engines.
    Storage,
}

/// All that is shown.
struct Status {
    view: ClusterView,
    reports: Vec<NodeReport>,
    health: Health,
}

/// `atoll status`.
pub(super) async fn status(args: StatusArgs, console: &mut Console) -> Result<(), Error> {
    let client = connect(&args.connect, Role::Client).await?;
    if args.subject == Subject::Storage {
        let reports = client.storage().await.map_err(Error::read)?;
        client.close().await;
        return match args.output.output {
            ReportFormat::Table => console.data(storage::lines(&reports).join("\n")),
            ReportFormat::Json => console.json(&storage::document(&reports)),
        };
    }
    let view = client.cluster().await.map_err(Error::read)?;
    let reports = client.status().await.map_err(Error::read)?;
    client.close().await;
    let health = Health::of(&view, &reports);
    let status = Status { view, reports, health };
    match args.output.output {
        ReportFormat::Table => console.data(status.lines().join("\n"))?,
        ReportFormat::Json => console.json(&report::of(&status))?,
    }
    if args.check && !status.health.problems.is_empty() {
        return Err(Error::Degraded { problems: status.health.problems });
    }
    Ok(())
}

impl Status {
    /// The node that round-trip times are measured to: the one that answered, unless it fell silent since.
    fn reference(&self) -> Option<&NodeReport> {
        let is_up = |report: &&NodeReport| matches!(report.state, NodeState::Up(_));
        let mut up = self.reports.iter().filter(is_up);
        let asked = up.clone().find(|report| report.node == self.view.answered_by);
        asked.or_else(|| up.next())
    }

    fn lines(&self) -> Vec<String> {
        let topology = &self.view.topology;
        let mut lines = vec![format!(
            "cluster {}   epoch {}   {} DCs  {} nodes   health {}",
            topology.cluster(),
            topology.epoch(),
            topology.dcs().len(),
            topology.nodes().len(),
            self.health.verdict()
        )];
        if let Some(reference) = self.reference() {
            lines.push(format!("rtt to {}", reference.node));
        }
        // One table for all datacenters, so that their columns stand below each other.
        let table = self.table();
        let mut rows = table.lines(2);
        let header = rows.next().unwrap_or_default();
        let mut rows: std::collections::VecDeque<String> = rows.collect();
        for dc in &self.health.dcs {
            lines.push(String::new());
            lines.push(heading(dc));
            lines.push(header.clone());
            let count = self.reports.iter().filter(|report| report.dc == dc.dc).count();
            lines.extend(rows.drain(..count.min(rows.len())));
        }
        lines
    }

    fn table(&self) -> Columns {
        let mut table = Columns::new(&[
            ("ST", Align::Left),
            ("NODE", Align::Left),
            ("ADDRESS", Align::Left),
            ("RACK", Align::Left),
            ("VERSION", Align::Left),
            ("UPTIME", Align::Right),
            ("OWNS", Align::Right),
            ("DATA", Align::Right),
            ("TABLES", Align::Right),
            ("CONNS", Align::Right),
            ("RTT", Align::Right),
            ("PUTS", Align::Right),
            ("GETS", Align::Right),
            ("MISSED", Align::Right),
            ("REPAIRED", Align::Right),
            ("NOTE", Align::Left),
        ]);
        let reference = self.reference();
        for dc in &self.health.dcs {
            for report in self.reports.iter().filter(|report| report.dc == dc.dc) {
                table.row(row(report, reference, &self.view));
            }
        }
        table
    }
}

/// The line above the nodes of a datacenter.
fn heading(dc: &DcHealth) -> String {
    format!(
        "DC {}   {}/{} up   rf {}   LOCAL_QUORUM {}   ALL {}",
        dc.dc,
        dc.up,
        dc.nodes,
        dc.replication_factor,
        dc.share(dc.without_quorum),
        dc.share(dc.without_all)
    )
}

fn row(report: &NodeReport, reference: Option<&NodeReport>, view: &ClusterView) -> Vec<String> {
    let owns = format!("{}.{}%", report.owns_per_mille / 10, report.owns_per_mille % 10);
    let (node, rack) = (report.node.to_string(), report.rack.to_string());
    let nothing = || NOTHING.to_owned();
    match &report.state {
        NodeState::Up(status) => {
            let rtt = reference.and_then(|reference| rtt_to(status, reference));
            let connected = status.peers.iter().filter(|peer| peer.rtt.is_some()).count();
            let connections = u64::from(status.clients) + u64::try_from(connected).unwrap_or(0);
            vec![
                "UN".to_owned(),
                node,
                report.address.clone(),
                rack,
                status.version.clone(),
                span(status.uptime),
                owns,
                size(status.data_bytes),
                status.tables.to_string(),
                connections.to_string(),
                rtt.map_or_else(nothing, round_trip),
                status.puts.to_string(),
                status.gets.to_string(),
                status.missed.to_string(),
                status.repaired.to_string(),
                note(report, status, view),
            ]
        }
        NodeState::Down { silent_for, reason } => {
            let mut row = vec!["DN".to_owned(), node, report.address.clone(), rack];
            row.extend([nothing(), nothing(), owns]);
            row.extend(std::iter::repeat_with(nothing).take(8));
            row.push(match silent_for {
                Some(silent) => format!("silent {}: {reason}", span(*silent)),
                None => reason.clone(),
            });
            row
        }
    }
}

/// The round-trip time from the node with `status` to `reference`.
fn rtt_to(status: &NodeStatus, reference: &NodeReport) -> Option<std::time::Duration> {
    status.peers.iter().find(|peer| peer.node == reference.node)?.rtt
}

/// What an operator should look at.
fn note(report: &NodeReport, status: &NodeStatus, view: &ClusterView) -> String {
    let mut notes = Vec::new();
    if status.epoch != view.topology.epoch() {
        notes.push(format!("epoch {}", status.epoch));
    }
    let lost = status.peers.iter().filter(|peer| peer.rtt.is_none());
    let lost: Vec<&str> = lost.map(|peer| peer.node.as_str()).collect();
    if !lost.is_empty() {
        notes.push(format!("no link to {}", lost.join(" ")));
    }
    notes.extend(status.suspicions.iter().map(distrust));
    if status.lww_dropped > 0 {
        notes.push(format!("{} lww write(s) dropped", status.lww_dropped));
    }
    debug_assert!(status.peers.iter().all(|peer| peer.node != report.node));
    notes.join(", ")
}

/// Whom a node does not believe to be alive, since when, and who does not hear it.
fn distrust(suspicion: &SuspicionStatus) -> String {
    let verb = match suspicion.state {
        SuspicionState::Suspect => "suspects",
        SuspicionState::Convicted => "convicted",
    };
    let observers: Vec<&str> = suspicion.observers.iter().map(|node| node.as_str()).collect();
    let by = match observers.as_slice() {
        [] => String::new(),
        _ => format!(", not heard by {}", observers.join(" ")),
    };
    format!("{verb} {} ({}{by})", suspicion.node, span(suspicion.since))
}
