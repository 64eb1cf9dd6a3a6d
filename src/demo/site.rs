//! Where the demo takes place: a cluster of three datacenters, and a client in each.
//!
//! The home datacenter is where records are loaded and latencies are measured; the lost one is killed.
//!
//! Invariants
//! - A client's `LOCAL_*` operations stay in its datacenter: there is no failover, so that what is shown is true.

use std::path::Path;
use std::time::Duration;

use atoll_client::{Client, Keyspace, Level};
use atoll_protocol::ids::Name;
use atoll_protocol::keyspace::DEFAULT_KEYSPACE_NAME;

use super::DemoError;
use super::stage::Stage;
use super::traffic::Traffic;
use crate::dev::{DevCluster, DevError, DevOptions, Restart, own_binary};
use crate::env::Env;
use crate::net::FaultPolicy;
use crate::node::Wan;

/// The datacenter of the first client.
const HOME: &str = "eu";

/// The datacenter that is killed.
pub(super) const LOST: &str = "us";

/// Time that a request may take: the default second is for servers; here eleven processes may share one core with
/// whatever else runs.
const DEADLINE: Duration = Duration::from_secs(5);

/// Time that one node gets for a read before another is asked: a quorum across the ocean that also repairs a replica
/// takes two round trips of 120 ms, and a busy machine multiplies them.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// The cluster and its clients.
pub(super) struct Site<'a> {
    pub(super) env: Env,
    pub(super) cluster: &'a DevCluster,
    clients: Vec<(Name, Client)>,
}

/// Starts the cluster in `dir`.
///
/// # Errors
/// [`DevError`]; nothing runs then.
pub(super) async fn start(env: &Env, dir: &Path) -> Result<DevCluster, DevError> {
    let options = DevOptions {
        topology: None,
        dir: dir.to_path_buf(),
        wan: Wan::Emulated,
        restart: Restart::AfterPause,
        faults: FaultPolicy::Refused,
    };
    // Events are for people who watch `atoll dev`.
    let (cluster, _events) = DevCluster::start(env, &options, &own_binary()?).await?;
    Ok(cluster)
}

impl<'a> Site<'a> {
    /// Waits until the cluster is ready and connects a client in every datacenter.
    ///
    /// # Errors
    /// [`DemoError`] when nodes or clients do not find each other.
    pub(super) async fn open(
        stage: &Stage<'_>,
        env: &Env,
        cluster: &'a DevCluster,
    ) -> Result<Self, DemoError> {
        cluster.wait_ready().await?;
        let mut clients = Vec::new();
        for dc in cluster.topology().dcs() {
            let builder = cluster.client(&dc.name)?.deadline(DEADLINE);
            let client = builder.attempt_timeout(ATTEMPT_TIMEOUT).connect().await;
            let client = client.map_err(|error| stage.failure(error.to_string()))?;
            clients.push((dc.name.clone(), client));
        }
        Ok(Self { env: env.clone(), cluster, clients })
    }

    /// The names of all datacenters.
    pub(super) fn dcs(&self) -> impl Iterator<Item = &Name> {
        self.clients.iter().map(|(dc, _)| dc)
    }

    /// The datacenters that stay when one is killed.
    pub(super) fn survivors(&self) -> impl Iterator<Item = &Name> {
        self.dcs().filter(|dc| dc.as_str() != LOST)
    }

    /// The home datacenter.
    pub(super) fn home(&self) -> &Name {
        let named = self.dcs().find(|dc| dc.as_str() == HOME);
        named.or(self.dcs().next()).expect("a topology has a datacenter")
    }

    /// Operations at `level` from the client in `dc`.
    pub(super) fn traffic(&self, dc: &Name, level: Level, concurrency: usize) -> Traffic {
        Traffic { env: self.env.clone(), keyspace: self.keyspace(dc), level, concurrency }
    }

    /// The default keyspace as the client in `dc` sees it.
    pub(super) fn keyspace(&self, dc: &Name) -> Keyspace {
        let client = self.clients.iter().find(|(name, _)| name == dc);
        let (_, client) = client.expect("every datacenter has a client");
        client.keyspace(DEFAULT_KEYSPACE_NAME)
    }

    /// Emulated round-trip times from the home datacenter to the others, shortest first.
    pub(super) fn round_trips(&self) -> Vec<Duration> {
        let topology = self.cluster.topology();
        let Some((home, _)) = topology.dc_by_name(self.home()) else {
            return Vec::new();
        };
        let others = topology.dc_indices().filter(|&dc| dc != home);
        let mut times: Vec<Duration> = others.map(|dc| topology.rtt(home, dc)).collect();
        times.sort();
        times
    }
}
