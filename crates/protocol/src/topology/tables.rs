//! The assignment tables of one topology: one per (datacenter, replication factor) in use.
//!
//! Published beside the topology; every request looks its replicas up here. Keyspaces with the same replication factor
//! in a datacenter share a table, so that partitions, Merkle trees and streams coincide.
//!
//! 1. `compute` makes the tables of a new cluster, `recompute` those that follow an earlier placement; rows of the
//!    earlier one are translated from its node numbers to the new ones by name.
//! 2. `extend` adds a pair that a new keyspace brings. Tables are shared: a copy with one more pair costs one table.
//!
//! Invariants
//! - A table's nodes all belong to the pair's datacenter in the topology that it was computed from.
//! - A table depends on the topology and on the same pair's earlier table, never on other pairs. A pair that the
//!   earlier placement lacks counts as extended there, so whoever learns of a keyspace before an epoch, and whoever
//!   learns of it after, computes the same table for that epoch.
//!
//! Beyond one epoch a table is history: whoever proposes an epoch ships the placement with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Topology;
use crate::ids::{DcIndex, NodeIndex};
use crate::placement::{Table, assign};
use crate::token::Partition;

/// The tables of one topology.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// By datacenter and *requested* replication factor; the table's own may be less where nodes are few.
    tables: BTreeMap<(DcIndex, u8), Arc<Table>>,
}

impl Placement {
    /// Tables of a cluster without a past.
    pub fn compute(topology: &Topology, pairs: impl IntoIterator<Item = (DcIndex, u8)>) -> Self {
        let mut placement = Self::default();
        for (dc, replication_factor) in pairs {
            placement.extend(topology, dc, replication_factor);
        }
        placement
    }

    /// Tables that follow `previous`, which was computed for the topology beside it, with minimal movement.
    pub fn recompute(
        topology: &Topology,
        pairs: impl IntoIterator<Item = (DcIndex, u8)>,
        previous: (&Topology, &Self),
    ) -> Self {
        let mut placement = Self::default();
        for (dc, replication_factor) in pairs {
            let earlier = earlier_table(topology, (dc, replication_factor), previous);
            placement.add(topology, (dc, replication_factor), earlier.as_ref());
        }
        placement
    }

    /// Adds the table of one pair unless it is there; a pair without nodes or replicas gets none.
    ///
    /// A pair that is new has no data to move, so its table is a fresh one.
    pub fn extend(&mut self, topology: &Topology, dc: DcIndex, replication_factor: u8) {
        self.add(topology, (dc, replication_factor), None);
    }

    fn add(&mut self, topology: &Topology, pair: (DcIndex, u8), earlier: Option<&Table>) {
        let (dc, replication_factor) = pair;
        if replication_factor == 0 || topology.nodes_in(dc).next().is_none() {
            return;
        }
        self.tables.entry(pair).or_insert_with(|| {
            let candidates = topology.candidates(dc);
            Arc::new(assign(&candidates, topology.partitions(), replication_factor, earlier))
        });
    }

    /// The replicas of `partition` in `dc` for keyspaces with that replication factor there, first the one that
    /// leads. `None` when the pair has no table or there is no such partition. Cost: one map lookup.
    pub fn replicas(
        &self,
        partition: Partition,
        dc: DcIndex,
        replication_factor: u8,
    ) -> Option<&[NodeIndex]> {
        let row = self.table(dc, replication_factor)?.row(partition);
        (!row.is_empty()).then_some(row)
    }

    /// The table of one pair.
    pub fn table(&self, dc: DcIndex, replication_factor: u8) -> Option<&Arc<Table>> {
        self.tables.get(&(dc, replication_factor))
    }

    /// The pairs that have a table, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (DcIndex, u8)> {
        self.tables.keys().copied()
    }
}

/// The table that now holds the pair's data, in the node numbers of `topology`.
fn earlier_table(
    topology: &Topology,
    (dc, replication_factor): (DcIndex, u8),
    (old_topology, old): (&Topology, &Placement),
) -> Option<Table> {
    let (old_dc, _) = old_topology.dc_by_name(&topology.dc(dc)?.name)?;
    let mut old = old.clone();
    old.extend(old_topology, old_dc, replication_factor);
    let new_index = |node| {
        let (index, found) = topology.node_by_name(&old_topology.node(node)?.name)?;
        (found.dc == dc).then_some(index)
    };
    // Once per node instead of once per replica.
    let indices: BTreeMap<NodeIndex, NodeIndex> =
        old_topology.nodes_in(old_dc).filter_map(|node| Some((node, new_index(node)?))).collect();
    let table = old.table(old_dc, replication_factor)?;
    Some(table.renumbered(|node| indices.get(&node).copied()))
}
