//! Arguments that several commands share, and how their texts become values.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use atoll_protocol::ids::Name;
use atoll_protocol::keyspace::DEFAULT_KEYSPACE_NAME;
use clap::Args;
use serde::Serialize;

use super::exit::Error;
use super::output::ReportFormat;

/// Heading of the options that say how to reach the cluster.
const CONNECTION: &str = "Connection";

/// How to reach the cluster.
#[derive(Clone, Debug, Args)]
pub(super) struct ConnectArgs {
    /// How to reach the cluster and as whom; else $ATOLL_PROFILE, ./.atoll/client.toml, ~/.config/atoll/client.toml
    #[arg(long, value_name = "FILE", help_heading = CONNECTION)]
    pub(super) profile: Option<PathBuf>,
    /// The datacenter that LOCAL means; else the profile's, else the nearest
    #[arg(long, value_name = "DC", help_heading = CONNECTION)]
    pub(super) dc: Option<Name>,
    /// Time that a request may take, such as 500ms; else the profile's, else 1s
    #[arg(long, value_name = "SPAN", value_parser = positive_span, help_heading = CONNECTION)]
    pub(super) deadline: Option<Duration>,
}

/// Which keyspace.
#[derive(Clone, Debug, Args)]
pub(super) struct KeyspaceArg {
    /// Keyspace of the key
    #[arg(long, value_name = "NAME", default_value = DEFAULT_KEYSPACE_NAME)]
    pub(super) keyspace: Name,
}

/// How to print a report.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct ReportArg {
    /// How to print
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = ReportFormat::Table)]
    pub(super) output: ReportFormat,
}

/// Where a command on every node goes, and how its reports are printed.
#[derive(Debug, Args)]
pub(super) struct ReachArgs {
    #[command(flatten)]
    pub(super) output: ReportArg,
    #[command(flatten)]
    pub(super) connect: ConnectArgs,
}

/// What a node told, or why it did not, as JSON.
#[derive(Serialize)]
pub(super) struct NodeJson<'a, F> {
    node: &'a str,
    dc: &'a str,
    error: Option<&'a str>,
    #[serde(flatten)]
    facts: Option<F>,
}

impl<'a, F> NodeJson<'a, F> {
    /// That of a node and its datacenter.
    pub(super) fn new<T>(
        (node, dc): (&'a Name, &'a Name),
        told: &'a Result<T, String>,
        facts: impl FnOnce(&'a T) -> F,
    ) -> Self {
        Self {
            node: node.as_str(),
            dc: dc.as_str(),
            error: told.as_ref().err().map(String::as_str),
            facts: told.as_ref().ok().map(facts),
        }
    }
}

/// Fails if a command that changes something did not reach every node; of each, its name and why it was not told.
pub(super) fn all_told<'a>(
    nodes: impl Iterator<Item = (&'a Name, Option<&'a String>)>,
) -> Result<(), Error> {
    let silent = nodes.filter_map(|(node, reason)| Some((node, reason?)));
    let problems: Vec<String> =
        silent.map(|(node, reason)| format!("{node} was not told: {reason}")).collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::Degraded { problems }) }
}

/// A key as its bytes.
pub(super) fn key_bytes(key: OsString) -> Vec<u8> {
    key.into_vec()
}

/// Reads a span above zero, such as `500ms` or `7d`.
pub(super) fn positive_span(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(span) if !span.is_zero() => Ok(span),
        Ok(_) => Err("it must be above zero".to_owned()),
        Err(error) => {
            Err(format!("{error}; write a number with its unit, such as 500ms, 30s or 7d"))
        }
    }
}
