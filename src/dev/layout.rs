//! Where `atoll dev` keeps what: the paths inside its folder.
//!
//! ```text
//! DIR/topology.toml          the topology with an address for every node
//! DIR/certs/ca.{crt,key}     the cluster's CA; NODE, client and admin beside it
//! DIR/nodes/NODE/atoll.toml  configuration
//! DIR/nodes/NODE/data/       data directory
//! DIR/nodes/NODE/log         everything that the node's processes said
//! DIR/client.toml            profile of a client and an admin, once the cluster is ready
//! DIR/nodes.json             who runs where, while the cluster runs
//! DIR/control.sock           where `atoll dev kill|start|stop` knocks
//! DIR/lock                   held by the supervisor
//! ```
//!
//! 1. [`Layout::create`] makes the folder, for its owner only: there are private keys in it.
//! 2. What is read by others while it changes is written with [`write_atomically`].
//!
//! Invariants
//! - The root is absolute, so that paths mean the same in every process.
//! - Nothing here decides what is in a file.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use atoll_protocol::ids::Name;

use super::DevError;

/// Names in `DIR/certs` that are not a node's.
pub(super) const RESERVED_NAMES: [&str; 3] = ["ca", CLIENT, ADMIN];

/// Name of the client certificate.
pub(super) const CLIENT: &str = "client";

/// Name of the admin certificate.
pub(super) const ADMIN: &str = "admin";

/// The paths of one local cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Makes the folder unless it is there.
    ///
    /// # Errors
    /// [`DevError::Io`].
    pub fn create(dir: &Path) -> Result<Self, DevError> {
        let is_new = !dir.exists();
        make_private_directory(dir)?;
        let root = dir.canonicalize().map_err(DevError::io("read", dir))?;
        let layout = Self { root };
        // The folder holds keys and usually lies inside somebody's repository.
        if is_new {
            write_atomically(&layout.root.join(".gitignore"), b"*\n")?;
        }
        Ok(layout)
    }

    /// The folder of a cluster that may or may not be there.
    pub fn at(dir: &Path) -> Self {
        let root = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
        Self { root }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The topology with addresses.
    pub fn topology(&self) -> PathBuf {
        self.root.join("topology.toml")
    }

    /// The folder of all certificates.
    pub fn certificates(&self) -> PathBuf {
        self.root.join("certs")
    }

    /// The CA's certificate.
    pub fn ca(&self) -> PathBuf {
        self.certificates().join("ca.crt")
    }

    /// Certificate and key called `name`.
    pub fn credentials(&self, name: &str) -> (PathBuf, PathBuf) {
        let certificates = self.certificates();
        (certificates.join(format!("{name}.crt")), certificates.join(format!("{name}.key")))
    }

    /// The folder of one node.
    pub fn node(&self, node: &Name) -> PathBuf {
        // Names have no separators and do not begin with a dot, so they cannot leave the folder.
        self.root.join("nodes").join(node.as_str())
    }

    /// What the processes of one node said.
    pub fn node_log(&self, node: &Name) -> PathBuf {
        self.node(node).join("log")
    }

    /// The profile of clients.
    pub fn profile(&self) -> PathBuf {
        self.root.join("client.toml")
    }

    /// Who runs where.
    pub fn roster(&self) -> PathBuf {
        self.root.join("nodes.json")
    }

    /// The socket that steers the supervisor.
    pub fn control_socket(&self) -> PathBuf {
        self.root.join("control.sock")
    }

    /// The supervisor's lock.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }
}

/// Makes `dir` and what is above it, for the owner only.
///
/// # Errors
/// [`DevError::Io`].
pub(super) fn make_private_directory(dir: &Path) -> Result<(), DevError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(DevError::io("create", dir))
}

/// Replaces `path` in one step: readers see the old content or the new one.
///
/// # Errors
/// [`DevError::Io`].
pub(super) fn write_atomically(path: &Path, content: &[u8]) -> Result<(), DevError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(DevError::io("write", path))
}

/// Removes `path`, which need not be there.
///
/// # Errors
/// [`DevError::Io`].
pub(super) fn remove_if_present(path: &Path) -> Result<(), DevError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DevError::io("remove", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
