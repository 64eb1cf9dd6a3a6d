//! The engine's errors, split by what the caller can do.
//!
//! Every public verb returns [`Error`]; modules below the engine build it, the engine fans one copy out to each writer
//! of a failed group (hence `Clone`).
//!
//! 1. Retry later: [`Error::Overloaded`]. Nothing was written.
//! 2. Give up on this request: [`Error::TooLarge`], [`Error::Closed`], [`Error::Merge`].
//! 3. Ask another replica: [`Error::Corrupt`], [`Error::Disk`].
//! 4. Ask again with patience: [`Error::NotInMemory`].
//! 5. Stop the process: [`Error::Poisoned`]. A write that gets it may or may not survive.
//!
//! Invariant: [`Error::Poisoned`] is the only error of a write whose effect is unknown.

use std::io;
use std::sync::Arc;

use crate::disk::{LockError, SyncError};
use crate::merge::MergeError;

/// Why an engine operation failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process (or another engine of this one) has the directory open.
    #[error("{path} is locked by another engine")]
    Locked {
        /// The lock file.
        path: String,
    },

    /// Stored bytes are not what was written. The rest of the store stays readable, if the engine is open.
    #[error("{file} is corrupt at offset {offset}: {what}")]
    Corrupt {
        /// The damaged file, relative to the disk's root.
        file: String,
        /// Byte offset of the damaged structure.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },

    /// The disk refused an operation; the engine's state is unchanged and the call may be tried again.
    #[error("cannot {action} {file}: {source}")]
    Disk {
        /// The verb that failed.
        action: &'static str,
        /// The file it was applied to, relative to the disk's root.
        file: String,
        /// The device's answer.
        source: Arc<io::Error>,
    },

    /// A sync (or an append to a log) failed: what is on the platter is unknown until the store is opened again.
    #[error("engine is poisoned: {cause}")]
    Poisoned {
        /// The first failure.
        cause: String,
    },

    /// The answer needs the disk, and the caller did not want to wait for it
    /// ([`Engine::get_in_memory`](crate::Engine::get_in_memory)).
    #[error("the answer needs the disk")]
    NotInMemory,

    /// [`Engine::close`](crate::Engine::close) was called. Nothing was written.
    #[error("engine is closed")]
    Closed,

    /// A bound was reached. Nothing was written; retry later.
    #[error("{}", overload(*what, *limit))]
    Overloaded {
        /// Which bound.
        what: Limit,
        /// Its value.
        limit: u64,
    },

    /// The request can never fit. Nothing was written.
    #[error("{what} limit is {limit}, got {got}")]
    TooLarge {
        /// Which bound.
        what: Limit,
        /// Its value.
        limit: u64,
        /// The size asked for.
        got: u64,
    },

    /// The merge operator refused the entries of a key.
    #[error("merge operator failed: {source}")]
    Merge {
        /// The operator's reason.
        source: MergeError,
    },

    /// The options contradict each other or leave no room to work.
    #[error("invalid storage options: {what}")]
    InvalidOptions {
        /// The rule that is broken.
        what: &'static str,
    },
}

impl Error {
    /// Whether a *write* that failed with this error may nevertheless be found after the store is opened again.
    pub fn may_have_applied(&self) -> bool {
        matches!(self, Error::Poisoned { .. })
    }

    pub(crate) fn corrupt(file: &str, offset: u64, what: &'static str) -> Error {
        Error::Corrupt { file: file.to_owned(), offset, what }
    }

    pub(crate) fn disk(action: &'static str, file: &str, source: io::Error) -> Error {
        if source.kind() == io::ErrorKind::StorageFull {
            return Error::Overloaded { what: Limit::DiskFreeBytes, limit: 0 };
        }
        Error::Disk { action, file: file.to_owned(), source: Arc::new(source) }
    }

    /// The same failure on a file whose unknown tail nothing may follow (log, manifest).
    pub(crate) fn into_poison(self) -> Error {
        match self {
            Error::Disk { .. } => Error::Poisoned { cause: self.to_string() },
            other => other,
        }
    }
}

impl From<SyncError> for Error {
    fn from(error: SyncError) -> Error {
        Error::Poisoned { cause: error.to_string() }
    }
}

impl From<MergeError> for Error {
    fn from(source: MergeError) -> Error {
        Error::Merge { source }
    }
}

impl From<LockError> for Error {
    fn from(error: LockError) -> Error {
        match error {
            LockError::Held { path } => Error::Locked { path },
            LockError::Failed { path, source } => Error::disk("lock", &path, source),
        }
    }
}

fn overload(what: Limit, limit: u64) -> String {
    match (what, limit) {
        (Limit::DiskFreeBytes, 0) => "the disk is full; free space on it".to_owned(),
        (Limit::DiskFreeBytes, limit) => {
            format!("less than {limit} bytes of the disk are free; free space on it")
        }
        (what, limit) => format!("{what} limit of {limit} reached"),
    }
}

/// The bound behind an [`Error::Overloaded`] or [`Error::TooLarge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Writers waiting for a group commit (`Options::writers_queued_max`).
    WritersQueued,
    /// Free bytes of the file system (`Options::free_bytes_min`; 0 when the disk said "full").
    DiskFreeBytes,
    /// Bytes of one key (`Options::key_bytes_max`).
    KeyBytes,
    /// Bytes of one value or operand (`Options::value_bytes_max`).
    ValueBytes,
    /// Bytes of one batch (`Options::batch_bytes_max`).
    BatchBytes,
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Limit::WritersQueued => "queued writers",
            Limit::DiskFreeBytes => "free disk bytes",
            Limit::KeyBytes => "key bytes",
            Limit::ValueBytes => "value bytes",
            Limit::BatchBytes => "batch bytes",
        })
    }
}
