//! The topology file as it is written: TOML in, TOML out, nothing believed yet.
//!
//! `atoll dev` fills in addresses and writes the file back; everybody else goes on to [`TopologyFile::check`].
//!
//! 1. `parse` reads TOML. Unknown keys and wrong types are problems with their line; TOML's parser stops at the first.
//! 2. Texts and numbers are kept as they stand, however wrong, so that `check` can report all problems together.
//!
//! Invariants
//! - `parse` of `to_toml` gives the same value.

use serde::{Deserialize, Serialize};

use super::problem::Problems;

/// A topology file. Field docs say what to write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopologyFile {
    /// Name of the cluster; the certificates carry the same one.
    pub cluster: String,
    /// Partitions per keyspace, a power of two; default 1 024. Fixed for the cluster's life: choose about 100 for
    /// each node that the largest datacenter may ever have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i64>,
    /// The datacenters.
    #[serde(default)]
    pub dc: Vec<DcEntry>,
    /// The nodes.
    #[serde(default)]
    pub node: Vec<NodeEntry>,
    /// Round-trip times between datacenters, for the emulation of a WAN on one machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub link: Vec<LinkEntry>,
}

/// A `[[dc]]` of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DcEntry {
    /// Name, unique among datacenters.
    pub name: String,
    /// Replicas that the `default` keyspace has here; default 3, or the number of nodes where that is less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_factor: Option<i64>,
}

/// A `[[node]]` of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeEntry {
    /// Name, unique in the cluster.
    pub id: String,
    /// Name of its datacenter.
    pub dc: String,
    /// What fails together with it: an availability zone, a rack, a power supply.
    pub rack: String,
    /// `host:port` where others reach it. `atoll dev` fills it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Relative share of its datacenter's data, 0.01..=1000; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<f64>,
}

/// A `[[link]]` of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkEntry {
    /// The two datacenters, in either order.
    pub between: Vec<String>,
    /// Round-trip time such as `80ms` or `1s`.
    pub rtt: String,
}

impl TopologyFile {
    /// Reads TOML.
    ///
    /// # Errors
    /// [`Problems`] with the line and the message of TOML's parser.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        toml::from_str(text).map_err(|error| {
            let mut problems = Problems::default();
            let path = match error.span() {
                Some(span) => format!("line {}", line_of(text, span.start)),
                None => "topology file".to_owned(),
            };
            let fix = "write it as in the examples under `topology/`";
            problems.add(path, error.message(), fix);
            problems
        })
    }

    /// Writes TOML that [`Self::parse`] reads back.
    ///
    /// # Errors
    /// Never for a value that was parsed; TOML's own message otherwise.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

/// Line of a byte offset, counted from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
