//! Looks at a store from outside, without opening it: [`verify_store`] and [`dump_file`].
//!
//! Used by `atoll storage`, for a store whose node is stopped, and for single files of any store.
//!
//! 1. `verify.rs` reads everything that an open would need, and more, and says what is wrong with it.
//! 2. `dump.rs` shows what one file holds, structure by structure.
//!
//! Invariants
//! - Nothing is changed: no recovery, no truncation, no removal, not even a lock file where there is none.
//! - What is damaged is data; an error means that there was nothing to look at.

mod dump;

mod verify;

mod log;

pub use dump::{FileFormat, dump_file};
pub use verify::{Checked, StoreReport, verify_store};

use crate::error::Error;

/// Why nothing was inspected.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The directory does not hold a store.
    #[error(
        "not a store: {found}; a store has CURRENT and files such as 000012.manifest, 000013.wal, 000014.sst"
    )]
    NotAStore {
        /// What was found instead.
        found: String,
    },

    /// The file is none of a store.
    #[error(
        "{file} is not a file of a store: they are named CURRENT, *.manifest, *.wal, *.vlog or *.sst, \
         and begin with ATOLLCUR, ATOLLMAN or ATOLLWAL, or end with a footer that begins with ATOLLSST"
    )]
    UnknownFile {
        /// The file.
        file: String,
    },

    /// The directory is locked, or the disk refused.
    #[error(transparent)]
    Storage(#[from] Error),
}
