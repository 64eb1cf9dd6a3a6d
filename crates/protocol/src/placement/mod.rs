//! Which nodes of a datacenter replicate each partition: the whole table at once, not a ring walk.
//!
//! Called when a topology changes; the tables then travel with their epoch. Every node that starts from the same
//! topology and the same previous table computes the same bytes. The computation is confined to one datacenter.
//!
//! 1. Count what each node holds now and compute its target by water-filling (`target.rs`).
//! 2. Meet the targets with the cheapest flow partition → rack → node, where a replica that stays costs 0 and one
//!    that moves costs 1 (`flow.rs`). With RF = nodes there is nothing to choose and the flow is skipped.
//! 3. Order each row: survivors keep their places, newcomers take those of the departed, and few first places change
//!    hands until every node leads its fair part (`order.rs`).
//!
//! Invariants
//! - A row has min(RF, nodes) distinct nodes, at most `rack_cap` of one rack: 1 when there are RF racks or more,
//!   otherwise ⌈RF / racks⌉ (more only where racks have too few nodes for that; `target.rs`).
//! - A node holds exactly its target, which is less than one partition away from its weighted share.
//! - No table that meets the targets moves fewer replicas (the flow is the cheapest). The lower bound to compare with
//!   is gaps + max(above, stuck): *gaps* are the places in the rows of `previous` left by departed nodes, by breaches
//!   of the rack rule and by a raised RF; *above* is Σ max(0, held − target); *stuck* counts the gains that no gap can
//!   take, because the rows with gaps have that node, or `rack_cap` of its rack, already. One change to a datacenter
//!   of equal nodes and racks stays within 10 % of it (tested); very uneven ones can need up to twice the bound.
//! - A node is first in at most ⌈its load / RF⌉ rows.
//!
//! Absent: floats, hash maps, randomness, clocks.
//! Cost (release, measured): 64 partitions × 3 nodes 0.1 ms, 1 024 × 30 5 ms, 4 096 × 1 000 2 s. Memory while it
//! runs: 48 bytes × partitions × nodes, so 4 096 × 1 000 takes 200 MB and 65 536 × 1 000 would take 3 GB.
//! Source: Garage's layout optimisation (max-flow with costs of moving); Dynamo, SOSP 2007, §6.2, strategy 3.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::ids::{Name, NodeIndex};
use crate::limits::REPLICATION_FACTOR_MAX;
use crate::token::{Partition, Partitions};

mod draft;
mod flow;
mod order;
mod target;
#[cfg(test)]
mod tests;

use draft::Draft;

/// A node that may hold replicas of its datacenter's partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub node: NodeIndex,
    /// Its rack.
    pub rack: Name,
    /// Relative capacity, at least 1 (0 counts as 1). Only ratios within the datacenter matter.
    pub capacity: u32,
}

/// The replicas of every partition in one datacenter at one replication factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawTable", into = "RawTable")]
pub struct Table {
    partitions: Partitions,
    replication_factor: u8,
    /// `partitions` rows of `replication_factor` nodes each, end to end.
    rows: Vec<NodeIndex>,
}

/// Why a decoded table is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The rows do not have the announced shape.
    #[error(
        "a table of {partitions} partitions and {replication_factor} replicas has {got} entries"
    )]
    Shape {
        /// Announced partitions.
        partitions: u32,
        /// Announced length of a row.
        replication_factor: u8,
        /// Entries that were decoded.
        got: usize,
    },
    /// A node replicates a partition twice.
    #[error("the row of partition {partition} repeats a node")]
    Repeats {
        /// The first such partition.
        partition: Partition,
    },
}

/// Stands for a node of an earlier topology that is gone; above every index, because there are at most
/// `limits::NODES_MAX` nodes.
const DEPARTED: NodeIndex = NodeIndex(u16::MAX);

const _: () = assert!(crate::limits::NODES_MAX < DEPARTED.0 as usize);

/// Computes the table of one datacenter.
///
/// `nodes` may come in any order. A `replication_factor` above their number counts as their number.
/// `previous` is the table that now holds the data, in the *same* node numbers (see [`Table::renumbered`]); its
/// replication factor may differ. A table with another number of partitions is ignored.
///
/// Cost: see the module; call it when the topology changes, never per request.
///
/// # Panics
/// If two candidates have the same index: the caller's mistake.
pub fn assign(
    nodes: &[Candidate],
    partitions: Partitions,
    replication_factor: u8,
    previous: Option<&Table>,
) -> Table {
    let draft = Draft::new(nodes, partitions, replication_factor, previous);
    let mut rows = draft.solve();
    order::order(&draft, &mut rows);
    let rows: Vec<NodeIndex> = rows.iter().flatten().map(|&member| draft.node(member)).collect();
    let replication_factor = draft.replication_factor_u8();
    assert_eq!(rows.len(), expected_len(partitions, replication_factor), "all rows are full");
    Table { partitions, replication_factor, rows }
}

/// How many replicas [`assign`] gives to each node, in index order, for the same arguments: the achievable share.
pub fn targets(
    nodes: &[Candidate],
    partitions: Partitions,
    replication_factor: u8,
    previous: Option<&Table>,
) -> Vec<(NodeIndex, u32)> {
    let draft = Draft::new(nodes, partitions, replication_factor, previous);
    let targets = draft.targets();
    targets.into_iter().enumerate().map(|(member, target)| (draft.node(member), target)).collect()
}

/// The fallbacks of sloppy quorum: the datacenter's `nodes` without `primaries`, in an order of this partition's own.
///
/// The order is by `xxh3_64_with_seed(node name, seed = partition)`, so that a node that comes or goes leaves the
/// order of the others alone, and the fallbacks of one node's partitions are spread over all.
#[doc(alias = "preference list")]
pub fn fallbacks<'a>(
    partition: Partition,
    primaries: &[NodeIndex],
    nodes: impl IntoIterator<Item = (NodeIndex, &'a Name)>,
) -> Vec<NodeIndex> {
    let rank = |name: &Name| xxh3_64_with_seed(name.as_str().as_bytes(), u64::from(partition.0));
    let mut ranked: Vec<(u64, NodeIndex)> = nodes
        .into_iter()
        .filter(|(node, _)| !primaries.contains(node))
        .map(|(node, name)| (rank(name), node))
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, node)| node).collect()
}

impl Table {
    /// The replicas of `partition`, first the one that leads; empty when there is no such partition or no node.
    pub fn row(&self, partition: Partition) -> &[NodeIndex] {
        let length = usize::from(self.replication_factor);
        let start = partition.0 as usize * length;
        self.rows.get(start..start + length).unwrap_or(&[])
    }

    /// The number of rows.
    pub fn partitions(&self) -> Partitions {
        self.partitions
    }

    /// Length of every row: the replication factor, or the number of nodes where that is less.
    pub fn replication_factor(&self) -> u8 {
        self.replication_factor
    }

    /// Rows in which `node` is. Cost: reads the table.
    pub fn load(&self, node: NodeIndex) -> u32 {
        u32::try_from(self.rows.iter().filter(|&&held| held == node).count()).unwrap_or(u32::MAX)
    }

    /// Replicas in this table that `previous` does not have: what has to be streamed. Cost: reads both tables.
    pub fn moved_from(&self, previous: &Self) -> u32 {
        let new_in = |partition| {
            let old = previous.row(partition);
            self.row(partition).iter().filter(|node| !old.contains(node)).count()
        };
        let moved: usize = self.partitions.iter().map(new_in).sum();
        u32::try_from(moved).unwrap_or(u32::MAX)
    }

    /// This table in the node numbers of another topology, to be the `previous` of [`assign`]. Nodes for which
    /// `new_index` has nothing are kept as places without an owner, so the result must not serve requests.
    #[must_use]
    pub fn renumbered(&self, new_index: impl Fn(NodeIndex) -> Option<NodeIndex>) -> Self {
        let rows = self.rows.iter().map(|&node| new_index(node).unwrap_or(DEPARTED)).collect();
        Self { rows, ..*self }
    }
}

/// The shape that is encoded; checked on the way in.
#[derive(Serialize, Deserialize)]
struct RawTable {
    partitions: Partitions,
    replication_factor: u8,
    rows: Vec<NodeIndex>,
}

impl From<Table> for RawTable {
    fn from(table: Table) -> Self {
        let Table { partitions, replication_factor, rows } = table;
        Self { partitions, replication_factor, rows }
    }
}

impl TryFrom<RawTable> for Table {
    type Error = TableError;
    fn try_from(raw: RawTable) -> Result<Self, TableError> {
        let RawTable { partitions, replication_factor, rows } = raw;
        let expected = expected_len(partitions, replication_factor);
        if rows.len() != expected || replication_factor > REPLICATION_FACTOR_MAX {
            return Err(TableError::Shape {
                partitions: partitions.count(),
                replication_factor,
                got: rows.len(),
            });
        }
        let table = Self { partitions, replication_factor, rows };
        let repeats = |row: &[NodeIndex]| {
            let earlier = |place| row.iter().take(place);
            row.iter().enumerate().any(|(place, node)| earlier(place).any(|e| e == node))
        };
        match partitions.iter().find(|p| repeats(table.row(*p))) {
            Some(partition) => Err(TableError::Repeats { partition }),
            None => Ok(table),
        }
    }
}

fn expected_len(partitions: Partitions, replication_factor: u8) -> usize {
    partitions.count() as usize * usize::from(replication_factor)
}
