//! Why a local cluster cannot be run, or steered.
//!
//! One enum for `atoll dev`; every text says what was found and what to do. `names.rs` has its own small error, which
//! `atoll fault` shares.
//!
//! Invariants
//! - What the user wrote wrongly can be told from what the system refused: [`DevError::is_usage`].

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use atoll_protocol::topology::Problems;

use super::names::UnknownName;
use crate::cert::CertError;

/// Why a local cluster cannot be run, or steered.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// The system refused.
    #[error("cannot {verb} {}: {source}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The topology has problems.
    #[error("topology {}:\n{problems}", path.display())]
    Topology {
        /// The file.
        path: PathBuf,
        /// All of them.
        problems: Problems,
    },
    /// The folder belongs to a cluster of another topology.
    #[error(
        "{} holds a cluster of another topology than {}; choose another --dir, or remove the folder and its data",
        dir.display(), file.display()
    )]
    OtherTopology {
        /// The folder.
        dir: PathBuf,
        /// The file that was asked for.
        file: PathBuf,
    },
    /// A node is called like one of the folder's own certificates.
    #[error(
        "node `{node}` cannot be run by `atoll dev`: `DIR/certs` has its own {node}.crt; rename the node"
    )]
    ReservedName {
        /// The node.
        node: String,
    },
    /// An address is not one of this machine.
    #[error(
        "node {node} has address `{address}`: {problem}; `atoll dev` runs every node on this machine: \
         remove the address, or write 127.0.0.1:PORT"
    )]
    Address {
        /// The node.
        node: String,
        /// Its address.
        address: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Something else listens there.
    #[error(
        "address {address} of node {node} is in use by another process; stop that process, or choose another --dir \
         (this folder's topology keeps its addresses)"
    )]
    PortTaken {
        /// The node.
        node: String,
        /// Its address.
        address: String,
    },
    /// The folder is in use.
    #[error(
        "`atoll dev` already runs in {}; stop it with Ctrl-C there, steer it with `atoll dev kill|start|stop`, or choose \
         another --dir",
        dir.display()
    )]
    AlreadyRunning {
        /// The folder.
        dir: PathBuf,
    },
    /// Nobody listens on the control socket.
    #[error("no `atoll dev` runs in {}; start one there, or name the right folder with --dir", dir.display())]
    NotRunning {
        /// The folder.
        dir: PathBuf,
    },
    /// A certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] CertError),
    /// A node could not be started.
    #[error("cannot start node {node} as a process of {}", program.display())]
    Spawn {
        /// The node.
        node: String,
        /// The program.
        program: PathBuf,
    },
    /// The nodes did not find each other.
    #[error("the cluster is not ready after {waited:.1?}:\n{}", missing.iter().map(Missing::to_string).collect::<String>())]
    NotReady {
        /// How long was waited.
        waited: Duration,
        /// Who is missing.
        missing: Vec<Missing>,
    },
    /// A name that is neither a node nor a datacenter.
    #[error(transparent)]
    UnknownName(#[from] UnknownName),
    /// The supervisor's answer cannot be understood, or did not come.
    #[error("the `atoll dev` in {} did not do it: {detail}", dir.display())]
    Control {
        /// The folder.
        dir: PathBuf,
        /// What happened.
        detail: String,
    },
    /// The SDK refused the cluster's own certificates or addresses.
    #[error(transparent)]
    Client(#[from] atoll_client::Error),
    /// A signal ended it before the cluster was ready.
    #[error("interrupted by {signal} before the cluster was ready")]
    Interrupted {
        /// The signal.
        signal: &'static str,
    },
    /// The output is gone.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// A node that is not ready, and what it said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The node.
    pub node: String,
    /// What is missing.
    pub reason: String,
    /// The end of its log.
    pub log_tail: Vec<String>,
}

impl DevError {
    /// True if the user can mend it on the command line or in a file of theirs.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Topology { .. }
                | Self::OtherTopology { .. }
                | Self::ReservedName { .. }
                | Self::Address { .. }
                | Self::AlreadyRunning { .. }
                | Self::NotRunning { .. }
                | Self::UnknownName(_)
        )
    }

    /// Makes [`Self::Io`] of what the system said.
    pub(super) fn io(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { verb, path, source }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}: {}", self.node, self.reason)?;
        for line in &self.log_tail {
            writeln!(f, "    | {line}")?;
        }
        Ok(())
    }
}
