//! The command line: parse, dispatch, print, exit.
//!
//! ```text
//! argv ─▶ args.rs ─▶ one file per command ─▶ SDK │ node │ cert │ config │ dev │ demo
//!                         │        │
//!                  output.rs      exit.rs
//!            data: stdout         error: text on stderr, exit code
//!            talk: stderr
//! ```
//!
//! 1. [`run`] parses; a mistake, `--help` and `--version` end here.
//! 2. The command runs on a tokio runtime: one thread is enough for a request, a node gets two workers.
//! 3. What it returns becomes an exit code (`exit.rs`).
//!
//! Invariants
//! - Data goes to stdout, everything else to stderr; there is no colour.
//! - A closed pipe ends a command quietly.

mod args;
mod cert;
mod common;
mod config;
mod context;
mod data;
mod demo;
mod dev;
mod exit;
mod explain;
mod fault;
mod flags;
mod keyspace;
mod load;
mod log;
mod node;
mod output;
mod hints;
mod repair;
mod tombstones;
mod ring;
mod status;
mod storage;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use tokio::runtime::{Builder, Runtime};

use crate::env::RealEnv;
use args::{Cli, Command};
use exit::{Error, exit_code, message};
use output::Console;

/// Worker threads of long commands that ask nodes: what they do is little beside what nodes do.
const WORKERS: usize = 2;

/// Runs the command that `arguments` name, the program's name first, and returns the process's exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut console = Console::of_process();
    let ended = match Cli::try_parse_from(arguments) {
        Ok(cli) => carry_out(cli.command, &mut console),
        Err(error) => return refuse(&error, &mut console),
    };
    match ended.and_then(|()| console.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What was printed before the error is data all the same.
            let _ = console.flush();
            if !error.is_broken_pipe() {
                console.talk(message(&error));
            }
            ExitCode::from(exit_code(&error))
        }
    }
}

/// Help and version go to stdout, mistakes to stderr.
fn refuse(error: &clap::Error, console: &mut Console) -> ExitCode {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed pipe is nobody's error.
            let _ = console.bytes(text.as_bytes()).and_then(|()| console.flush());
            ExitCode::SUCCESS
        }
        _ => {
            console.talk(text.trim_end());
            ExitCode::from(2)
        }
    }
}

fn carry_out(command: Command, console: &mut Console) -> Result<(), Error> {
    if !matches!(command, Command::Node(_)) {
        log::start_if_asked()?;
    }
    let runtime = runtime_for(&command).map_err(Error::io("start the runtime"))?;
    runtime.block_on(async {
        match command {
            Command::Put(args) => data::put(args, console).await,
            Command::Get(args) => data::get(args, console).await,
            Command::Delete(args) => data::delete(args, console).await,
            Command::Load(args) => load::load(args, console).await,
            Command::Status(args) => status::status(args, console).await,
            Command::Ring(args) => ring::ring(args, console).await,
            Command::Explain(args) => explain::explain(args, console).await,
            Command::Keyspace(args) => keyspace::keyspace(args, console).await,
            Command::Hints(args) => hints::hints(args, console).await,
            Command::Repair(args) => repair::repair(args, console).await,
            Command::Tombstones(args) => tombstones::tombstones(args, console).await,
            Command::Node(args) => node::node(args).await,
            Command::Config(args) => config::config(args, &RealEnv::create(), console),
            Command::Storage(args) => storage::storage(args, console),
            Command::Cert(args) => cert::cert(args, &RealEnv::create(), console),
            Command::Dev(args) => dev::dev(args, console).await,
            Command::Demo => demo::demo(console).await,
            Command::Fault(args) => fault::fault(args, console).await,
        }
    })
}

/// One thread for what asks a question, several for what goes on.
fn runtime_for(command: &Command) -> std::io::Result<Runtime> {
    let workers = match command {
        Command::Node(args) => args.workers(),
        Command::Load(_) | Command::Dev(_) | Command::Demo => WORKERS,
        _ => return Builder::new_current_thread().enable_all().build(),
    };
    Builder::new_multi_thread().worker_threads(workers).enable_all().build()
}
