//! What can go wrong, by what the caller can conclude and do.
//!
//! One enum for the whole SDK, rich inside; [`Error::kind`] is the small outside. The most important bit of a failed
//! write is [`Error::may_have_applied`] (promise P11), and it is decided here, once.
//!
//! | what happened to a write | `may_have_applied` |
//! |---|---|
//! | it was never sent | no |
//! | a node answered that nothing was written | no |
//! | it was sent and there is no answer: connection broke, deadline passed | yes |
//! | a node answered that it does not know | yes |
//!
//! Invariants
//! - A read never "may have applied".
//! - Texts of the node, of TLS and of the system are kept word for word.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::ids::Name;
use atoll_protocol::session::SessionFull;
use atoll_protocol::wire::{Failure, Invalid};
use atoll_quic::{BindError, ConnectError, CredentialsError};

/// Whether an operation can change anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It cannot.
    Read,
    /// It can: put, delete, and changes to the cluster.
    Write,
}

/// What is known about a write that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did not happen and will not.
    NotApplied,
    /// It may have happened, or may still.
    Unknown,
}

/// What to do about an [`Error`], coarsely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request or the configuration is wrong: fix it.
    Invalid,
    /// The certificate does not allow it: use another one.
    Denied,
    /// TLS, certificates or identities do not fit: fix them.
    Auth,
    /// Too few replicas are alive, or the node does not serve: wait, or ask for a lower level.
    Unavailable,
    /// No node answered at all: check the network and the seeds.
    Unreachable,
    /// The write may or may not have been applied: read before writing again.
    Unknown,
    /// It took too long, and nothing was changed.
    Deadline,
    /// Refused before it began: slow down.
    Overloaded,
    /// Concurrent values stand in the way: read, merge, and put with the context.
    Conflict,
    /// Whoever answered holds less than the session has seen: wait, or ask where it was seen.
    SessionBehind,
    /// A node could not read its storage.
    Storage,
    /// A defect, here or in a node.
    Internal,
    /// The client was closed.
    Closed,
}

/// A node or address that could not be reached, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Name or address.
    pub node: String,
    /// Why.
    pub reason: String,
}

/// Why a request or a connection failed. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request is wrong, and was not sent.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The client's configuration is wrong; every problem is listed.
    #[error("the client is not configured correctly: {}", problems.join("; "))]
    Configuration {
        /// The problems, each with its fix.
        problems: Vec<String>,
    },
    /// The certificate files cannot be used.
    #[error(transparent)]
    Credentials(Arc<CredentialsError>),
    /// No socket could be opened.
    #[error(transparent)]
    Socket(Arc<BindError>),
    /// The two sides do not accept each other.
    #[error("TLS: {0}; compare the certificates with `atoll cert show`")]
    Auth(Box<ConnectError>),
    /// No node could be reached. Nothing was sent.
    #[error("no node could be reached{}: {}", hint.as_deref().unwrap_or_default(), list(tried))]
    Unreachable {
        /// Why no other node was asked, if that was a choice.
        hint: Option<String>,
        /// Every node that was tried.
        tried: Vec<Tried>,
    },
    /// A node answered that it failed.
    #[error("{failure} (answered by {node})")]
    Failed {
        /// The node.
        node: Name,
        /// What was asked.
        operation: Operation,
        /// Its answer.
        failure: Failure,
    },
    /// The request was sent and has no answer: the connection broke, or the node took too long.
    #[error("no answer from {node}: {reason}{}", unknown(*operation))]
    Lost {
        /// The node.
        node: Name,
        /// What was asked.
        operation: Operation,
        /// What happened instead.
        reason: String,
    },
    /// The deadline passed.
    #[error(
        "no answer within {allowed:?} after {attempts} attempt(s){}{}",
        match outcome { Outcome::Unknown => "; the write may have been applied", Outcome::NotApplied => "" },
        last.as_ref().map(|last| format!("; before that: {last}")).unwrap_or_default()
    )]
    Deadline {
        /// How long the request was allowed to take.
        allowed: Duration,
        /// How often it was sent.
        attempts: u32,
        /// What became of it.
        outcome: Outcome,
        /// The error before the deadline, if there was one.
        last: Option<Box<Error>>,
    },
    /// Too much waits on the connection already. Nothing was sent.
    #[error("not sent to {node}: {reason}")]
    Backlog {
        /// The node.
        node: Name,
        /// Which bound was reached.
        reason: String,
    },
    /// An update was written, each time beside a value that it had not seen. Nothing is lost: whoever reads the key
    /// next finds the siblings.
    #[error(
        "the update was written in {rounds} round(s), other writers overtook each, and siblings remain{}",
        last.as_ref().map(|last| format!("; then: {last}")).unwrap_or_default()
    )]
    Conflict {
        /// Rounds of get, resolve and put that were written.
        rounds: u32,
        /// What kept it from going on; `None` if it gave up.
        last: Option<Box<Error>>,
    },
    /// A node's answer makes no sense.
    #[error("{node} sent an answer that cannot be understood ({detail}){}", unknown(*operation))]
    Malformed {
        /// The node.
        node: Name,
        /// What was asked.
        operation: Operation,
        /// What is wrong with it.
        detail: String,
    },
    /// The session cannot know another key. Nothing was sent.
    #[error(transparent)]
    SessionFull(#[from] SessionFull),
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

impl Error {
    /// What to do about it, coarsely.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(invalid) => kind_of_invalid(invalid),
            Self::Configuration { .. } | Self::SessionFull(_) => ErrorKind::Invalid,
            Self::Credentials(_) | Self::Auth(_) => ErrorKind::Auth,
            Self::Unreachable { .. } => ErrorKind::Unreachable,
            Self::Failed { operation, failure, .. } => kind_of_failure(*operation, failure),
            Self::Lost { operation: Operation::Read, .. } => ErrorKind::Unreachable,
            Self::Lost { operation: Operation::Write, .. } => ErrorKind::Unknown,
            Self::Deadline { outcome: Outcome::Unknown, .. } => ErrorKind::Unknown,
            Self::Deadline { outcome: Outcome::NotApplied, .. } => ErrorKind::Deadline,
            Self::Backlog { .. } => ErrorKind::Overloaded,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Socket(_) | Self::Malformed { .. } => ErrorKind::Internal,
            Self::Closed => ErrorKind::Closed,
        }
    }

    /// True if the write may have been applied, now or later (promise P11). Never true for a read.
    pub fn may_have_applied(&self) -> bool {
        match self {
            Self::Failed { operation, failure, .. } => {
                *operation == Operation::Write && failure.may_have_applied()
            }
            Self::Lost { operation, .. } | Self::Malformed { operation, .. } => {
                *operation == Operation::Write
            }
            Self::Deadline { outcome, .. } => *outcome == Outcome::Unknown,
            Self::Conflict { .. } => true,
            Self::Invalid(_)
            | Self::Configuration { .. }
            | Self::Credentials(_)
            | Self::Socket(_)
            | Self::Auth(_)
            | Self::Unreachable { .. }
            | Self::Backlog { .. }
            | Self::SessionFull(_)
            | Self::Closed => false,
        }
    }

    /// True if repeating the same request, perhaps later, can succeed without a change to it. Ask
    /// [`Self::may_have_applied`] as well before repeating a write.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Failed { failure, .. } => failure.is_retryable(),
            Self::Unreachable { .. }
            | Self::Lost { .. }
            | Self::Deadline { .. }
            | Self::Backlog { .. }
            | Self::Conflict { .. } => true,
            Self::Invalid(_)
            | Self::Configuration { .. }
            | Self::Credentials(_)
            | Self::Socket(_)
            | Self::Auth(_)
            | Self::Malformed { .. }
            | Self::SessionFull(_)
            | Self::Closed => false,
        }
    }

    /// How long the node asks to wait before the request is repeated.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.failure() {
            Some(Failure::Overloaded { retry_after, .. }) => Some(*retry_after),
            _ => None,
        }
    }

    /// The node's own words, if a node answered.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed { failure, .. } => Some(failure),
            Self::Deadline { last: Some(last), .. } => last.failure(),
            _ => None,
        }
    }

    /// A text that cannot be a name, or a request that cannot be framed.
    pub(crate) fn message(problem: &impl fmt::Display) -> Self {
        Self::Invalid(Invalid::Message { detail: problem.to_string() })
    }

    /// A failed dial of `node`.
    pub(crate) fn from_connect(node: &str, error: ConnectError) -> Self {
        match error {
            ConnectError::Auth { .. } | ConnectError::IdentityMismatch { .. } => {
                Self::Auth(Box::new(error))
            }
            ConnectError::Unreachable { .. }
            | ConnectError::Closed { .. }
            | ConnectError::Local { .. } => Self::unreachable(node, &error),
        }
    }

    /// One node that could not be reached.
    pub(crate) fn unreachable(node: &str, reason: &impl fmt::Display) -> Self {
        let tried = vec![Tried { node: node.to_owned(), reason: reason.to_string() }];
        Self::Unreachable { hint: None, tried }
    }

    /// Puts failed dials together: a refusal says most, because it will not go away by itself.
    pub(crate) fn from_dials(errors: Vec<Self>, hint: Option<String>) -> Self {
        let mut all = Vec::new();
        for error in errors {
            match error {
                Self::Unreachable { tried, .. } => all.extend(tried),
                refused => return refused,
            }
        }
        Self::Unreachable { hint, tried: all }
    }
}

fn kind_of_failure(operation: Operation, failure: &Failure) -> ErrorKind {
    match failure {
        Failure::Invalid(invalid) => kind_of_invalid(invalid),
        Failure::Denied { .. } => ErrorKind::Denied,
        Failure::Unavailable { .. } | Failure::NotServing { .. } => ErrorKind::Unavailable,
        Failure::Unknown { .. } if operation == Operation::Read => ErrorKind::Deadline,
        Failure::Unknown { .. } => ErrorKind::Unknown,
        Failure::Deadline { .. } => ErrorKind::Deadline,
        Failure::Overloaded { .. } => ErrorKind::Overloaded,
        Failure::SessionBehind { .. } => ErrorKind::SessionBehind,
        Failure::Storage { .. } => ErrorKind::Storage,
        Failure::Internal { .. } => ErrorKind::Internal,
    }
}

fn kind_of_invalid(invalid: &Invalid) -> ErrorKind {
    match invalid {
        Invalid::TooManySiblings { .. } => ErrorKind::Conflict,
        _ => ErrorKind::Invalid,
    }
}

fn unknown(operation: Operation) -> &'static str {
    match operation {
        Operation::Read => "",
        Operation::Write => "; the write may have been applied: read the key before writing again",
    }
}

fn list(tried: &[Tried]) -> String {
    if tried.is_empty() {
        return "there is none to try".to_owned();
    }
    let lines: Vec<String> =
        tried.iter().map(|Tried { node, reason }| format!("{node}: {reason}")).collect();
    lines.join("; ")
}
