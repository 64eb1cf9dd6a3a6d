//! A node: everything put together, from its data directory to its sockets.
//!
//! ```text
//! Config ─▶ start.rs: claim data directory, begin a life, open the engine, agree on the topology
//!                      │
//!                      ▼
//!            Node: replica, coordinator, service, membership on one Transport
//!                      │ stop
//!                      ▼
//!            drain, close links, flush, write the clean marker
//! ```
//!
//! [`Node::start`] takes its surroundings as arguments ([`Parts`]), most general first, so that the simulator can
//! host it; `start.rs` makes the real ones from a [`Config`](crate::config::Config).
//!
//! Invariants
//! - The clean marker is written last, and only after every task that could mint has ended and the engine is closed.
//! - There is no clean marker after a life whose minted records are not all on disk: its incarnation ends with it.
//! - A node that cannot store stops at once (fail-stop), and its next start is a new incarnation.

mod check;
mod start;
mod open_files;
mod maintenance;
mod pace;
mod data;
mod error;
mod healers;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::ids::{DcIndex, NodeIndex};
use atoll_protocol::keyspace::KeyspaceMap;
use atoll_protocol::topology::Topology;
use atoll_seeded_bug::{Mutant, seeded_bug};
use atoll_storage::Engine;

use crate::cluster::Cluster;
use crate::config::Durability;
use crate::coordinator::{Coordinator, Surroundings};
use crate::disk::SyncMeter;
use crate::env::Env;
use crate::handoff::{Handoff, HandoffLimits, HintStore};
use crate::membership::{Detection, Membership};
use crate::meta::{BegunLife, Meta};
use crate::net::{Faults, LinkServer, Peers, Transport, serve_links};
use crate::purge::{Purge, PurgePacing};
use crate::repair::{Repair, RepairPacing};
use crate::replica::Replica;
use crate::scrub::{Scrub, ScrubPacing};
use crate::service::{self, ProcessFacts, Service};
use crate::tasks::Tasks;

use healers::{Basis, Healers};
use maintenance::Maintenance;

pub use check::{Checked, check};
pub use data::{Claim, Data, Places};
pub use error::StartError;
pub use pace::Pacing;
pub use start::{NodeOptions, Wan, start};

/// Longest wait for operations under way when the node stops: a default request's budget and as much again.
const DRAIN_MAX: Duration = Duration::from_secs(2);

/// Longest wait for the goodbyes to peers: a few round trips of 200 ms. A handshake that was under way would take
/// QUIC's three seconds.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// Pause between two looks at the operations under way while draining.
const DRAIN_POLL: Duration = Duration::from_millis(10);

/// What a node is made of.
pub struct Parts {
    /// Time, chance, tasks.
    pub env: Env,
    /// The network.
    pub transport: Arc<dyn Transport>,
    /// Emulated links.
    pub faults: Arc<dyn Faults>,
    /// The storage engine, open.
    pub engine: Arc<Engine>,
    /// The metadata, claimed.
    pub meta: Arc<Meta>,
    /// What to mint under.
    pub life: BegunLife,
    /// The topology and this node's place in it.
    pub topology: Arc<Topology>,
    /// This node and its datacenter.
    pub own: (NodeIndex, DcIndex),
    /// The keyspaces as stored.
    pub keyspaces: KeyspaceMap,
    /// Facts about the process.
    pub facts: ProcessFacts,
    /// When to sync.
    pub durability: Durability,
    /// How background work is paced.
    pub pacing: Pacing,
    /// How anti-entropy is paced.
    pub repair: RepairPacing,
    /// How purging is paced.
    pub purge: PurgePacing,
    /// How the scrub is paced.
    pub scrub: ScrubPacing,
    /// Where hints are kept.
    pub hints: HintStore,
    /// How many hints, and for how long.
    pub hint_limits: HandoffLimits,
    /// Where the engine's syncs are counted.
    pub syncs: Arc<SyncMeter>,
}

/// A running node.
pub struct Node {
    env: Env,
    tasks: Tasks,
    /// Membership's: it must stop dialling before the links are closed.
    dial_tasks: Tasks,
    /// Stripes run on tasks of their own: they must outlive everything that writes.
    storage_tasks: Tasks,
    transport: Arc<dyn Transport>,
    peers: Arc<Peers>,
    service: Service,
    coordinator: Coordinator,
    repair: Repair,
    handoff: Handoff,
    purge: Purge,
    detection: Detection,
    replica: Replica,
    engine: Arc<Engine>,
    hints: HintStore,
    meta: Arc<Meta>,
}

impl Node {
    /// Its anti-entropy.
    pub fn repair(&self) -> &Repair {
        &self.repair
    }

    /// Its hints for others.
    pub fn handoff(&self) -> &Handoff {
        &self.handoff
    }

    /// Its purging of deletions.
    pub fn purge(&self) -> &Purge {
        &self.purge
    }

    /// Its coordinator.
    pub fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }

    /// Its failure detector.
    pub fn detection(&self) -> &Detection {
        &self.detection
    }

    /// Starts serving on `parts`.
    pub fn start(parts: Parts) -> Self {
        let Parts { env, transport, faults, engine, meta, life, topology, keyspaces, .. } = parts;
        let [tasks, storage_tasks, dial_tasks] = [(); 3].map(|()| Tasks::new(env.clone()));
        let peers = Arc::new(Peers::new(env.clone(), topology.epoch(), topology.nodes().len()));
        let (life, partitions) = (life.into(), topology.partitions());
        let replica = Replica::start(env.clone(), &storage_tasks, engine.clone(), partitions, life);
        let cluster = Arc::new(Cluster::new(parts.own, topology, keyspaces, meta.clone()));
        let basis = Basis {
            env: env.clone(),
            cluster: cluster.clone(),
            peers: peers.clone(),
            replica: replica.clone(),
            meta: meta.clone(),
        };
        let measure = (parts.repair, parts.purge, parts.hint_limits);
        let stores = (parts.hints.clone(), (&tasks, &storage_tasks));
        let Healers { repair, handoff, purge } = Healers::start(&basis, measure, stores);
        let coordinator = Coordinator::new(Surroundings {
            env: env.clone(),
            cluster: cluster.clone(),
            peers: peers.clone(),
            replica: replica.clone(),
            handoff: handoff.clone(),
            tasks: tasks.clone(),
        });
        let boot = parts.facts.boot;
        let (detection, inputs) = Detection::new();
        let mended = (engine.clone(), meta.clone(), replica.clone(), repair.clone());
        let service = Service::new(service::Parts {
            env: env.clone(),
            tasks: tasks.clone(),
            cluster: cluster.clone(),
            peers: peers.clone(),
            replica: replica.clone(),
            coordinator: coordinator.clone(),
            repair: repair.clone(),
            handoff: handoff.clone(),
            purge: purge.clone(),
            detection: detection.clone(),
            scrub: Scrub::start(&tasks, (env.clone(), parts.scrub), mended),
            faults,
            facts: parts.facts,
            syncs: parts.syncs,
        });
        let links = LinkServer::new(tasks.clone(), peers.clone(), Arc::new(service.clone()));
        tasks.spawn("accept", serve_links(links.clone(), transport.clone()));
        repair.start(&tasks);
        let node = Self {
            env: env.clone(),
            tasks: tasks.clone(),
            dial_tasks: dial_tasks.clone(),
            storage_tasks,
            transport: transport.clone(),
            peers: peers.clone(),
            service,
            coordinator,
            repair,
            handoff,
            purge,
            detection: detection.clone(),
            replica,
            engine,
            hints: parts.hints,
            meta,
        };
        node.maintain(parts.pacing, parts.durability);
        let tasks = dial_tasks;
        Membership { env, tasks, cluster, peers, links, transport, detection, boot }.start(inputs);
        node
    }

    /// Starts the tasks that flush and compact.
    fn maintain(&self, pacing: Pacing, durability: Durability) {
        let maintenance = Maintenance {
            env: self.env.clone(),
            tasks: self.storage_tasks.clone(),
            engine: self.engine.clone(),
            writes: self.replica.writes().clone(),
            pacing,
        };
        maintenance.start(durability);
    }

    /// Drains, closes, flushes, and writes the clean marker.
    ///
    /// # Errors
    /// What storage or metadata say; the next start is then a new incarnation.
    pub async fn stop(self) -> Result<(), StartError> {
        tracing::info!(operations = self.coordinator.operations().running(), "stopping: draining");
        if seeded_bug(Mutant::CleanMarkerEarly) {
            let sequence = self.engine.snapshot().sequence();
            self.meta.end_life(self.replica.incarnation(), &self.replica.minted(), sequence)?;
        }
        self.service.drain();
        let deadline = self.env.mono().after(DRAIN_MAX);
        while self.coordinator.operations().running() > 0 && self.env.mono() < deadline {
            self.env.sleep(DRAIN_POLL).await;
        }
        self.dial_tasks.stop().await;
        self.peers.close_all();
        let goodbyes = self.env.mono().after(GOODBYE_MAX);
        // Who is gone does not answer a goodbye, and need not.
        let _ = self.env.until(goodbyes, self.transport.close()).await;
        self.tasks.stop().await;
        self.storage_tasks.stop().await;
        let (engine, meta, replica, hints) = (self.engine, self.meta, self.replica, self.hints);
        let closed = self.env.blocking(move || {
            let sequence = engine.snapshot().sequence();
            engine.close()?;
            if !replica.has_unwritten() {
                meta.end_life(replica.incarnation(), &replica.minted(), sequence)?;
            }
            // Last: whatever is wrong with hints, records are flushed.
            hints.close()?;
            Ok::<(), StartError>(())
        });
        closed.await?;
        tracing::info!("stopped cleanly");
        Ok(())
    }
}
