//! Why a node does not start, or did not stop cleanly.

use atoll_protocol::identity::Identity;
use atoll_protocol::topology::Problems;
use atoll_quic::{BindError, CredentialsError};

use crate::meta::MetaError;

/// Why a node does not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Credentials that cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The certificate is not this node's.
    #[error(
        "the certificate says {found}, the configuration says {expected}; use this node's certificate, or mend [node]"
    )]
    Identity {
        /// By the certificate.
        found: Box<Identity>,
        /// By the configuration.
        expected: Box<Identity>,
    },
    /// The topology file cannot be read.
    #[error("cannot read topology {path}: {detail}")]
    TopologyUnreadable {
        /// The file.
        path: String,
        /// What the system says.
        detail: String,
    },
    /// The topology file has problems.
    #[error("topology {path}:\n{problems}")]
    Topology {
        /// The file.
        path: String,
        /// All of them.
        problems: Problems,
    },
    /// This node is not in the topology, or elsewhere in it.
    #[error("topology {path}: {detail}")]
    NotMember {
        /// The file.
        path: String,
        /// What differs.
        detail: String,
    },
    /// The stored topology differs from the file.
    #[error(
        "topology {path} differs from the one that this data directory was created with (epoch {epoch}); restore the \
         original file: a running cluster's topology is not changed by editing it"
    )]
    TopologyChanged {
        /// The file.
        path: String,
        /// Epoch of the stored one.
        epoch: u64,
    },
    /// The data directory cannot be made or read.
    #[error("data directory {path}: {detail}")]
    DataDirectory {
        /// The directory.
        path: String,
        /// What the system says.
        detail: String,
    },
    /// Metadata.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// Storage.
    #[error("storage: {0}")]
    Storage(#[from] atoll_storage::Error),
    /// The socket.
    #[error(transparent)]
    Bind(#[from] BindError),
}
