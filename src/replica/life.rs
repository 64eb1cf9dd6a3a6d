//! What a replica goes on from, and what it mints under.

use std::collections::BTreeMap;

use atoll_protocol::ids::Incarnation;
use atoll_protocol::token::Partition;

use crate::meta::{BegunLife, StoredFrontier};

/// What a replica goes on from.
#[derive(Clone, Debug)]
pub struct Life {
    /// The incarnation to mint under.
    pub incarnation: Incarnation,
    /// Greatest counter already minted per partition under it; empty for a new incarnation.
    pub minted: BTreeMap<Partition, u64>,
    /// The purge frontiers that it has stored.
    pub frontiers: Vec<StoredFrontier>,
}

/// The incarnation that is minted under, and how far it is.
#[derive(Debug)]
pub(super) struct Lived {
    pub(super) incarnation: Incarnation,
    pub(super) minted: BTreeMap<Partition, u64>,
}

impl From<BegunLife> for Life {
    fn from(life: BegunLife) -> Self {
        let BegunLife { incarnation, minted, frontiers, .. } = life;
        Self { incarnation, minted, frontiers }
    }
}
