//! The purge frontiers among the facts, one for each keyspace and partition that has one.

use atoll_protocol::ids::KeyspaceId;
use atoll_protocol::purge::PurgeFrontier;
use atoll_protocol::token::Partition;
use redb::ReadableDatabase;

use super::fact::{decode, encode};
use super::{FACTS, Meta, MetaError};

/// Names of purge frontiers begin so; `0` is the character behind `/`.
const FRONTIERS: std::ops::Range<&str> = "purged/".."purged0";

/// A purge frontier, with the keyspace and partition that it is about.
pub type StoredFrontier = ((KeyspaceId, Partition), PurgeFrontier);

impl Meta {
    /// The stored purge frontiers.
    ///
    /// # Errors
    /// [`MetaError`].
    pub fn frontiers(&self) -> Result<Vec<StoredFrontier>, MetaError> {
        let stored = self.on_database(|database| {
            let transaction = database.begin_read().map_err(redb::Error::from)?;
            let table = transaction.open_table(FACTS).map_err(redb::Error::from)?;
            let facts = table.range(FRONTIERS).map_err(redb::Error::from)?;
            let copied = facts.map(|fact| {
                fact.map(|(name, value)| (name.value().to_owned(), value.value().to_vec()))
            });
            copied.collect::<Result<Vec<_>, _>>().map_err(|error| redb::Error::from(error).into())
        })?;
        stored.into_iter().map(|(fact, stored)| decode(&fact, &stored)).collect()
    }

    /// Stores purge frontiers in place of those of their keyspaces and partitions, all of them or none, durably.
    ///
    /// # Errors
    /// [`MetaError`]; nothing may be purged under them then.
    pub fn store_frontiers(&self, frontiers: &[StoredFrontier]) -> Result<(), MetaError> {
        let facts = frontiers.iter().map(|fact| Ok((frontier_fact(fact.0), encode(fact)?)));
        let facts: Vec<_> = facts.collect::<Result<_, MetaError>>()?;
        self.change(|table| {
            let mut facts = facts.iter();
            facts.try_for_each(|(name, bytes)| table.insert(&**name, bytes.as_slice()).map(|_| ()))
        })
    }

    /// Removes purge frontiers, durably.
    ///
    /// # Errors
    /// [`MetaError`].
    pub fn forget_frontiers(&self, of: &[(KeyspaceId, Partition)]) -> Result<(), MetaError> {
        self.change(|table| {
            of.iter().try_for_each(|of| table.remove(&*frontier_fact(*of)).map(|_| ()))
        })
    }
}

fn frontier_fact((keyspace, partition): (KeyspaceId, Partition)) -> String {
    format!("{}{:016x}/{}", FRONTIERS.start, keyspace.0, partition.0)
}
