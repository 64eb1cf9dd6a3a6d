//! The command line: every command, and what several commands share.
//!
//! A command's own arguments stand in its own file. Texts become values here and nowhere later: levels, names, spans and
//! flags are typed when parsing is done, and a wrong one ends the process with exit code 2 before anything else happens.
//!
//! Invariants
//! - No argument is a secret: keys are named by path.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use atoll_protocol::ids::Name;
use atoll_protocol::keyspace::DEFAULT_KEYSPACE_NAME;
use clap::{Args, ColorChoice, Parser, Subcommand};

use super::output::ReportFormat;
use super::{cert, config, data, dev, explain, fault, keyspace, load, node, ring, status};

/// Exit codes, for the end of the help.
const AFTER_HELP: &str = "Exit codes: 0 done, 1 internal, 2 usage, 3 not found, 4 unavailable, 5 deadline (of a write: \
    outcome unknown), 6 conflict (siblings where one value was asked), 7 certificates or TLS, 8 degraded.";

/// Heading of the options that say how to reach the cluster.
const CONNECTION: &str = "Connection";

/// Atoll: a geo-replicated key-value store.
#[derive(Debug, Parser)]
#[command(name = "atoll", version, color = ColorChoice::Never, max_term_width = 110, after_help = AFTER_HELP)]
#[command(disable_help_subcommand = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a value
    Put(data::PutArgs),
    /// Read a value, or all siblings
    Get(data::GetArgs),
    /// Delete what a read sees, or what a context covers
    Delete(data::DeleteArgs),
    /// Load a CSV, TSV or JSON Lines file
    Load(load::LoadArgs),
    /// Show every node of the cluster
    Status(status::StatusArgs),
    /// Show who owns which partitions, or where one key lives
    Ring(ring::RingArgs),
    /// Show the versions of one key at every replica
    Explain(explain::ExplainArgs),
    /// Create, list and show keyspaces
    Keyspace(keyspace::KeyspaceArgs),
    /// Run one node
    Node(node::NodeArgs),
    /// Check a node's configuration
    Config(config::ConfigArgs),
    /// Make and show certificates
    Cert(cert::CertArgs),
    /// See what Atoll does, in two minutes: three datacenters, an ocean, a disaster
    Demo,
    /// Run a whole cluster on this machine, or steer the one that runs
    Dev(dev::DevArgs),
    /// Break and heal the links of a cluster that allows it
    Fault(fault::FaultArgs),
}

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

#[cfg(test)]
mod tests;
