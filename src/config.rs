//! The configuration of one node: a TOML file, checked as a whole.
//!
//! 1. [`Config::load`] reads the file; unknown keys are errors.
//! 2. Every problem is reported at once, with the key, what was found and the fix.
//! 3. Paths are relative to the file.
//! 4. `storage.rs`, `handoff.rs` and `repair.rs` have a section each, with the bounds of its values.
//!
//! The file describes one node; keyspaces and placement live in the cluster. The certificate says who the node is; the
//! configuration repeats it so that a mix-up is noticed at start.

mod handoff;
mod repair;
mod storage;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use atoll_protocol::ids::Name;
use serde::{Deserialize, Serialize};

pub use handoff::{HandoffConfig, RawHandoff};
pub use repair::{RawRepair, RepairConfig};
pub use storage::{Durability, RawStorage, StorageConfig};

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This node's name.
    pub node: Name,
    /// Its datacenter.
    pub dc: Name,
    /// Its rack.
    pub rack: Name,
    /// Where its data lives.
    pub data_dir: PathBuf,
    /// The topology file that the cluster was created from.
    pub topology: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// CA certificates that it trusts.
    pub ca: PathBuf,
    /// Its certificate.
    pub certificate: PathBuf,
    /// Its private key, mode 0600.
    pub key: PathBuf,
    /// How it stores.
    pub storage: StorageConfig,
    /// What it keeps for others that are away.
    pub handoff: HandoffConfig,
    /// How often replicas are compared.
    pub repair: RepairConfig,
}

/// The file as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// Who and where the node is.
    pub node: RawNode,
    /// Where it listens.
    pub listen: RawListen,
    /// Its credentials.
    pub tls: RawTls,
    /// Its storage.
    #[serde(default)]
    pub storage: RawStorage,
    /// Hinted handoff.
    #[serde(default)]
    pub handoff: RawHandoff,
    /// Anti-entropy.
    #[serde(default)]
    pub repair: RawRepair,
}

/// `[node]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawNode {
    /// Name of the node.
    pub id: String,
    /// Its datacenter.
    pub dc: String,
    /// Its rack.
    pub rack: String,
    /// Where its data lives.
    pub data_dir: PathBuf,
    /// The topology file.
    pub topology: PathBuf,
}

/// `[listen]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawListen {
    /// `IP:port` of the QUIC socket.
    pub quic: String,
}

/// `[tls]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTls {
    /// PEM file with the CA certificates.
    pub ca: PathBuf,
    /// PEM file with the node's certificate.
    pub certificate: PathBuf,
    /// PEM file with the node's private key.
    pub key: PathBuf,
}

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {detail}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        detail: String,
    },
    /// The file is not TOML of the right shape.
    #[error("{path}: {detail}")]
    Syntax {
        /// The file.
        path: String,
        /// What the parser says, with line and column.
        detail: String,
    },
    /// Values that cannot be used; all of them.
    #[error("{path}: {} problem(s)\n{}", problems.len(), problems.join("\n"))]
    Invalid {
        /// The file.
        path: String,
        /// One text each: key, what was found, and the fix.
        problems: Vec<String>,
    },
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`] names every problem at once.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
            path: shown.clone(),
            detail: error.to_string(),
        })?;
        let raw: RawConfig = toml::from_str(&text).map_err(|error| ConfigError::Syntax {
            path: shown.clone(),
            detail: error.to_string(),
        })?;
        let base = path.parent().unwrap_or_else(|| Path::new("."));
        raw.check(base).map_err(|problems| ConfigError::Invalid { path: shown, problems })
    }

    /// The file that says all of this, every default filled in, for showing.
    pub fn to_raw(&self) -> RawConfig {
        RawConfig {
            node: RawNode {
                id: self.node.to_string(),
                dc: self.dc.to_string(),
                rack: self.rack.to_string(),
                data_dir: self.data_dir.clone(),
                topology: self.topology.clone(),
            },
            listen: RawListen { quic: self.listen.to_string() },
            tls: RawTls {
                ca: self.ca.clone(),
                certificate: self.certificate.clone(),
                key: self.key.clone(),
            },
            storage: self.storage.to_raw(),
            handoff: self.handoff.to_raw(),
            repair: self.repair.to_raw(),
        }
    }
}

impl RawConfig {
    /// Checks every value; paths become relative to `base`.
    ///
    /// # Errors
    /// One text per problem.
    pub fn check(&self, base: &Path) -> Result<Config, Vec<String>> {
        let mut problems = Vec::new();
        let node = take_name("node.id", &self.node.id, &mut problems);
        let dc = take_name("node.dc", &self.node.dc, &mut problems);
        let rack = take_name("node.rack", &self.node.rack, &mut problems);
        let listen = self.listen.quic.parse::<SocketAddr>().map_err(|_| {
            problems.push(format!(
                "  listen.quic: `{}` is not IP:port; write for example 0.0.0.0:7400",
                self.listen.quic
            ));
        });
        let storage = self.storage.check(&mut problems);
        let handoff = self.handoff.check(&mut problems);
        let repair = self.repair.check(&mut problems);
        let (Some(node), Some(dc), Some(rack), Ok(listen)) = (node, dc, rack, listen) else {
            return Err(problems);
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Config {
            node,
            dc,
            rack,
            data_dir: base.join(&self.node.data_dir),
            topology: base.join(&self.node.topology),
            listen,
            ca: base.join(&self.tls.ca),
            certificate: base.join(&self.tls.certificate),
            key: base.join(&self.tls.key),
            storage,
            handoff,
            repair,
        })
    }
}

fn take_name(key: &str, text: &str, problems: &mut Vec<String>) -> Option<Name> {
    match Name::new(text) {
        Ok(name) => Some(name),
        Err(error) => {
            problems.push(format!("  {key}: {error}"));
            None
        }
    }
}
