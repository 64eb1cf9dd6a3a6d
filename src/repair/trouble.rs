//! Why a comparison came to nothing.

use atoll_protocol::wire::Failure;

use crate::replica::ReplicaError;

/// Why a comparison came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The partition is being mended with somebody else.
    Busy,
    /// The connection is gone.
    Gone,
    /// Anything else, in words.
    Failed(String),
}

impl From<ReplicaError> for Trouble {
    fn from(error: ReplicaError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What a peer is told of it.
pub(super) fn failure(trouble: Trouble) -> Failure {
    match trouble {
        Trouble::Failed(detail) => Failure::Storage { detail },
        Trouble::Busy | Trouble::Gone => Failure::Internal { detail: format!("{trouble:?}") },
    }
}
