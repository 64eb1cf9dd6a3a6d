//! The atoll binary: see `cli` for what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    atolldb::cli::run(std::env::args_os())
}
