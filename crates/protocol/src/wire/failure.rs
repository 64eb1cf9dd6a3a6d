//! What can go wrong with a client's request, by what the client can conclude and do.
//!
//! The most important bit of a write error is *not applied* versus *unknown* (promise P11):
//! [`Failure::may_have_applied`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::Name;
use crate::limits::{KEY_BYTES_MAX, Limit, SIBLINGS_MAX};
use crate::quorum::Level;

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    /// The request itself is wrong. Nothing was written; repeating it is useless.
    #[error(transparent)]
    Invalid(Invalid),
    /// The certificate does not allow it. Nothing was written.
    #[error("not allowed: {operation} needs {needed}")]
    Denied {
        /// What was asked.
        operation: String,
        /// What would be needed.
        needed: String,
    },
    /// The live replicas cannot satisfy the level. Nothing was written.
    #[error(
        "not enough live replicas{} for {level}: {needed} needed, {alive} alive; nothing was written",
        in_dc(dc.as_ref())
    )]
    Unavailable {
        /// The level that was asked.
        level: Level,
        /// The datacenter that lacks replicas; `None` if the level counts all.
        dc: Option<Name>,
        /// Replicas needed.
        needed: u16,
        /// Replicas alive.
        alive: u16,
    },
    /// The write may or may not have been applied; it may still be, later.
    #[error(
        "write outcome unknown: {acked} of {needed} acknowledgements{} for {level}; replicas that applied it keep it",
        in_dc(dc.as_ref())
    )]
    Unknown {
        /// The level that was asked.
        level: Level,
        /// The datacenter whose acknowledgements are missing.
        dc: Option<Name>,
        /// Acknowledgements needed.
        needed: u16,
        /// Acknowledgements received.
        acked: u16,
    },
    /// The read did not finish in time.
    #[error(
        "deadline passed: {answered} of {needed} answers{} for {level}",
        in_dc(dc.as_ref())
    )]
    Deadline {
        /// The level that was asked.
        level: Level,
        /// The datacenter whose answers are missing.
        dc: Option<Name>,
        /// Answers needed.
        needed: u16,
        /// Answers received.
        answered: u16,
    },
    /// The node had too much to do and did not begin. Nothing was written.
    #[error("overloaded: too many {what}; nothing was written, retry after {retry_after:?}")]
    Overloaded {
        /// The bound that was reached.
        what: Limit,
        /// How long to wait.
        retry_after: Duration,
    },
    /// The node is shutting down or still starting. Nothing was written; another node can serve.
    #[error("node {node} is not serving: {reason}; nothing was written")]
    NotServing {
        /// The node.
        node: Name,
        /// Why.
        reason: String,
    },
    /// A replica could not read its storage and no other could stand in.
    #[error("storage error: {detail}")]
    Storage {
        /// What storage says.
        detail: String,
    },
    /// A defect of Atoll.
    #[error("internal error: {detail}")]
    Internal {
        /// What happened.
        detail: String,
    },
    /// The session has seen more of the key than the replicas that answered hold. Nothing older is returned, and
    /// nothing was written.
    #[error(
        "the session has seen more of this key than the {answered} replica(s) that answered hold; nothing older is \
         returned and nothing was written; retry, or wait until the datacenter that has it can be reached"
    )]
    SessionBehind {
        /// Replicas that answered.
        answered: u16,
    },
}

/// Why a request is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Invalid {
    /// Keys are at least one byte.
    #[error("the key is empty; keys are 1 to {KEY_BYTES_MAX} bytes")]
    EmptyKey,
    /// The key is too long.
    #[error("the key has {got} bytes; keys are at most {KEY_BYTES_MAX} bytes")]
    KeyTooLong {
        /// Its length.
        got: u32,
    },
    /// Key plus value exceed the keyspace's cap.
    #[error(
        "key and value have {got} bytes together; keyspace limit is {limit} bytes (record_bytes_max)"
    )]
    TooLarge {
        /// The cap in bytes.
        limit: u32,
        /// Their length in bytes.
        got: u32,
    },
    /// No keyspace of that name.
    #[error(
        "no keyspace `{name}`; create it with `atoll keyspace create {name}`, or see `atoll keyspace list`"
    )]
    UnknownKeyspace {
        /// The name that was asked.
        name: Name,
    },
    /// The topology cannot satisfy the level, whoever is alive.
    #[error("the topology cannot satisfy the level: {detail}")]
    Level {
        /// Which clause, needed and available.
        detail: String,
    },
    /// The context is damaged or belongs to another key.
    #[error("{detail}")]
    Context {
        /// What is wrong with it.
        detail: String,
    },
    /// The key has too many siblings for another blind put.
    #[error(
        "the key already has {got} concurrent values (limit {SIBLINGS_MAX}); read it, merge them, and put with the \
         context of that get"
    )]
    TooManySiblings {
        /// Live cells of the key.
        got: u16,
    },
    /// The keyspace definition does not fit the topology, or the name is taken.
    #[error("{detail}")]
    Keyspace {
        /// Every problem.
        detail: String,
    },
    /// The message could not be understood.
    #[error("{detail}")]
    Message {
        /// What is wrong with it.
        detail: String,
    },
    /// A fault command that cannot be carried out.
    #[error("{detail}")]
    Fault {
        /// What is wrong with it.
        detail: String,
    },
}

impl Failure {
    /// True if the write may have been applied, now or later (promise P11).
    pub fn may_have_applied(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Internal { .. })
    }

    /// True if repeating the same request, perhaps elsewhere or later, can succeed without a change to it.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Invalid(_) | Self::Denied { .. } | Self::Internal { .. } => false,
            Self::Unavailable { .. }
            | Self::Unknown { .. }
            | Self::Deadline { .. }
            | Self::Overloaded { .. }
            | Self::NotServing { .. }
            | Self::Storage { .. }
            | Self::SessionBehind { .. } => true,
        }
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

fn in_dc(dc: Option<&Name>) -> String {
    dc.map_or_else(String::new, |dc| format!(" in dc \"{dc}\""))
}
