//! From a request to its answer: the shared state of a client, and what happens around a dispatch.
//!
//! `job.rs` is a request, `run.rs` takes it from node to node, `attempt.rs` asks one node, `refresh.rs` keeps the
//! snapshot fresh, `seeds.rs` makes the first contact.
//!
//! ```text
//!   job ─► run: take snapshot ─► choose node (routing) ─► its link ─► attempt ─► answer
//!               ▲                                                        │
//!               └─────────────── decide (retry) ◄── trouble ─────────────┘
//! ```
//!
//! Invariants
//! - Handles share one `Dispatcher`; dropping the last one closes every connection and ends every task.
//! - No lock is held across an await, except the gate that lets one refresh run at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use atoll_protocol::ids::Name;
use atoll_protocol::keyspace::Conflict;
use tokio::sync::{Mutex, Notify};

use crate::cluster::Snapshot;
use crate::error::Error;
use crate::link::Dialer;
use crate::profile::Profile;
use crate::retry::RetryBudget;
use crate::runtime::{self, Chance};
use seeds::Choice;

mod attempt;
mod job;
mod refresh;
mod run;
mod seeds;

pub(crate) use job::{Aim, Answer, Job, Limits};

/// What all handles of a client share.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    dialer: Dialer,
    seeds: Vec<String>,
    own_dc: Name,
    snapshot: ArcSwap<Snapshot>,
    budget: RetryBudget,
    counts: Counts,
    chance: Chance,
    /// Asks for a refresh; the refresher holds the other end.
    stale: Arc<Notify>,
    /// Held while the snapshot is replaced.
    gate: Mutex<()>,
    is_closed: AtomicBool,
}

/// Counts since the client was made.
#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    retries: AtomicU64,
}

/// What a client has done since it was made: see [`Client::counters`](crate::Client::counters).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Requests that were begun, the client's own among them (it asks for the topology now and then). An update is at
    /// least two, and a delete without a context is two.
    pub requests: u64,
    /// Times that a request was sent again, after a node had failed to answer it.
    pub retries: u64,
}

/// What a client is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) dialer: Dialer,
    pub(crate) seeds: Vec<String>,
    /// The datacenter that was configured.
    pub(crate) dc: Option<Name>,
    pub(crate) budget_percent: u32,
}

impl Dispatcher {
    /// Reaches a seed, learns the cluster from it, and starts the refresher.
    pub(crate) async fn connect(parts: Parts) -> Result<Arc<Self>, Error> {
        let Parts { dialer, seeds, dc, budget_percent } = parts;
        let choice = if dc.is_some() { Choice::First } else { Choice::Nearest };
        let links = seeds::reach(&dialer, &seeds, choice).await?;
        let view = refresh::first_view(&links, &Profile::new()).await?;
        let nearest = links.first().map(|link| link.dc().clone());
        let Some(own_dc) = dc.or(nearest) else { return Err(Error::from_dials(Vec::new(), None)) };
        if view.topology.dc_by_name(&own_dc).is_none() {
            return Err(unknown_dc(&own_dc, &view.topology));
        }
        let own = own_dc.clone();
        let snapshot = runtime::compute(move || Snapshot::new(view, None, &own)).await;
        for link in &links {
            if let Some((_, peer)) = snapshot.peer_by_name(link.node()) {
                peer.adopt(link);
            }
        }
        tracing::debug!(%own_dc, epoch = %snapshot.epoch(), "connected");
        let stale = Arc::new(Notify::new());
        let dispatcher = Arc::new(Self {
            dialer,
            seeds,
            own_dc,
            snapshot: ArcSwap::from_pointee(snapshot),
            budget: RetryBudget::new(budget_percent),
            counts: Counts::default(),
            chance: Chance::new(),
            stale: Arc::clone(&stale),
            gate: Mutex::new(()),
            is_closed: AtomicBool::new(false),
        });
        runtime::spawn(refresh::keep_fresh(Arc::downgrade(&dispatcher), stale));
        Ok(dispatcher)
    }

    /// The cluster as it is known now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// What was done until now.
    pub(crate) fn counters(&self) -> Counters {
        let Counts { requests, retries } = &self.counts;
        let (requests, retries) =
            (requests.load(Ordering::Relaxed), retries.load(Ordering::Relaxed));
        Counters { requests, retries }
    }

    /// The datacenter that `LOCAL` means.
    pub(crate) fn own_dc(&self) -> &Name {
        &self.own_dc
    }

    /// How concurrent writes of `keyspace` are resolved, after a refresh if it is not known. `None` if there is no such
    /// keyspace, as far as could be learned within `limits`.
    pub(crate) async fn conflict(&self, keyspace: &Name, limits: &Limits) -> Option<Conflict> {
        let known = self.snapshot().conflict(keyspace);
        if known.is_some() {
            return known;
        }
        // If it fails, the request that follows says why.
        let _ = tokio::time::timeout(limits.left(), self.refresh()).await;
        self.snapshot().conflict(keyspace)
    }

    /// Closes all connections; requests fail from now on.
    pub(crate) async fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.stale.notify_one();
        self.dialer.close().await;
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        // The refresher finds nobody and ends.
        self.stale.notify_one();
    }
}

fn unknown_dc(dc: &Name, topology: &atoll_protocol::topology::Topology) -> Error {
    let known: Vec<String> = topology.dcs().iter().map(|dc| format!("`{}`", dc.name)).collect();
    let problem = format!(
        "dc: cluster `{}` has no datacenter `{dc}`; it has {}",
        topology.cluster(),
        known.join(", ")
    );
    Error::Configuration { problems: vec![problem] }
}
