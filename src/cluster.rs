//! The cluster as this node knows it: topology, keyspaces, placement, as one immutable snapshot.
//!
//! A request takes its [`View`] once, at the top. Keyspaces change by publishing a new view; nobody waits for a lock.
//!
//! Invariants
//! - Every keyspace of a view has its placement tables in the same view.
//! - The keyspaces are stored before they are published.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use atoll_protocol::ids::{DcIndex, KeyspaceId, Name, NodeIndex};
use atoll_protocol::keyspace::{Keyspace, KeyspaceMap};
use atoll_protocol::merkle::ReplicaSets;
use atoll_protocol::token::Partition;
use atoll_protocol::topology::{Placement, Topology};
use atoll_protocol::wire::{Gossip, PeerNotice};
use atoll_seeded_bug::{Mutant, seeded_bug};
use parking_lot::Mutex;

use crate::meta::{Meta, MetaError};

/// One consistent picture of the cluster.
#[derive(Debug)]
pub struct View {
    /// The topology.
    pub topology: Arc<Topology>,
    /// The keyspaces.
    pub keyspaces: KeyspaceMap,
    placement: Placement,
    sets: BTreeMap<KeyspaceId, ReplicaSets>,
}

/// The replicas of a key.
#[derive(Clone, Debug)]
pub struct Replicas {
    /// Replicas per datacenter, by `DcIndex`.
    pub counts: Vec<u8>,
    /// The nodes with their datacenters, in preference order within each datacenter.
    pub nodes: Vec<(NodeIndex, DcIndex)>,
}

/// The cluster as one node knows it.
pub struct Cluster {
    own: NodeIndex,
    own_dc: DcIndex,
    meta: Arc<Meta>,
    view: ArcSwap<View>,
    /// Held while the keyspaces are being changed; readers never take it.
    change: Mutex<()>,
}

impl Cluster {
    /// The cluster of `topology` as node `own` of datacenter `own_dc`.
    pub fn new(
        (own, own_dc): (NodeIndex, DcIndex),
        topology: Arc<Topology>,
        keyspaces: KeyspaceMap,
        meta: Arc<Meta>,
    ) -> Self {
        let view = ArcSwap::from_pointee(View::new(topology, keyspaces));
        Self { own, own_dc, meta, view, change: Mutex::new(()) }
    }

    /// The current picture.
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// This node.
    pub fn own(&self) -> NodeIndex {
        self.own
    }

    /// This node's datacenter.
    pub fn own_dc(&self) -> DcIndex {
        self.own_dc
    }

    /// Changes the keyspaces: stores what `edit` made of them, then publishes it. `edit` may refuse.
    ///
    /// Blocks on disk if anything changed.
    ///
    /// # Errors
    /// What `edit` returned, or the metadata's error as text; nothing is published then.
    pub fn change_keyspaces<E>(
        &self,
        edit: impl FnOnce(&mut KeyspaceMap) -> Result<(), E>,
    ) -> Result<Arc<View>, ChangeError<E>> {
        let _alone = self.change.lock();
        let before = self.view.load_full();
        let mut keyspaces = before.keyspaces.clone();
        edit(&mut keyspaces).map_err(ChangeError::Refused)?;
        if keyspaces == before.keyspaces {
            return Ok(before);
        }
        if !seeded_bug(Mutant::KeyspaceNotStored) {
            self.meta.store_keyspaces(&keyspaces).map_err(ChangeError::Meta)?;
        }
        let view = Arc::new(View::new(before.topology.clone(), keyspaces));
        self.view.store(view.clone());
        Ok(view)
    }
}

/// Why the keyspaces did not change.
#[derive(Debug)]
pub enum ChangeError<E> {
    /// The edit refused.
    Refused(E),
    /// The metadata could not be written.
    Meta(MetaError),
}

impl View {
    /// The picture that `keyspaces` make on `topology`. Cost: computes every placement.
    pub(crate) fn new(topology: Arc<Topology>, keyspaces: KeyspaceMap) -> Self {
        let placement = Placement::compute(&topology, keyspaces.pairs(&topology));
        let sets_of =
            |keyspace: &Arc<Keyspace>| (keyspace.id, ReplicaSets::of(keyspace.pairs(&topology)));
        let sets = keyspaces.iter().map(sets_of).collect();
        Self { topology, keyspaces, placement, sets }
    }

    /// The keyspace of that name.
    pub fn keyspace(&self, name: &Name) -> Option<&Arc<Keyspace>> {
        self.keyspaces.by_name(name)
    }

    /// The replicas of `partition` in `keyspace`.
    pub fn replicas(&self, keyspace: &Keyspace, partition: Partition) -> Replicas {
        let mut counts = vec![0; self.topology.dcs().len()];
        let mut nodes = Vec::new();
        for (dc, factor) in keyspace.pairs(&self.topology) {
            let row = self.placement.replicas(partition, dc, factor).unwrap_or(&[]);
            if let Some(count) = counts.get_mut(usize::from(dc.0)) {
                *count = u8::try_from(row.len()).unwrap_or(u8::MAX);
            }
            nodes.extend(row.iter().map(|&node| (node, dc)));
        }
        Replicas { counts, nodes }
    }

    /// Which nodes replicate `keyspace`, as a number that keyspaces with the same replicas share.
    pub fn replica_sets(&self, keyspace: &Keyspace) -> ReplicaSets {
        self.sets.get(&keyspace.id).copied().unwrap_or(ReplicaSets(0))
    }

    /// The same of a keyspace id; `None` if there is no such keyspace.
    pub fn replica_sets_by_id(&self, keyspace: KeyspaceId) -> Option<ReplicaSets> {
        self.sets.get(&keyspace).copied()
    }

    /// The keyspaces with the same replica sets, by these.
    pub fn keyspaces_by_sets(&self) -> BTreeMap<ReplicaSets, Vec<&Arc<Keyspace>>> {
        let mut by_sets = BTreeMap::<_, Vec<_>>::new();
        for keyspace in self.keyspaces.iter() {
            by_sets.entry(self.replica_sets(keyspace)).or_default().push(keyspace);
        }
        by_sets
    }

    /// One keyspace for each of the different replica sets: where all of them are placed.
    pub fn representatives(&self) -> impl Iterator<Item = (ReplicaSets, &Arc<Keyspace>)> {
        let by_sets = self.keyspaces_by_sets().into_iter();
        by_sets.filter_map(|(sets, keyspaces)| Some((sets, *keyspaces.first()?)))
    }

    /// The keyspaces with these replica sets.
    pub fn keyspaces_of(&self, sets: ReplicaSets) -> Vec<KeyspaceId> {
        let of = self.keyspaces.iter().filter(|keyspace| self.replica_sets(keyspace) == sets);
        of.map(|keyspace| keyspace.id).collect()
    }

    /// What this node tells its peers: what all should agree on, the random number of its process, and whom it does not
    /// hear.
    pub fn gossip(&self, boot: u64, silent: Vec<NodeIndex>) -> PeerNotice {
        let (topology, keyspaces) = (self.topology.digest(), self.keyspaces.digest());
        PeerNotice::Gossip(Gossip { boot, topology, keyspaces, silent })
    }

    /// Name of a node, for messages.
    pub fn node_name(&self, node: NodeIndex) -> Option<&Name> {
        self.topology.node(node).map(|node| &node.name)
    }

    /// Name of a datacenter, for messages.
    pub fn dc_name(&self, dc: DcIndex) -> Option<&Name> {
        self.topology.dc(dc).map(|dc| &dc.name)
    }

    /// Share of its datacenter's partitions that `node` replicates in the default keyspace, in thousandths.
    pub fn owns_per_mille(&self, node: NodeIndex) -> u16 {
        let Some(keyspace) = self.keyspaces.iter().next() else {
            return 0;
        };
        let partitions = self.topology.partitions();
        let owned = partitions
            .iter()
            .filter(|&partition| {
                self.replicas(keyspace, partition).nodes.iter().any(|(owner, _)| *owner == node)
            })
            .count();
        u16::try_from(owned * 1_000 / partitions.count() as usize).unwrap_or(u16::MAX)
    }
}
