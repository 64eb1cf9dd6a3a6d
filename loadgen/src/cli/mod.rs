//! The command line: parse, check, dispatch, exit.
//!
//! Data goes to stdout, everything else to stderr. `args.rs` has the options, one file each has a command.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use tokio::runtime::Builder;

use crate::conduct::serve_as_agent;
use crate::console::talk;
use crate::error::Error;
use args::{Cli, Command};

mod args;
mod compare;
mod hdr;
mod outcome;
mod run;
mod setup;
mod show;
mod sweep;

/// Runs the command that `arguments` name, the program's name first.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is nobody's error.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(2),
            };
        }
    };
    match carry_out(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            talk(&format!("error: {error}"));
            ExitCode::from(error.code())
        }
    }
}

fn carry_out(command: Command) -> Result<(), Error> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .on_thread_start(crate::agent::raise_worker)
        .build()
        .map_err(Error::io("start the runtime"))?;
    runtime.block_on(async {
        match command {
            Command::Load(args) => run::load(*args).await,
            Command::Run(args) => run::run(*args).await,
            Command::Sweep(args) => sweep::sweep(*args).await,
            Command::Show(args) => show::show(&args),
            Command::Compare(args) => compare::compare(&args),
            Command::Hdr(args) => hdr::hdr(&args),
            Command::Agent => serve_as_agent().await,
        }
    })
}
