//! A job: one request with everything that its dispatch needs to know.

use std::time::{Duration, Instant};

use atoll_protocol::ids::Name;
use atoll_protocol::wire::{Reply, Request};
use bytes::Bytes;

use crate::error::{Error, Operation};
use crate::profile::Profile;
use crate::routing::{Key, Reach};
use crate::runtime;

/// Time that an operator's request may take at least: the node asks all others for some of them, and waits for those
/// that do not answer.
const CONTROL_DEADLINE_MIN: Duration = Duration::from_secs(5);

/// One request on its way.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) request: Request,
    pub(crate) payload: Bytes,
    pub(crate) operation: Operation,
    pub(crate) aim: Aim,
    pub(crate) limits: Limits,
}

/// Who may answer.
#[derive(Clone, Debug)]
pub(crate) enum Aim {
    /// Best a replica of the key.
    Key { keyspace: Name, key: Bytes, reach: Reach },
    /// Any node.
    Anyone,
    /// Exactly this node.
    Node(Name),
}

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// When it ends.
    pub(crate) deadline: Instant,
    /// What was allowed, for the error.
    pub(crate) allowed: Duration,
    /// Time of one attempt of a read.
    pub(crate) attempt_timeout: Duration,
    /// Time that is waited for a connection before another node is asked.
    pub(crate) dial_timeout: Duration,
    /// Times that it is sent at most.
    pub(crate) attempts_max: u32,
}

/// A reply with where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) node: Name,
    pub(crate) operation: Operation,
    pub(crate) reply: Reply,
    pub(crate) payload: Bytes,
}

impl Limits {
    /// The limits of a data request that begins now.
    pub(crate) fn begin(profile: &Profile, allowed: Duration) -> Self {
        // A century is for ever, and `Instant` can add it.
        let century = Duration::from_secs(3_153_600_000);
        let deadline = runtime::now() + allowed.min(century);
        let Profile { attempt_timeout, attempts_max, .. } = *profile;
        let dial_timeout = attempt_timeout;
        Self { deadline, allowed, attempt_timeout, dial_timeout, attempts_max }
    }

    /// The limits of an operator's request that begins now.
    pub(crate) fn control(profile: &Profile) -> Self {
        let allowed = profile.deadline.max(CONTROL_DEADLINE_MIN);
        // Status and explain wait for nodes that are down; another node would wait as well.
        Self { attempt_timeout: allowed, ..Self::begin(profile, allowed) }
    }

    /// Time that is left.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(runtime::now())
    }
}

impl Job {
    /// An operator's request without a payload.
    pub(crate) fn control(request: Request, operation: Operation, profile: &Profile) -> Self {
        let (aim, limits) = (Aim::Anyone, Limits::control(profile));
        Self { request, payload: Bytes::new(), operation, aim, limits }
    }
}

impl Aim {
    /// The key that it is about.
    pub(crate) fn key(&self) -> Option<Key<'_>> {
        match self {
            Self::Key { keyspace, key, .. } => Some(Key { keyspace, key }),
            Self::Anyone | Self::Node(_) => None,
        }
    }

    /// How far it may go.
    pub(crate) fn reach(&self) -> Reach {
        match self {
            Self::Key { reach, .. } => *reach,
            Self::Anyone | Self::Node(_) => Reach::AllDcs,
        }
    }
}

impl Answer {
    /// The error for a reply of another kind than the request's.
    pub(crate) fn unexpected(self) -> Error {
        self.malformed("a reply of another kind than the request")
    }

    /// The error for a reply that makes no sense.
    pub(crate) fn malformed(self, detail: &str) -> Error {
        let Self { node, operation, .. } = self;
        Error::Malformed { node, operation, detail: detail.to_owned() }
    }
}
