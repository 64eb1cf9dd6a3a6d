//! `atoll config`: a node's configuration, checked or shown, without starting the node.
//!
//! `check` says everything that would keep the node from starting:
//!
//! 1. The file itself: unknown keys, values.
//! 2. The topology that it names: all its problems, and that this node is in it, in this datacenter and rack.
//! 3. The credentials: files, expiry, the key's mode, and that the certificate is this node's.
//!
//! Steps 2 and 3 report together. The data directory and the port are not touched.
//!
//! `print` does step 1 and shows what the node would run with, every default filled in and paths as the node would take them.

use std::io;
use std::path::{Path, PathBuf};

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
    Check(FileArgs),
    /// Print it with every default filled in
    Print(FileArgs),
}

/// Which one.
#[derive(Debug, Args)]
struct FileArgs {
    /// The configuration of one node, TOML
    file: PathBuf,
}

/// `atoll config …`.
pub(super) fn config(args: ConfigArgs, env: &Env, console: &mut Console) -> Result<(), Error> {
    match args.command {
        ConfigCommand::Check(FileArgs { file }) => check(file, env, console),
        ConfigCommand::Print(FileArgs { file }) => print(&file, console),
    }
}

fn print(file: &Path, console: &mut Console) -> Result<(), Error> {
    let config = Config::load(file).map_err(Error::Config)?;
    let text = toml::to_string(&config.to_raw()).map_err(|error| Error::Io {
        action: "print the configuration".to_owned(),
        source: io::Error::other(error),
    })?;
    console.data(text.trim_end())
}

fn check(file: PathBuf, env: &Env, console: &mut Console) -> Result<(), Error> {
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
