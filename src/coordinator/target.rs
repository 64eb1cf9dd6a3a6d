//! Where a key lives: the snapshot that a request works with from its top to its end.

use std::sync::Arc;

use atoll_protocol::ids::{DcIndex, Name, NodeIndex};
use atoll_protocol::keyspace::Keyspace;
use atoll_protocol::token::Partition;
use atoll_protocol::wire::Invalid;
use bytes::Bytes;

use crate::cluster::{Cluster, Replicas, View};
use crate::replica::StoredKey;

/// One key, located.
#[derive(Clone, Debug)]
pub struct Target {
    /// The picture of the cluster that the request uses.
    pub view: Arc<View>,
    /// The keyspace.
    pub keyspace: Arc<Keyspace>,
    /// The user's key.
    pub key: Bytes,
    /// The key as it is stored.
    pub stored: StoredKey,
    /// Its partition.
    pub partition: Partition,
    /// Its replicas.
    pub replicas: Replicas,
}

impl Target {
    /// Locates `key` of the keyspace called `name`.
    ///
    /// # Errors
    /// [`Invalid::UnknownKeyspace`].
    pub fn locate(cluster: &Cluster, name: &Name, key: Bytes) -> Result<Self, Invalid> {
        let view = cluster.view();
        let Some(keyspace) = view.keyspace(name).cloned() else {
            return Err(Invalid::UnknownKeyspace { name: name.clone() });
        };
        let stored = StoredKey::new(keyspace.id, &key);
        let partition = stored.partition(view.topology.partitions());
        let replicas = view.replicas(&keyspace, partition);
        Ok(Self { view, keyspace, key, stored, partition, replicas })
    }

    /// The nodes behind the replicas in each datacenter, in the partition's own order.
    pub fn fallbacks(&self) -> impl Iterator<Item = (NodeIndex, DcIndex)> {
        let topology = &self.view.topology;
        let primaries: Vec<NodeIndex> = self.replicas.nodes.iter().map(|(node, _)| *node).collect();
        topology.dc_indices().flat_map(move |dc| {
            let nodes = topology.fallbacks(dc, self.partition, &primaries);
            nodes.into_iter().map(move |node| (node, dc))
        })
    }
}
