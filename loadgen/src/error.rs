//! How a command ends: one error type, its exit code, its text.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | an internal error, or the system refused |
//! | 2 | what was typed, or a file that was named, is wrong |
//! | 4 | the cluster cannot be reached |
//! | 7 | the cluster and this client do not accept each other |
//! | 8 | the run is invalid, an objective was missed, or a comparison is worse |
//!
//! Invariants
//! - A broken pipe is nobody's error: whoever read has seen enough.

use std::io;
use std::path::PathBuf;

use atoll_client::{Error as ClientError, ErrorKind, ProfileError};
use serde::{Deserialize, Serialize};

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// What was typed is wrong; each problem with its fix.
    #[error("{}", lines("the command line is wrong", .problems))]
    Usage { problems: Vec<String> },
    /// There is no usable profile.
    #[error("{0}")]
    Profile(#[from] ProfileError),
    /// The cluster cannot be used.
    #[error("no client in dc \"{dc}\": {error}")]
    Client { dc: String, error: Box<ClientError> },
    /// A file is not what it should be.
    #[error("{}: {problem}", .path.display())]
    File { path: PathBuf, problem: String },
    /// A process of the run failed.
    #[error("process {agent} of the run failed: {}", .failure.words)]
    Agent { agent: u64, failure: AgentFailure },
    /// The run was made, and says nothing.
    #[error("{}", lines("the run is INVALID", .reasons))]
    InvalidRun { reasons: Vec<String> },
    /// What was asked for was not reached.
    #[error("{}", lines("not met", .reasons))]
    Missed { reasons: Vec<String> },
    /// The system refused.
    #[error("cannot {action}: {source}")]
    Io { action: String, source: io::Error },
    /// Stdout refused.
    #[error("cannot write to stdout: {0}")]
    Output(io::Error),
}

/// What a process says of its failure to the one that started it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AgentFailure {
    /// Its exit code.
    pub(crate) code: u8,
    /// Its words.
    pub(crate) words: String,
}

impl Error {
    /// One thing that the user can mend.
    pub(crate) fn usage(problem: impl Into<String>) -> Self {
        Self::Usage { problems: vec![problem.into()] }
    }

    /// Makes [`Self::Io`] of what the system said.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    /// Something is wrong with a file.
    pub(crate) fn file(path: impl Into<PathBuf>, problem: impl ToString) -> Self {
        Self::File { path: path.into(), problem: problem.to_string() }
    }

    /// True if whoever read the output has gone away.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The process's exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::File { .. } => 2,
            Self::Profile(ProfileError::NoAdmin) => 7,
            Self::Profile(_) => 2,
            Self::Client { error, .. } => match error.kind() {
                ErrorKind::Invalid => 2,
                ErrorKind::Auth | ErrorKind::Denied => 7,
                ErrorKind::Internal => 1,
                // It was not reached, or does not serve.
                _ => 4,
            },
            Self::Agent { failure, .. } => failure.code,
            Self::InvalidRun { .. } | Self::Missed { .. } => 8,
            Self::Io { .. } | Self::Output(_) => 1,
        }
    }

    /// For the process that started this one.
    pub(crate) fn to_failure(&self) -> AgentFailure {
        AgentFailure { code: self.code(), words: self.to_string() }
    }
}

/// `what`, with one reason behind it, or several below it.
fn lines(what: &str, reasons: &[String]) -> String {
    match reasons {
        [reason] => format!("{what}: {reason}"),
        reasons => format!("{what}:\n  {}", reasons.join("\n  ")),
    }
}
