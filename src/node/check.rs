//! What would keep a node from starting, without starting it.
//!
//! The same functions that a start uses, in the same order, except that a problem does not hide those behind it.
//!
//! Invariants
//! - Nothing is written, locked or listened on.

use atoll_protocol::time::WallTime;
use atoll_protocol::topology::Problem;

use super::StartError;
use super::start::{find_own, load_credentials, load_topology};
use crate::config::Config;

/// What was found.
#[derive(Debug)]
pub struct Checked {
    /// What would keep the node from starting.
    pub problems: Vec<StartError>,
    /// What is legal and yet probably not meant.
    pub warnings: Vec<Problem>,
}

/// Checks what `config` names: the topology, this node's place in it, and the credentials at `now`.
pub fn check(config: &Config, now: WallTime) -> Checked {
    let topology = match load_topology(&config.topology) {
        Ok(topology) => topology,
        // Without the topology nobody knows whose certificate it should be.
        Err(error) => return Checked { problems: vec![error], warnings: Vec::new() },
    };
    let own = find_own(config, &topology).err();
    let credentials = load_credentials(now, config, &topology).err();
    Checked {
        problems: own.into_iter().chain(credentials).collect(),
        warnings: topology.warnings(),
    }
}
