//! Whether a wanted keyspace can exist in a topology: every problem at once.
//!
//! Asked before [`KeyspaceMap::insert_new`], by the node that a client asked. A definition that arrives by merge is
//! not checked again: its node's topology may be newer than ours.

use std::time::Duration;

use super::{Keyspace, KeyspaceErrors, KeyspaceMap};
use crate::ids::Name;
use crate::limits::{KEYSPACES_MAX, RECORD_BYTES_MAX_CEILING, REPLICATION_FACTOR_MAX};
use crate::topology::problem::{Problems, fix_for_unknown};
use crate::topology::{Dc, Topology};

impl KeyspaceMap {
    /// Checks a wanted definition against the topology and the number of keyspaces. That its name is free is for
    /// [`Self::insert_new`] to say.
    ///
    /// # Errors
    /// [`KeyspaceErrors`] holds all that is wrong.
    pub fn check(&self, wanted: &Keyspace, topology: &Topology) -> Result<(), KeyspaceErrors> {
        let mut problems = Problems::default();
        if self.len() >= KEYSPACES_MAX && self.by_name(&wanted.name).is_none() {
            let found = format!("{} keyspaces, the limit is {KEYSPACES_MAX}", self.len());
            problems.add("keyspace", found, "put the keys into an existing keyspace");
        }
        if wanted.replication_factor.is_empty() {
            let fix = "give a replication factor for at least one datacenter";
            problems.add("replication_factor", "no datacenter has a replica", fix);
        }
        for (dc, replicas) in &wanted.replication_factor {
            check_replicas(&mut problems, (dc, *replicas), topology);
        }
        if wanted.ttl == Some(Duration::ZERO) {
            problems.add(
                "ttl",
                "0: every record would be born expired",
                "leave it out for no expiry",
            );
        }
        let record_bytes_max = wanted.record_bytes_max;
        if record_bytes_max == 0 || record_bytes_max as usize > RECORD_BYTES_MAX_CEILING {
            let found =
                format!("{record_bytes_max} bytes, the limit is {RECORD_BYTES_MAX_CEILING}");
            let fix = format!("write 1 to {RECORD_BYTES_MAX_CEILING}, and split larger values");
            problems.add("record_bytes_max", found, fix);
        }
        if problems.problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

fn check_replicas(problems: &mut Problems, (dc, replicas): (&Name, u8), topology: &Topology) {
    let path = format!("replication_factor.{dc}");
    let Some((index, Dc { name, .. })) = topology.dc_by_name(dc) else {
        let known = topology.dcs().iter().map(|dc| dc.name.as_str());
        let found = format!("there is no datacenter `{dc}`");
        problems.add(path, found, fix_for_unknown(dc.as_str(), known));
        return;
    };
    let nodes = topology.nodes_in(index).count();
    if replicas == 0 {
        let fix = format!("write at least 1, or leave `{name}` out");
        problems.add(path, format!("replication factor 0 in `{name}`"), fix);
    } else if replicas > REPLICATION_FACTOR_MAX {
        let found = format!(
            "replication factor {replicas} in `{name}`, the limit is {REPLICATION_FACTOR_MAX}"
        );
        let most = nodes.min(usize::from(REPLICATION_FACTOR_MAX));
        problems.add(path, found, format!("write at most {most}"));
    } else if usize::from(replicas) > nodes {
        let found = format!("replication factor {replicas}, but `{name}` has {nodes} node(s)");
        problems.add(path, found, format!("write at most {nodes}, or add nodes to `{name}`"));
    }
}
