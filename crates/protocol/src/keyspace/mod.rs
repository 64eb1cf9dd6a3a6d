//! Keyspaces: named sets of keys with replication factors, conflict mode, default TTL and size limit.
//!
//! A merged map beside the topology (`map.rs`): any node may define a keyspace, definitions spread by digest exchange,
//! and no majority is needed.
//!
//! 1. A client asks for a definition; the node mints an id and a timestamp and checks it ([`KeyspaceMap::check`]).
//! 2. [`KeyspaceMap::insert_new`] takes it, or tells who has the name.
//! 3. Nodes exchange maps when their digests differ and [`KeyspaceMap::merge`] them.
//!
//! Invariants
//! - A definition never changes; of two for one name the one with the lesser (created, id) stands, everywhere.
//! - The `default` keyspace has id 1 and time 0, so no other definition of that name can displace it.
//!
//! Units: `created` is a hybrid timestamp in microseconds; sizes are bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{DcIndex, KeyspaceId, Name};
use crate::limits::RECORD_BYTES_MAX_DEFAULT;
use crate::topology::Topology;
use crate::topology::digest::Canonical;

mod check;
mod map;
#[cfg(test)]
mod tests;

pub use crate::topology::{Problem, Problems};
pub use map::{KeyspaceChange, KeyspaceExists, KeyspaceMap};

/// All that is wrong with a wanted definition.
pub type KeyspaceErrors = Problems;

/// Id of the keyspace that exists from birth.
pub const DEFAULT_KEYSPACE_ID: KeyspaceId = KeyspaceId(1);

/// Name of the keyspace that exists from birth.
pub const DEFAULT_KEYSPACE_NAME: &str = "default";

/// Cap on key plus value where a definition is silent.
#[expect(clippy::cast_possible_truncation, reason = "the assertion below")]
pub const DEFAULT_RECORD_BYTES_MAX: u32 = RECORD_BYTES_MAX_DEFAULT as u32;

const _: () = assert!(DEFAULT_RECORD_BYTES_MAX as usize == RECORD_BYTES_MAX_DEFAULT);

/// What becomes of concurrent writes to one key.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Conflict {
    /// All are kept until a later write has seen them.
    #[default]
    Siblings,
    /// The greatest (timestamp, dot) is kept, the others are dropped and counted.
    #[doc(alias = "last writer wins")]
    Lww,
}

/// A text that is not a [`Conflict`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a conflict mode: write `siblings` or `lww`")]
pub struct ConflictError {
    /// The text as it was given.
    pub text: String,
}

/// The definition of one keyspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyspace {
    /// Minted by the node that took the definition; part of every token.
    pub id: KeyspaceId,
    /// What people call it.
    pub name: Name,
    /// Hybrid timestamp of the definition in microseconds.
    pub created: u64,
    /// Replicas by datacenter; a datacenter that is missing has none.
    pub replication_factor: BTreeMap<Name, u8>,
    /// What becomes of concurrent writes.
    pub conflict: Conflict,
    /// Lifetime of records that are put without one; `None` is for ever.
    pub ttl: Option<Duration>,
    /// Cap on key plus value in bytes.
    pub record_bytes_max: u32,
}

impl Keyspace {
    /// The keyspace that exists from birth: siblings, no TTL, each datacenter's own replication factor.
    ///
    /// # Panics
    /// Never: `default` is a legal name.
    pub fn default_for(topology: &Topology) -> Self {
        let name = Name::new(DEFAULT_KEYSPACE_NAME);
        let replicas = |dc: &crate::topology::Dc| (dc.name.clone(), dc.replication_factor);
        Self {
            id: DEFAULT_KEYSPACE_ID,
            name: name.expect("a constant that the tests check"),
            created: 0,
            replication_factor: topology.dcs().iter().map(replicas).collect(),
            conflict: Conflict::Siblings,
            ttl: None,
            record_bytes_max: DEFAULT_RECORD_BYTES_MAX,
        }
    }

    /// Replicas in one datacenter; 0 where the definition has none.
    pub fn replicas_in(&self, topology: &Topology, dc: DcIndex) -> u8 {
        let dc = topology.dc(dc);
        dc.and_then(|dc| self.replication_factor.get(&dc.name)).copied().unwrap_or(0)
    }

    /// What the keyspace needs of the placement: each datacenter where it has replicas, with their number.
    pub fn pairs(&self, topology: &Topology) -> impl Iterator<Item = (DcIndex, u8)> {
        let pair = |(dc, replicas): (&Name, &u8)| Some((topology.dc_by_name(dc)?.0, *replicas));
        self.replication_factor.iter().filter(|(_, replicas)| **replicas > 0).filter_map(pair)
    }

    /// Whether this definition stands against `other` of the same name: the lesser one does. After (created, id) the
    /// rest decides too, so that even a minted id that was reused cannot make nodes disagree.
    fn precedes(&self, other: &Self) -> bool {
        debug_assert_eq!(self.name, other.name, "only definitions of one name compete");
        let rank = |k: &Self| (k.created, k.id, k.conflict, k.ttl, k.record_bytes_max);
        (rank(self), &self.replication_factor) < (rank(other), &other.replication_factor)
    }

    fn digest_into(&self, canonical: &mut Canonical) {
        canonical.number(self.id.0).text(self.name.as_str()).number(self.created);
        canonical.number(self.replication_factor.len() as u64);
        for (dc, replicas) in &self.replication_factor {
            canonical.text(dc.as_str()).number(u64::from(*replicas));
        }
        canonical.text(self.conflict.as_str());
        canonical.maybe_number(self.ttl.map(|ttl| ttl.as_secs()));
        canonical.number(self.ttl.map_or(0, |ttl| u64::from(ttl.subsec_nanos())));
        canonical.number(u64::from(self.record_bytes_max));
    }
}

impl Conflict {
    /// The word for it: `siblings` or `lww`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Siblings => "siblings",
            Self::Lww => "lww",
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Conflict {
    type Err = ConflictError;
    fn from_str(text: &str) -> Result<Self, ConflictError> {
        match text {
            "siblings" => Ok(Self::Siblings),
            "lww" => Ok(Self::Lww),
            _ => Err(ConflictError { text: text.chars().take(64).collect() }),
        }
    }
}
