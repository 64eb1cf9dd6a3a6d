//! Purge frontiers, stored before they are gone by (`protocol::purge`).
//!
//! Invariants
//! - What a frontier says that this node has seen is durable before the frontier is.
//! - A frontier that is not true any more is forgotten here first, and then on disk: nothing rests on it in between.

use std::sync::Arc;

use atoll_protocol::ids::KeyspaceId;
use atoll_protocol::token::Partition;

use crate::env::Env;
use crate::meta::{Meta, StoredFrontier};
use crate::replica::Replica;

/// The frontiers of one node, in its replica and on its disk. Cheap to clone.
#[derive(Clone)]
pub struct FrontierStore {
    env: Env,
    replica: Replica,
    meta: Arc<Meta>,
}

impl FrontierStore {
    /// Those of `replica`, kept in `meta`.
    pub fn new(env: Env, replica: Replica, meta: Arc<Meta>) -> Self {
        Self { env, replica, meta }
    }

    /// Joins `frontiers` to those that are stored, durably, and goes by them. This replica has seen all that they cover, as long
    /// as `is_true`.
    ///
    /// # Errors
    /// In words; nothing is gone by then that was not before.
    pub async fn adopt(
        &self,
        frontiers: Vec<StoredFrontier>,
        is_true: impl Fn() -> Result<(), String>,
    ) -> Result<(), String> {
        let stored = self.replica.frontiers();
        let joined = frontiers.into_iter().map(|((keyspace, partition), frontier)| {
            ((keyspace, partition), stored.joined(keyspace, partition, &frontier))
        });
        let joined: Vec<_> = joined.collect();
        let of: Vec<_> = joined.iter().map(|(of, _)| *of).collect();
        let (replica, meta, kept) = (self.replica.clone(), self.meta.clone(), joined.clone());
        let store = move || {
            replica.sync().map_err(|error| error.to_string())?;
            meta.store_frontiers(&kept).map_err(|error| error.to_string())
        };
        is_true()?;
        self.env.blocking(store).await?;
        stored.adopt(joined);
        // Records may have been lost meanwhile.
        match is_true() {
            Ok(()) => Ok(()),
            Err(reason) => {
                self.forget(of).await?;
                Err(reason)
            }
        }
    }

    /// Forgets these frontiers, and every cut: records were lost.
    ///
    /// # Errors
    /// In words; they are forgotten until the next start.
    pub async fn forget(&self, of: Vec<(KeyspaceId, Partition)>) -> Result<(), String> {
        self.replica.frontiers().forget(&of);
        if of.is_empty() {
            return Ok(());
        }
        let meta = self.meta.clone();
        let forget = move || meta.forget_frontiers(&of).map_err(|error| error.to_string());
        self.env.blocking(forget).await
    }
}
