//! The command line: every command.
//!
//! A command's own arguments stand in its own file. Texts become values here and nowhere later: levels, names, spans and
//! flags are typed when parsing is done, and a wrong one ends the process with exit code 2 before anything else happens.
//!
//! Invariants
//! - No argument is a secret: keys are named by path.

use clap::{ColorChoice, Parser, Subcommand};

use super::{
    cert, config, data, dev, explain, fault, hints, keyspace, load, node, repair, ring, status,
    storage, tombstones,
};

/// Exit codes, for the end of the help.
const AFTER_HELP: &str = "Exit codes: 0 done, 1 internal, 2 usage, 3 not found, 4 unavailable, 5 deadline (of a write: \
    outcome unknown), 6 conflict (siblings where one value was asked), 7 certificates or TLS, 8 degraded or damaged.";

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
    /// Show, deliver and drop what nodes keep for others that are away, which is otherwise delivered by itself
    Hints(hints::HintsArgs),
    /// Show, start and pause the comparison of replicas, which otherwise runs by itself
    Repair(repair::RepairArgs),
    /// Show which deletions and expired values wait to be purged, and for whom
    Tombstones(tombstones::TombstonesArgs),
    /// Run one node
    Node(node::NodeArgs),
    /// Check a node's configuration
    Config(config::ConfigArgs),
    /// Check and show a store on disk, without a node
    Storage(storage::StorageArgs),
    /// Make and show certificates
    Cert(cert::CertArgs),
    /// See what Atoll does, in two minutes: three datacenters, an ocean, a disaster
    Demo,
    /// Run a whole cluster on this machine, or steer the one that runs
    Dev(dev::DevArgs),
    /// Break and heal the links of a cluster that allows it
    Fault(fault::FaultArgs),
}

#[cfg(test)]
mod tests;
