//! `atoll dev`: a cluster on this machine, and steering the one that runs.
//!
//! The work is done by [`crate::dev`]. Its folder is `.atoll` here, where every other command looks for a profile. The
//! nodes of a local cluster always accept `atoll fault`: that is what it is for.

use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand};

use super::exit::Error;
use super::flags::flag;
use super::output::Console;
use crate::dev::{DevOptions, Restart, Verb, print_states, run, steer};
use crate::net::FaultPolicy;
use crate::node::Wan;

/// Where the cluster lives unless the command line says otherwise; `find_profile` looks there.
const DIRECTORY: &str = ".atoll";

/// Run a whole cluster on this machine, or steer the one that runs
#[derive(Debug, Args)]
pub(super) struct DevArgs {
    #[command(subcommand)]
    command: Option<DevCommand>,
    /// The topology; else that of the folder, else three datacenters of three nodes
    #[arg(long, value_name = "FILE")]
    topology: Option<PathBuf>,
    /// Folder of the cluster's certificates, data and logs
    #[arg(long, value_name = "DIR", default_value = DIRECTORY, global = true)]
    dir: PathBuf,
    /// Emulate the round-trip times between the topology's datacenters
    #[arg(long, action = ArgAction::SetTrue, value_parser = flag(Wan::Real, Wan::Emulated))]
    wan: Wan,
    /// Leave nodes that die dead
    #[arg(long = "no-restart", action = ArgAction::SetTrue, value_parser = flag(Restart::AfterPause, Restart::Never))]
    restart: Restart,
}

/// What to do to nodes of the cluster that runs.
#[derive(Debug, Subcommand)]
enum DevCommand {
    /// End nodes with SIGKILL and keep them down
    Kill(TargetArgs),
    /// Stop nodes cleanly and keep them down
    Stop(TargetArgs),
    /// Start nodes again
    Start(TargetArgs),
}

/// Which nodes.
#[derive(Debug, Args)]
struct TargetArgs {
    /// A node, or a datacenter for all its nodes
    #[arg(value_name = "NODE|DC")]
    target: String,
}

/// `atoll dev …`.
pub(super) async fn dev(args: DevArgs, console: &mut Console) -> Result<(), Error> {
    let DevArgs { command, topology, dir, wan, restart } = args;
    let options = DevOptions { topology, dir, wan, restart, faults: FaultPolicy::Allowed };
    let (out, _) = console.writers();
    let Some(command) = command else {
        return run(&options, out).await.map_err(Error::Dev);
    };
    let is_plain = options.topology.is_none() && wan == Wan::Real && restart == Restart::AfterPause;
    if !is_plain {
        let what = "--topology, --wan and --no-restart belong to the start of a cluster";
        return Err(Error::usage(what, "leave them out: this steers the one that runs"));
    }
    let (verb, TargetArgs { target }) = match command {
        DevCommand::Kill(target) => (Verb::Kill, target),
        DevCommand::Stop(target) => (Verb::Stop, target),
        DevCommand::Start(target) => (Verb::Start, target),
    };
    let states = steer(&options.dir, verb, &target).await.map_err(Error::Dev)?;
    print_states(&states, out).map_err(Error::Output)
}
