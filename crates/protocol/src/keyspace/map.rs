//! All keyspaces of the cluster as one node knows them; a join-semilattice.
//!
//! Published as a snapshot beside the topology; requests look keyspaces up by name or id.
//!
//! 1. `merge` keeps, name by name, the definition that precedes the other; it forgets nothing else.
//! 2. `insert_new` is for the node that takes a new definition: first come, first served.
//!
//! Invariants
//! - `merge` is commutative, associative and idempotent: it takes a minimum per name in a total order.
//! - The index by id is a function of the definitions. Should two names carry one id (both minted by chance, 2^-64),
//!   the lesser name is found.
//!
//! The cap `KEYSPACES_MAX` is asked on creation only: a merge that dropped definitions would not be a join. What two
//! sides of a partition add can exceed it by their sum, and a decoded map is bounded by the frame.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_seeded_bug::{Mutant, seeded_bug};
use serde::{Deserialize, Serialize};

use super::Keyspace;
use crate::ids::{DcIndex, KeyspaceId, Name};
use crate::topology::Topology;
use crate::topology::digest::Canonical;

/// The keyspaces that a node knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Arc<Keyspace>>", into = "Vec<Arc<Keyspace>>")]
pub struct KeyspaceMap {
    by_name: BTreeMap<Name, Arc<Keyspace>>,
    by_id: BTreeMap<KeyspaceId, Arc<Keyspace>>,
}

/// What a merge did to one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyspaceChange {
    /// The name was unknown here.
    Added {
        /// Its definition.
        keyspace: Arc<Keyspace>,
    },
    /// A definition from here gave way to an earlier one: tell whoever asked for it.
    Replaced {
        /// What stood here until now.
        lost: Arc<Keyspace>,
        /// What stands everywhere from now on.
        stands: Arc<Keyspace>,
    },
}

/// The name or the id is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("keyspace `{}` exists already (id {:016x})", existing.name, existing.id.0)]
pub struct KeyspaceExists {
    /// The definition that stands.
    pub existing: Arc<Keyspace>,
}

impl KeyspaceMap {
    /// The map of a new cluster: `default` alone.
    pub fn new(topology: &Topology) -> Self {
        Self::from(vec![Arc::new(Keyspace::default_for(topology))])
    }

    /// Adds a definition that this node has just taken and checked.
    ///
    /// # Errors
    /// [`KeyspaceExists`] when the name is taken, or the id (mint another one); nothing changes.
    pub fn insert_new(&mut self, keyspace: Keyspace) -> Result<(), KeyspaceExists> {
        let taken = self.by_name(&keyspace.name).or_else(|| self.by_id(keyspace.id));
        if let Some(existing) = taken {
            return Err(KeyspaceExists { existing: Arc::clone(existing) });
        }
        self.put(Arc::new(keyspace));
        Ok(())
    }

    /// Joins what a peer knows into this map; returns what changed here, by name.
    pub fn merge(&mut self, peer: &Self) -> Vec<KeyspaceChange> {
        let mut changes = Vec::new();
        for theirs in peer.iter() {
            let stands = Arc::clone(theirs);
            match self.by_name(&theirs.name).map(Arc::clone) {
                None => changes.push(KeyspaceChange::Added { keyspace: stands }),
                Some(ours) if ours.precedes(theirs) && seeded_bug(Mutant::KeyspaceNewestWins) => {
                    changes.push(KeyspaceChange::Replaced { lost: ours, stands });
                }
                Some(ours) if theirs.precedes(&ours) && !seeded_bug(Mutant::KeyspaceNewestWins) => {
                    changes.push(KeyspaceChange::Replaced { lost: ours, stands });
                }
                Some(_) => continue,
            }
            self.put(Arc::clone(theirs));
        }
        changes
    }

    /// The keyspace called `name`.
    pub fn by_name(&self, name: &Name) -> Option<&Arc<Keyspace>> {
        self.by_name.get(name)
    }

    /// The keyspace with this id.
    pub fn by_id(&self, id: KeyspaceId) -> Option<&Arc<Keyspace>> {
        self.by_id.get(&id)
    }

    /// All keyspaces in name order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Keyspace>> {
        self.by_name.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// True before the first definition.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The (datacenter, replication factor) pairs that the placement needs a table for.
    pub fn pairs(&self, topology: &Topology) -> BTreeSet<(DcIndex, u8)> {
        self.iter().flat_map(|keyspace| keyspace.pairs(topology)).collect()
    }

    /// Hash of all definitions; equal maps have equal digests on every node.
    pub fn digest(&self) -> u64 {
        let mut canonical = Canonical::new();
        canonical.number(self.len() as u64);
        for keyspace in self.iter() {
            keyspace.digest_into(&mut canonical);
        }
        canonical.finish()
    }

    /// Sets the definition of a name and mends the index by id.
    fn put(&mut self, keyspace: Arc<Keyspace>) {
        let id = keyspace.id;
        let lost = self.by_name.insert(keyspace.name.clone(), Arc::clone(&keyspace));
        if let Some(lost) = lost.filter(|lost| lost.id != id) {
            match self.by_name.values().find(|known| known.id == lost.id) {
                Some(least) => self.by_id.insert(lost.id, Arc::clone(least)),
                None => self.by_id.remove(&lost.id),
            };
        }
        let least = self.by_id.get(&id).is_none_or(|known| keyspace.name <= known.name);
        if least {
            self.by_id.insert(id, keyspace);
        }
        debug_assert!(self.by_id.len() <= self.by_name.len(), "every id belongs to a name");
    }
}

impl From<Vec<Arc<Keyspace>>> for KeyspaceMap {
    /// Definitions in any order; of two for one name the preceding one stands.
    fn from(keyspaces: Vec<Arc<Keyspace>>) -> Self {
        let mut map = Self::default();
        for keyspace in keyspaces {
            let stands = map.by_name(&keyspace.name).is_none_or(|ours| keyspace.precedes(ours));
            if stands {
                map.put(keyspace);
            }
        }
        map
    }
}

impl From<KeyspaceMap> for Vec<Arc<Keyspace>> {
    fn from(map: KeyspaceMap) -> Self {
        map.by_name.into_values().collect()
    }
}
