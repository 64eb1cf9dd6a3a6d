//! `engines`: compares Atoll's storage engine with RocksDB and fjall, side by side on one machine.
//!
//! ```text
//! compare (parent)  value size -> scenario -> round -> engine A B C A B C ..
//!    | one process each                                  | JSON on standard output
//!    v                                                   v
//! run-one (child)   fresh directory -> phases -> RunReport     summary, targets -> tables
//! ```
//!
//! 1. The parent runs engines in turn, so that whatever disturbs the machine disturbs all of them.
//! 2. A child measures one scenario of one engine; nothing of an earlier engine is left in its memory.
//!    Before each run the page cache takes again what the last one gave back, if it was filled (`warm-page-cache`).
//! 3. Absolute rates of a shared machine mean little: verdicts are medians of ratios taken within a round.
//!
//! A workspace of its own, so that nothing else in the repository ever builds RocksDB.

mod args;

mod compare;

mod run_one;

mod warm;

mod memtables;

mod recovery;

mod tables;

mod targets;

mod summary;

mod report;

mod ticker;

mod clients;

mod drive;

mod engine;

mod latency;

mod measure;

mod files;

mod phase;

mod zipf;

mod records;

mod random;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

/// A result whose error is for people only: whatever fails, the run is over.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(output) => match writeln!(std::io::stdout(), "{output}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("engines: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Outcome<String> {
    match command {
        Command::Compare(args) => compare::compare(&args),
        Command::RunOne(args) => {
            let report = run_one::run(&args)?;
            match args.json {
                true => Ok(serde_json::to_string(&report)?),
                false => Ok(tables::render(&[report])),
            }
        }
        Command::Report(args) => compare::report(&args),
        Command::Memtables => Ok(memtables::measure()),
        Command::Recover(args) => recovery::recover(&args),
        Command::RecoverVictim(args) => recovery::fill_and_wait(&args),
        Command::WarmPageCache(args) => warm::warm(&args),
    }
}
