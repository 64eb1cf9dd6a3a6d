//! `atoll fault`: break and heal links, on nodes that were started with `--allow-faults`.
//!
//! The work is done by [`crate::dev`]; here the words become a [`FaultOrder`]. Needs the profile's admin certificate.

use std::time::Duration;

use atoll_client::{LinkFault, Role};
use clap::{Args, Subcommand};

use super::common::{ConnectArgs, ReportArg, positive_span};
use super::context::connect;
use super::exit::Error;
use super::output::{Console, ReportFormat};
use crate::dev::{FaultOrder, apply, parse_percent, print_reports};

/// Break and heal the links of a cluster that allows it
#[derive(Debug, Args)]
pub(super) struct FaultArgs {
    #[command(subcommand)]
    command: FaultCommand,
}

/// What to do to links.
#[derive(Debug, Subcommand)]
enum FaultCommand {
    /// Let nothing through
    Partition {
        #[command(flatten)]
        sides: SidesArgs,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Make datagrams take longer, in each direction
    Delay {
        /// How much longer, one way, such as 50ms
        #[arg(value_parser = positive_span)]
        delay: Duration,
        #[command(flatten)]
        sides: SidesArgs,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Lose datagrams, in each direction
    Loss {
        /// How many, such as 5% or 0.1%
        #[arg(value_parser = percent)]
        loss: u16,
        #[command(flatten)]
        sides: SidesArgs,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Take back every fault; the delays of --wan stay
    Heal {
        #[command(flatten)]
        how: HowArgs,
    },
    /// Show what is in force
    Show {
        #[command(flatten)]
        how: HowArgs,
    },
}

/// Between whom.
#[derive(Debug, Args)]
struct SidesArgs {
    /// A node or a datacenter
    #[arg(value_name = "NODE|DC")]
    one: String,
    /// Another one [default: everybody else]
    #[arg(value_name = "NODE|DC")]
    other: Option<String>,
}

/// How to ask and print.
#[derive(Debug, Args)]
struct HowArgs {
    #[command(flatten)]
    output: ReportArg,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// `atoll fault …`.
pub(super) async fn fault(args: FaultArgs, console: &mut Console) -> Result<(), Error> {
    let set = |SidesArgs { one, other }, fault| FaultOrder::Set { one, other, fault };
    let (order, HowArgs { output, connect: connection }) = match args.command {
        FaultCommand::Partition { sides, how } => (set(sides, LinkFault::Block), how),
        FaultCommand::Delay { delay, sides, how } => (set(sides, LinkFault::Delay(delay)), how),
        FaultCommand::Loss { loss, sides, how } => (set(sides, LinkFault::LossPerMille(loss)), how),
        FaultCommand::Heal { how } => (FaultOrder::Heal, how),
        FaultCommand::Show { how } => (FaultOrder::Show, how),
    };
    let client = connect(&connection, Role::Admin).await?;
    let reports = apply(&client, &order).await.map_err(Error::Fault)?;
    client.close().await;
    if output.output == ReportFormat::Json {
        return console.json(&reports);
    }
    let (out, talk) = console.writers();
    print_reports(&reports, out, talk).map_err(Error::Output)
}

fn percent(text: &str) -> Result<u16, String> {
    parse_percent(text).map_err(|error| error.to_string())
}
