//! How a command ends: one error type, its exit code, its text.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | internal: a defect, a disk, a port in use |
//! | 2 | usage: the command line, a file of the user, or a request that cannot be carried out as asked |
//! | 3 | not found: the key has no value |
//! | 4 | unavailable: too few replicas, no node answers, or nobody that does has what the session saw |
//! | 5 | the deadline passed; of a write the outcome is unknown |
//! | 6 | conflict: siblings where one value was asked |
//! | 7 | certificates, TLS, or the role does not allow it |
//! | 8 | degraded: `status --check` or `storage verify` found something |
//!
//! 1. Commands return [`Error`]; what lower layers said stays inside, word for word.
//! 2. [`exit_code`] maps it to a number, exhaustively and in one place.
//! 3. [`message()`] makes the text (`message.rs`).
//!
//! Invariants
//! - A broken pipe is nobody's error: whoever read has seen enough.

use std::io;
use std::path::PathBuf;

use atoll_client::{Error as ClientError, ErrorKind, ProfileError};

use crate::cert::CertError;
use crate::config::ConfigError;
use crate::demo::DemoError;
use crate::dev::{DevError, FaultError};
use crate::meta::MetaError;
use crate::node::StartError;

mod message;

#[cfg(test)]
mod tests;

pub(super) use message::message;

/// Whether a request that failed could change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// It could not.
    Read,
    /// It could.
    Write,
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(super) enum Error {
    /// What was typed, or a file that was named, is wrong; with the fix, line by line.
    Usage { what: String, fixes: Vec<String> },
    /// There is no usable profile.
    Profile(ProfileError),
    /// The SDK or the cluster refused or failed.
    Client { error: ClientError, intent: Intent },
    /// There is no value.
    NotFound { what: String },
    /// There are several values where one was asked.
    Siblings { what: String, fix: String },
    /// Something is not as it should be in the cluster; each problem on its line.
    Degraded { problems: Vec<String> },
    /// `storage verify` found damage; what, was printed.
    Damaged { store: PathBuf, count: usize },
    /// One row of a load failed.
    Row { place: String, cause: Box<Error> },
    /// A load stopped in the middle.
    LoadStopped { hint: String, cause: Box<Error> },
    /// A node did not start, or did not stop cleanly.
    Node(StartError),
    /// A configuration file is wrong.
    Config(ConfigError),
    /// `config check` found problems.
    Check { path: PathBuf, problems: Vec<Error> },
    /// A certificate was not made or not read.
    Cert(CertError),
    /// A local cluster cannot be run or steered.
    Dev(DevError),
    /// The demo failed.
    Demo(DemoError),
    /// A fault cannot be set.
    Fault(FaultError),
    /// The system refused.
    Io { action: String, source: io::Error },
    /// Stdout refused.
    Output(io::Error),
}

impl Error {
    /// A failed read.
    pub(super) fn read(error: ClientError) -> Self {
        Self::Client { error, intent: Intent::Read }
    }

    /// A failed write.
    pub(super) fn write(error: ClientError) -> Self {
        Self::Client { error, intent: Intent::Write }
    }

    /// Something that the user can mend, and how.
    pub(super) fn usage(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), fixes: vec![fix.into()] }
    }

    /// Makes [`Self::Io`] of what the system said.
    pub(super) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    /// True if whoever read the output has gone away.
    pub(super) fn is_broken_pipe(&self) -> bool {
        let (Self::Output(error) | Self::Dev(DevError::Output(error))) = self else { return false };
        error.kind() == io::ErrorKind::BrokenPipe
    }
}

impl From<ProfileError> for Error {
    fn from(error: ProfileError) -> Self {
        Self::Profile(error)
    }
}

impl From<CertError> for Error {
    fn from(error: CertError) -> Self {
        Self::Cert(error)
    }
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        Self::Node(error)
    }
}

/// The process's exit code for `error`.
pub(super) fn exit_code(error: &Error) -> u8 {
    match error {
        Error::Usage { .. } | Error::Config(_) | Error::Check { .. } => 2,
        Error::Profile(ProfileError::NoAdmin) => 7,
        Error::Profile(_) => 2,
        Error::Client { error, .. } => code_of_kind(error.kind()),
        Error::NotFound { .. } => 3,
        Error::Siblings { .. } => 6,
        Error::Degraded { .. } | Error::Damaged { .. } => 8,
        Error::Row { cause, .. } | Error::LoadStopped { cause, .. } => exit_code(cause),
        Error::Node(error) => code_of_start(error),
        Error::Cert(error) => code_of_cert(error),
        Error::Dev(error) => code_of_dev(error),
        Error::Fault(error) => code_of_fault(error),
        Error::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Error::Demo(_) | Error::Io { .. } | Error::Output(_) => 1,
    }
}

fn code_of_kind(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Invalid => 2,
        ErrorKind::Unavailable
        | ErrorKind::Unreachable
        | ErrorKind::Overloaded
        | ErrorKind::SessionBehind => 4,
        ErrorKind::Unknown | ErrorKind::Deadline => 5,
        ErrorKind::Conflict => 6,
        ErrorKind::Denied | ErrorKind::Auth => 7,
        // The SDK may learn new kinds; all that are known and not above are internal.
        _ => 1,
    }
}

fn code_of_start(error: &StartError) -> u8 {
    match error {
        StartError::Credentials(_) => 7,
        StartError::Identity { .. }
        | StartError::TopologyUnreadable { .. }
        | StartError::Topology { .. }
        | StartError::NotMember { .. }
        | StartError::TopologyChanged { .. }
        | StartError::Meta(MetaError::OtherOwner { .. }) => 2,
        StartError::DataDirectory { .. }
        | StartError::Meta(_)
        | StartError::Storage(_)
        | StartError::Bind(_) => 1,
    }
}

fn code_of_cert(error: &CertError) -> u8 {
    match error {
        CertError::Exists { .. }
        | CertError::NoCa { .. }
        | CertError::OtherCluster { .. }
        | CertError::OutlivesCa { .. }
        | CertError::EmptyValidity { .. } => 2,
        CertError::KeyMode { .. } | CertError::Content { .. } => 7,
        CertError::Io { .. } | CertError::Crypto { .. } => 1,
    }
}

fn code_of_dev(error: &DevError) -> u8 {
    match error {
        DevError::Certificate(error) => code_of_cert(error),
        DevError::Client(error) => code_of_kind(error.kind()),
        DevError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        error if error.is_usage() => 2,
        _ => 1,
    }
}

fn code_of_fault(error: &FaultError) -> u8 {
    match error {
        FaultError::UnknownName(_) | FaultError::NoLink { .. } | FaultError::Percent { .. } => 2,
        FaultError::Refused { error, .. } => code_of_kind(error.kind()),
        FaultError::NobodyAnswered { .. } => 4,
    }
}
