//! `nodes.json`: who runs where, for scripts and for people.
//!
//! ```json
//! [{"id": "eu-1", "dc": "eu", "rack": "a", "pid": 4711, "address": "127.0.0.1:40001", "data_dir": "/…/eu-1/data"}]
//! ```
//!
//! An array in the order of the topology. `pid` is null while the node has no process. The file appears when the cluster
//! is ready, follows every restart, and goes with the supervisor.
//!
//! Invariants
//! - Readers see a whole file, old or new: it is replaced in one step.

use std::fs;
use std::path::{Path, PathBuf};

use atoll_protocol::ids::Name;
use serde::{Deserialize, Serialize};

use super::DevError;
use super::layout::write_atomically;
use super::prepare::PlannedNode;
use super::supervisor::NodeState;

/// One node in `nodes.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterEntry {
    /// Its name.
    pub id: String,
    /// Its datacenter.
    pub dc: String,
    /// Its rack.
    pub rack: String,
    /// Its process; `None` while it is down.
    pub pid: Option<u32>,
    /// Where it listens.
    pub address: String,
    /// Its data directory, absolute.
    pub data_dir: PathBuf,
}

/// The file and what does not change in it.
#[derive(Debug)]
pub(super) struct Roster {
    path: PathBuf,
    nodes: Vec<PlannedNode>,
}

impl Roster {
    /// The file at `path` about `nodes`; nothing is written yet.
    pub(super) fn new(path: PathBuf, nodes: Vec<PlannedNode>) -> Self {
        Self { path, nodes }
    }

    /// Writes the file. Blocks on disk for a few kilobytes, unsynced.
    ///
    /// # Errors
    /// [`DevError::Io`].
    pub(super) fn write(&self, states: &[NodeState]) -> Result<(), DevError> {
        write_atomically(&self.path, &to_json(&entries(&self.nodes, states)))
    }

    /// The nodes that have a process, according to the file at `path`.
    ///
    /// # Errors
    /// [`DevError::Io`], also when it is not such a file.
    pub(super) fn running(path: &Path) -> Result<Vec<Name>, DevError> {
        let read = fs::read(path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
        let entries: Vec<RosterEntry> = read.map_err(DevError::io("read", path))?;
        let running = entries.iter().filter(|entry| entry.pid.is_some());
        Ok(running.filter_map(|entry| Name::new(&entry.id).ok()).collect())
    }
}

/// Joins what is planned with what runs.
pub(super) fn entries(nodes: &[PlannedNode], states: &[NodeState]) -> Vec<RosterEntry> {
    let entry = |node: &PlannedNode| RosterEntry {
        id: node.name.to_string(),
        dc: node.dc.to_string(),
        rack: node.rack.to_string(),
        pid: states.iter().find(|state| state.id == node.name).and_then(|state| state.pid),
        address: node.address.to_string(),
        data_dir: node.data_dir.clone(),
    };
    nodes.iter().map(entry).collect()
}

/// One line per node, so that `grep` and `diff` work on it.
pub(super) fn to_json(entries: &[RosterEntry]) -> Vec<u8> {
    let mut text = String::from("[");
    for (position, entry) in entries.iter().enumerate() {
        text.push_str(if position == 0 { "\n  " } else { ",\n  " });
        // Strings and numbers are always JSON, unless a path is not UTF-8: then the entry is skipped as null.
        text.push_str(&serde_json::to_string(entry).unwrap_or_else(|_| "null".to_owned()));
    }
    text.push_str("\n]\n");
    text.into_bytes()
}
