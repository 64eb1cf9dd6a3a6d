//! What heals replicas by itself: anti-entropy, hints, and the purging of what has died.

use std::sync::Arc;

use crate::cluster::Cluster;
use crate::env::Env;
use crate::frontiers::FrontierStore;
use crate::handoff::{self, Handoff, HandoffLimits, HintStore};
use crate::meta::Meta;
use crate::net::Peers;
use crate::purge::{self, Purge, PurgePacing};
use crate::repair::{self, Repair, RepairPacing};
use crate::replica::Replica;
use crate::tasks::Tasks;

/// What all of them work with.
pub(super) struct Basis {
    pub(super) env: Env,
    pub(super) cluster: Arc<Cluster>,
    pub(super) peers: Arc<Peers>,
    pub(super) replica: Replica,
    pub(super) meta: Arc<Meta>,
}

/// They themselves.
pub(super) struct Healers {
    pub(super) repair: Repair,
    pub(super) handoff: Handoff,
    pub(super) purge: Purge,
}

impl Healers {
    /// Starts them, but for anti-entropy, which waits until peers can connect. They end with `tasks`, and the writer of hints
    /// with `storage_tasks`.
    pub(super) fn start(
        basis: &Basis,
        (repair, purge, hint_limits): (RepairPacing, PurgePacing, HandoffLimits),
        (hints, (tasks, storage_tasks)): (HintStore, (&Tasks, &Tasks)),
    ) -> Self {
        let Basis { env, cluster, peers, replica, meta } = basis;
        let frontiers = FrontierStore::new(env.clone(), replica.clone(), meta.clone());
        let surroundings = repair::Surroundings {
            env: env.clone(),
            cluster: cluster.clone(),
            peers: peers.clone(),
            replica: replica.clone(),
            frontiers: frontiers.clone(),
        };
        let repair = Repair::new(surroundings, repair);
        let surroundings = handoff::Surroundings {
            env: env.clone(),
            cluster: cluster.clone(),
            peers: peers.clone(),
            replica: replica.clone(),
            repair: repair.clone(),
            store: hints,
            limits: hint_limits,
        };
        let handoff = Handoff::start(surroundings, tasks, storage_tasks);
        let surroundings = purge::Surroundings {
            env: env.clone(),
            cluster: cluster.clone(),
            peers: peers.clone(),
            replica: replica.clone(),
            repair: repair.clone(),
            handoff: handoff.clone(),
            frontiers,
        };
        let purge = Purge::start(tasks, purge, surroundings);
        Self { repair, handoff, purge }
    }
}
