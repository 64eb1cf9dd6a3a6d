//! `atoll storage verify|dump`: a store on disk, without a node.
//!
//! 1. `verify` reads a whole store of a stopped node and says what is damaged (`verify.rs`).
//! 2. `dump` shows what one file of a store holds, also that of a running node (`dump.rs`).
//!
//! Invariants
//! - Nothing is changed; damaged files are for the operator to move away.
//! - Keys are shown; of values only length and digest.

mod dump;
mod verify;

#[cfg(test)]
mod tests;

use std::path::Path;

use atoll_storage::{Error as StorageError, InspectError};
use clap::{Args, Subcommand};

use super::exit::Error;
use super::output::Console;

/// Check and show a store on disk, without a node
#[derive(Debug, Args)]
pub(super) struct StorageArgs {
    #[command(subcommand)]
    command: StorageCommand,
}

/// What to do with a store.
#[derive(Debug, Subcommand)]
enum StorageCommand {
    /// Read all of a stopped node's store; exit with code 8 if anything is damaged
    Verify(verify::VerifyArgs),
    /// Show what one file of a store holds
    Dump(dump::DumpArgs),
}

/// `atoll storage …`.
pub(super) fn storage(args: StorageArgs, console: &mut Console) -> Result<(), Error> {
    match args.command {
        StorageCommand::Verify(args) => verify::verify(&args, console),
        StorageCommand::Dump(args) => dump::dump(&args, console),
    }
}

/// Why `place` was not inspected, and what to do.
fn refused(place: &Path, error: InspectError) -> Error {
    let place = place.display();
    match error {
        InspectError::NotAStore { .. } => Error::usage(
            format!("{place} is {error}"),
            "fix: name a node's data_dir, or the directory `storage` in it",
        ),
        InspectError::Storage(StorageError::Locked { path }) => Error::usage(
            format!("{path} is locked: a node uses this store"),
            "fix: stop the node, or verify a copy of its files; `atoll storage dump` needs no lock",
        ),
        InspectError::Storage(error) => {
            Error::Io { action: format!("inspect {place}"), source: std::io::Error::other(error) }
        }
        other => {
            Error::usage(other.to_string(), "fix: name a file of a node's `storage` directory")
        }
    }
}
