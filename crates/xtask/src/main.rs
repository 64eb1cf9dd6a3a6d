//! Developer commands, run as `cargo xtask COMMAND`; nothing here ships.
//!
//! - `ci [--fast]` runs what CI runs, in order, and stops at the first failure.
//! - `sim …` runs the deterministic simulator.
//! - `tidy` checks the rules of the project that compilers and linters do not know.
//! - `timezones SOURCE_DIR` rebuilds `data/time-zones.tsv` from a time zone database.

use std::path::PathBuf;
use std::process::ExitCode;

mod ci;
mod sim;
mod timezones;

mod tidy;

mod repository;
mod source;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  ci [--fast]            fmt, clippy, tidy, tests, docs, deny; --fast leaves out the tests
  sim --seeds N [--from S] [--time SPAN]     simulate seeds; `sim run --help` has the rest
  sim --seed S [--trace]                     simulate one seed
  sim replay FILE | sim shrink FILE          run a failure again, or make it small
  sim enumerate | sim mutants                crash images; seeded bugs that must be found
  tidy                   check the project's own rules
  timezones SOURCE_DIR   rebuild data/time-zones.tsv (SOURCE_DIR: usually /usr/share/zoneinfo)
";

/// Exit code of a command line that was not understood.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(root) = workspace_root() else {
        eprintln!("xtask: no workspace here: run it inside the repository");
        return ExitCode::FAILURE;
    };
    match arguments.as_slice() {
        ["ci"] => ci::run(&root, ci::Scope::Full),
        ["ci", "--fast"] => ci::run(&root, ci::Scope::WithoutTests),
        ["sim", arguments @ ..] => sim::run(arguments).unwrap_or_else(refuse),
        ["tidy"] => tidy::run(&root),
        ["timezones", source] => timezones::run(&root, &PathBuf::from(source)),
        ["help" | "--help" | "-h"] => {
            say(USAGE.trim_end());
            ExitCode::SUCCESS
        }
        _ => refuse(),
    }
}

fn refuse() -> ExitCode {
    eprint!("{USAGE}");
    ExitCode::from(EXIT_USAGE)
}

/// The nearest folder above this one that holds the workspace's manifest.
fn workspace_root() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let declares_workspace = |folder: &std::path::Path| {
        std::fs::read_to_string(folder.join("Cargo.toml"))
            .is_ok_and(|manifest| manifest.lines().any(|line| line.trim() == "[workspace]"))
    };
    here.ancestors().find(|folder| declares_workspace(folder)).map(PathBuf::from)
}

/// Prints one result line on stdout.
#[expect(clippy::print_stdout, reason = "the one place that prints results")]
fn say(line: &str) {
    println!("{line}");
}
