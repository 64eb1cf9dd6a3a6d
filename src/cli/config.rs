//! `atoll config check`: everything that would keep a node from starting, without starting it.
//!
//! 1. The file itself: unknown keys, values.
//! 2. The topology that it names: all its problems, and that this node is in it, in this datacenter and rack.
//! 3. The credentials: files, expiry, the key's mode, and that the certificate is this node's.
//!
//! Steps 2 and 3 report together. The data directory and the port are not touched.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::exit::Error;
use super::output::Console;
use crate::config::Config;
use crate::env::Env;
use crate::node;

/// Check a node's configuration
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

/// What to do with a configuration.
#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say OK, or everything that is wrong
    Check(CheckArgs),
}

/// Say OK, or everything that is wrong
#[derive(Debug, Args)]
struct CheckArgs {
    /// The configuration of one node, TOML
    file: PathBuf,
}

/// `atoll config …`.
pub(super) fn config(args: ConfigArgs, env: &Env, console: &mut Console) -> Result<(), Error> {
    let ConfigCommand::Check(CheckArgs { file }) = args.command;
    let config = Config::load(&file).map_err(Error::Config)?;
    let checked = node::check(&config, env.wall());
    for warning in &checked.warnings {
        console.talk(format!("warning: {warning}"));
    }
    if checked.problems.is_empty() {
        return console.data(format!("{}: OK", file.display()));
    }
    let problems = checked.problems.into_iter().map(Error::Node).collect();
    Err(Error::Check { path: file, problems })
}
