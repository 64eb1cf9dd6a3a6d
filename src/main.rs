//! The atoll binary: see `cli` for what it does.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A put makes and drops some dozens of small values on several threads: with the allocator of glibc a sixth of its
/// processor time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    atolldb::cli::run(std::env::args_os())
}
