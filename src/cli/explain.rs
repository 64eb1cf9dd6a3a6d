//! `atoll explain`: what every replica of a key holds.
//!
//! 1. One node asks all replicas for their record: live versions and a digest of the whole record.
//! 2. Replicas with the same digest hold the same record; the others are named.
//! 3. A LOCAL_QUORUM get asked at that node takes the nearest replicas of its datacenter, up to a majority.
//!
//! Invariants
//! - It only reads; no replica is repaired by it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use atoll_client::{Explanation, Name, Role};
use atoll_protocol::token::Token;
use atoll_protocol::version::{Dot, Timestamp};
use atoll_protocol::wire::{ReplicaReport, ReplicaState, VersionSummary};
use clap::Args;

use super::common::{ConnectArgs, KeyspaceArg, ReportArg, key_bytes};
use super::context::connect;
use super::exit::Error;
use super::output::{Align, Columns, Console, NOTHING, ReportFormat, brief, moment, round_trip};

mod json;

#[cfg(test)]
mod tests;

/// Show the versions of one key at every replica
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The key
    key: OsString,
    #[command(flatten)]
    keyspace: KeyspaceArg,
    #[command(flatten)]
    output: ReportArg,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What can be concluded from an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Findings<'a> {
    /// Replicas by what they hold, the largest group first.
    groups: Vec<(Held, Vec<&'a Name>)>,
    /// Every live version with the replicas that hold it.
    versions: BTreeMap<Dot, (&'a VersionSummary, Vec<&'a Name>)>,
    /// Replicas that a LOCAL_QUORUM get in their datacenter would ask.
    serving: BTreeSet<&'a Name>,
    /// Datacenters where too few replicas answer for a LOCAL_QUORUM.
    without_quorum: Vec<&'a Name>,
}

/// What a replica that answered holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    Nothing,
    Record { digest: u128 },
}

/// `atoll explain`.
pub(super) async fn explain(args: ExplainArgs, console: &mut Console) -> Result<(), Error> {
    let ExplainArgs { key, keyspace, output, connect: connection } = args;
    let key = key_bytes(key);
    super::ring::check_key(&key)?;
    let client = connect(&connection, Role::Client).await?;
    let explained = client.explain(keyspace.keyspace.as_str(), &key).await.map_err(Error::read)?;
    client.close().await;
    let findings = Findings::of(&explained);
    match output.output {
        ReportFormat::Json => console.json(&json::ExplainJson::of(&explained, &findings)),
        ReportFormat::Table => {
            let keyspace = &keyspace.keyspace;
            console.data(format!("key        {}   keyspace {keyspace}", brief(&key)))?;
            print(&explained, &findings, console)
        }
    }
}

impl<'a> Findings<'a> {
    fn of(explained: &'a Explanation) -> Self {
        let mut groups: BTreeMap<Held, Vec<&Name>> = BTreeMap::new();
        let mut versions: BTreeMap<Dot, (&VersionSummary, Vec<&Name>)> = BTreeMap::new();
        for report in &explained.replicas {
            match &report.state {
                ReplicaState::Present { versions: live, digest } => {
                    groups.entry(Held::Record { digest: *digest }).or_default().push(&report.node);
                    for version in live {
                        let found = versions.entry(version.dot);
                        found.or_insert_with(|| (version, Vec::new())).1.push(&report.node);
                    }
                }
                ReplicaState::Absent => groups.entry(Held::Nothing).or_default().push(&report.node),
                ReplicaState::Unreachable { .. } => {}
            }
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(_, nodes)| std::cmp::Reverse(nodes.len()));
        let (serving, without_quorum) = local_quorums(&explained.replicas);
        Self { groups, versions, serving, without_quorum }
    }

    /// Whether all replicas that answered hold the same, in words.
    fn agreement(&self, replicas: &[ReplicaReport]) -> String {
        let answered: usize = self.groups.iter().map(|(_, nodes)| nodes.len()).sum();
        let silent = match replicas.len() - answered {
            0 => String::new(),
            silent => format!("; {silent} did not answer"),
        };
        match self.groups.as_slice() {
            [] => "no replica answered".to_owned(),
            [(Held::Nothing, _)] => format!("no replica holds the key{silent}"),
            [_] => match answered {
                1 => format!("one replica holds the record{silent}"),
                _ => format!("all {answered} replicas that answered hold the same record{silent}"),
            },
            [(_, most), ..] if most.len() == 1 => {
                format!("no two of {answered} replicas hold the same record{silent}")
            }
            [(_, most), others @ ..] => {
                let differ = others.iter().flat_map(|(_, nodes)| nodes);
                let differ: Vec<&str> = differ.map(|node| node.as_str()).collect();
                format!(
                    "{} of {answered} replicas hold the same record; {} differ(s){silent}",
                    most.len(),
                    differ.join(" ")
                )
            }
        }
    }
}

/// The replicas that LOCAL_QUORUM gets would ask, and the datacenters that lack a majority.
fn local_quorums(replicas: &[ReplicaReport]) -> (BTreeSet<&Name>, Vec<&Name>) {
    let mut by_dc: BTreeMap<&Name, Vec<&ReplicaReport>> = BTreeMap::new();
    for report in replicas {
        by_dc.entry(&report.dc).or_default().push(report);
    }
    let (mut serving, mut without_quorum) = (BTreeSet::new(), Vec::new());
    for (dc, mut reports) in by_dc {
        let majority = reports.len() / 2 + 1;
        reports.retain(|report| !matches!(report.state, ReplicaState::Unreachable { .. }));
        if reports.len() < majority {
            without_quorum.push(dc);
            continue;
        }
        reports.sort_by_key(|report| report.local_order);
        serving.extend(reports.into_iter().take(majority).map(|report| &report.node));
    }
    (serving, without_quorum)
}

fn print(
    explained: &Explanation,
    findings: &Findings<'_>,
    console: &mut Console,
) -> Result<(), Error> {
    let Explanation { token, partition, replicas, fallbacks } = explained;
    console.data(format!("token      {}   partition {partition}", Token(*token)))?;
    console.data(format!("replicas   {}", findings.agreement(replicas)))?;
    if !fallbacks.is_empty() {
        let names: Vec<&str> = fallbacks.iter().map(Name::as_str).collect();
        console.data(format!("fallbacks  {}", names.join(" ")))?;
    }
    console.data("")?;
    console.data(replica_table(replicas, findings).render(0))?;
    if !findings.versions.is_empty() {
        console.data("")?;
        console.data(version_table(findings).render(0))?;
    }
    for dc in &findings.without_quorum {
        console.talk(format!("a LOCAL_QUORUM in {dc} is not possible now"));
    }
    Ok(())
}

fn replica_table(replicas: &[ReplicaReport], findings: &Findings<'_>) -> Columns {
    let mut table = Columns::new(&[
        ("DC", Align::Left),
        ("NODE", Align::Left),
        ("RACK", Align::Left),
        ("VERSIONS", Align::Right),
        ("RECORD", Align::Left),
        ("LOCAL_QUORUM", Align::Left),
        ("RTT", Align::Right),
        ("NOTE", Align::Left),
    ]);
    for report in replicas {
        let (versions, record, note) = match &report.state {
            ReplicaState::Present { versions, digest } => {
                (versions.len().to_string(), short(*digest), String::new())
            }
            ReplicaState::Absent => ("0".to_owned(), "none".to_owned(), String::new()),
            ReplicaState::Unreachable { reason } => {
                (NOTHING.to_owned(), NOTHING.to_owned(), reason.clone())
            }
        };
        let serves = if findings.serving.contains(&report.node) { "serves" } else { NOTHING };
        table.row([
            report.dc.to_string(),
            report.node.to_string(),
            report.rack.to_string(),
            versions,
            record,
            serves.to_owned(),
            report.rtt.map_or_else(|| NOTHING.to_owned(), round_trip),
            note,
        ]);
    }
    table
}

fn version_table(findings: &Findings<'_>) -> Columns {
    let mut table = Columns::new(&[
        ("VERSION", Align::Left),
        ("WRITTEN", Align::Left),
        ("BYTES", Align::Right),
        ("HELD BY", Align::Left),
    ]);
    for (dot, (version, nodes)) in &findings.versions {
        let length =
            version.length.map_or_else(|| "deleted".to_owned(), |length| length.to_string());
        let nodes: Vec<&str> = nodes.iter().map(|node| node.as_str()).collect();
        table.row([dot.to_string(), moment(when(version.timestamp)), length, nodes.join(" ")]);
    }
    table
}

/// The beginning of a digest: enough to tell a dozen records apart.
fn short(digest: u128) -> String {
    format!("{digest:032x}").chars().take(8).collect()
}

fn when(timestamp: Timestamp) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_micros(timestamp.0)).unwrap_or(UNIX_EPOCH)
}
