//! The cluster as everybody agrees on it: datacenters, nodes, partitions, and the version of that agreement.
//!
//! Stored before it is acted on, published as an immutable snapshot, carried by its epoch in every frame.
//!
//! 1. A file is parsed (`file.rs`) and checked (`check.rs`); every node of a new cluster computes epoch 1 from it.
//! 2. From the topology and the replication factors in use come the tables (`tables.rs`, [`Placement`]).
//! 3. A topology that a peer or a disk hands over is checked against the invariants again (`raw.rs`).
//! 4. Two nodes compare their topologies by epoch and [`Topology::digest`] (`digest.rs`).
//!
//! Invariants, of a checked file and of a decoded topology alike
//! - Datacenters are sorted by name, nodes by (datacenter, name); names are unique; indices are positions.
//! - Every datacenter has a node and 1 ≤ replication factor ≤ its nodes.
//! - Links join two different datacenters, lower index first, sorted, each pair once.
//!
//! Absent: liveness. A topology says who belongs to the cluster, not who answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{DcIndex, Epoch, Name, NodeIndex};
use crate::placement::{self, Candidate};
use crate::token::{Partition, Partitions};

mod check;
pub(crate) mod digest;
mod file;
pub(crate) mod problem;
mod raw;
mod tables;
#[cfg(test)]
mod tests;
mod values;

pub use check::Addresses;
pub use file::{DcEntry, LinkEntry, NodeEntry, TopologyFile};
pub use problem::{Problem, Problems};
pub use raw::TopologyInvalid;
pub use tables::Placement;

/// All that is wrong with a topology file.
pub type TopologyErrors = Problems;

/// Highest capacity of a node in hundredths: 1 000.00.
pub const CAPACITY_MAX: u32 = 100_000;

/// One version of the cluster's description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "raw::RawTopology", into = "raw::RawTopology")]
pub struct Topology {
    cluster: Name,
    epoch: Epoch,
    partitions: Partitions,
    dcs: Vec<Dc>,
    nodes: Vec<Node>,
    links: Vec<Link>,
}

/// A datacenter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dc {
    /// Its name.
    pub name: Name,
    /// Replicas that the `default` keyspace has here.
    pub replication_factor: u8,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: Name,
    /// Its datacenter.
    pub dc: DcIndex,
    /// What fails together with it.
    pub rack: Name,
    /// `host:port`; absent only in files checked with [`Addresses::Optional`].
    pub address: Option<String>,
    /// Relative capacity in hundredths: 1 to [`CAPACITY_MAX`], an ordinary node has 100.
    pub capacity: u32,
}

/// The distance between two datacenters; only WAN emulation uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Link {
    between: (DcIndex, DcIndex),
    rtt: Duration,
}

impl Topology {
    /// The same description as another version.
    #[must_use]
    pub fn at_epoch(self, epoch: Epoch) -> Self {
        Self { epoch, ..self }
    }

    /// Name of the cluster.
    pub fn cluster(&self) -> &Name {
        &self.cluster
    }

    /// Version; 1 when it comes from a file.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Number of partitions.
    pub fn partitions(&self) -> Partitions {
        self.partitions
    }

    /// The datacenters, sorted by name; a [`DcIndex`] is a position here.
    pub fn dcs(&self) -> &[Dc] {
        &self.dcs
    }

    /// The nodes, sorted by datacenter and name; a [`NodeIndex`] is a position here.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The datacenter at `index`.
    pub fn dc(&self, index: DcIndex) -> Option<&Dc> {
        self.dcs.get(usize::from(index.0))
    }

    /// The datacenter called `name`. Cost: a binary search.
    pub fn dc_by_name(&self, name: &Name) -> Option<(DcIndex, &Dc)> {
        let position = self.dcs.binary_search_by(|dc| dc.name.cmp(name)).ok()?;
        Some((DcIndex(u8::try_from(position).ok()?), self.dcs.get(position)?))
    }

    /// All datacenter indices.
    pub fn dc_indices(&self) -> impl Iterator<Item = DcIndex> + Clone + use<> {
        (0..u8::try_from(self.dcs.len()).unwrap_or(u8::MAX)).map(DcIndex)
    }

    /// All node indices.
    pub fn node_indices(&self) -> impl Iterator<Item = NodeIndex> + Clone + use<> {
        (0..u16::try_from(self.nodes.len()).unwrap_or(u16::MAX)).map(NodeIndex)
    }

    /// The node at `index`.
    pub fn node(&self, index: NodeIndex) -> Option<&Node> {
        self.nodes.get(usize::from(index.0))
    }

    /// The node called `name`. Cost: reads the list.
    pub fn node_by_name(&self, name: &Name) -> Option<(NodeIndex, &Node)> {
        (0..).map(NodeIndex).zip(&self.nodes).find(|(_, node)| node.name == *name)
    }

    /// The nodes of one datacenter, in index order.
    pub fn nodes_in(&self, dc: DcIndex) -> impl Iterator<Item = NodeIndex> + Clone + use<> {
        let start = self.nodes.partition_point(|node| node.dc < dc);
        let end = self.nodes.partition_point(|node| node.dc <= dc);
        (start..end).filter_map(|position| u16::try_from(position).ok().map(NodeIndex))
    }

    /// Emulated round-trip time between two datacenters; zero within one, and where the file has no link.
    pub fn rtt(&self, a: DcIndex, b: DcIndex) -> Duration {
        let pair = (a.min(b), a.max(b));
        let link = self.links.iter().find(|link| link.between == pair);
        link.map_or(Duration::ZERO, |link| link.rtt)
    }

    /// The nodes of one datacenter as [`placement::assign`] wants them.
    pub fn candidates(&self, dc: DcIndex) -> Vec<Candidate> {
        let candidate = |index| {
            let node = self.node(index)?;
            Some(Candidate { node: index, rack: node.rack.clone(), capacity: node.capacity })
        };
        self.nodes_in(dc).filter_map(candidate).collect()
    }

    /// The fallbacks of `partition` in one datacenter: its nodes without `primaries`, in the partition's own order.
    pub fn fallbacks(
        &self,
        dc: DcIndex,
        partition: Partition,
        primaries: &[NodeIndex],
    ) -> Vec<NodeIndex> {
        let named = self.nodes_in(dc).filter_map(|index| Some((index, &self.node(index)?.name)));
        placement::fallbacks(partition, primaries, named)
    }

    /// How many racks one datacenter has.
    pub fn rack_count(&self, dc: DcIndex) -> usize {
        let mut racks: Vec<&Name> =
            self.nodes_in(dc).filter_map(|index| Some(&self.node(index)?.rack)).collect();
        racks.sort();
        racks.dedup();
        racks.len()
    }

    /// What is legal and yet probably not meant: more replicas than racks.
    pub fn warnings(&self) -> Vec<Problem> {
        let mut warnings = Problems::default();
        for (index, dc) in self.dc_indices().zip(&self.dcs) {
            let racks = self.rack_count(index);
            let Dc { name, replication_factor } = dc;
            if usize::from(*replication_factor) > racks {
                let found = format!(
                    "replication factor {replication_factor}, but `{name}` has {racks} rack(s)"
                );
                let fix = "a rack that fails takes several replicas of a partition with it: \
                           spread the nodes over more racks, or lower the replication factor";
                warnings.add(format!("dc `{name}`"), found, fix);
            }
        }
        warnings.problems
    }

    /// Hash of everything in the topology, the same wherever the topology is the same.
    pub fn digest(&self) -> u64 {
        let mut canonical = digest::Canonical::new();
        canonical.text(self.cluster.as_str()).number(self.epoch.0);
        canonical.number(u64::from(self.partitions.count()));
        canonical.number(self.dcs.len() as u64);
        for dc in &self.dcs {
            canonical.text(dc.name.as_str()).number(u64::from(dc.replication_factor));
        }
        canonical.number(self.nodes.len() as u64);
        for node in &self.nodes {
            canonical.text(node.name.as_str()).number(u64::from(node.dc.0));
            canonical.text(node.rack.as_str()).maybe_text(node.address.as_deref());
            canonical.number(u64::from(node.capacity));
        }
        canonical.number(self.links.len() as u64);
        for Link { between: (a, b), rtt } in &self.links {
            canonical.number(u64::from(a.0)).number(u64::from(b.0));
            canonical.number(u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX));
        }
        canonical.finish()
    }
}
