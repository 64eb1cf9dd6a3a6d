//! The manifest: which tables make the store, and where the log begins.
//!
//! Owned by the engine behind one lock; every change of the set of files is one record here.
//!
//! 1. `CURRENT` names the live manifest file.
//! 2. A manifest is a header and records; the first is a snapshot, each later one an edit.
//! 3. [`Manifest::commit`] appends an edit and syncs it: that is the commit point.
//! 4. Opening, and a manifest that has grown long, write a new file with one snapshot and switch `CURRENT` to it:
//!    write the temporary file, sync, rename, sync the directory.
//!
//! Invariants
//! - One record carries everything that changes together: tables added and removed, the flushed sequence number, the
//!   log's low-water segment, the next file id. Nothing durable is implied by two files.
//! - Files named by an edit are durable before it; files it drops are unlinked only after it.
//! - A bad record at the end is an edit that was never confirmed; a bad record before a valid one, or a bad
//!   snapshot, is corruption.
//!
//! Source: failures.md 5.1, S6 and S7; LevelDB's MANIFEST and CURRENT.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

mod dissect;

mod log;

mod edit;

mod current;

#[cfg(test)]
mod tests;

pub(crate) use current::{is_present, read_current};
pub(crate) use dissect::{Part, dissect_current, dissect_manifest, parts};
pub(crate) use edit::{Edit, TableRecord};
pub(crate) use log::{Manifest, State, read_state};
