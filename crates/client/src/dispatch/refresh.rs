//! Keeps the snapshot fresh.
//!
//! 1. Every [`REFRESH_INTERVAL`], and whenever a request met a newer epoch, an unknown keyspace or a node that does not
//!    serve, ask any node for its view of the cluster.
//! 2. If no node of the topology can be reached, go back to the seeds.
//! 3. Join the view into the snapshot and publish it.
//!
//! Invariants
//! - One refresh at a time, and no two within [`REFRESH_PAUSE`] of each other, however many requests ask for one.
//! - The task holds the dispatcher weakly and ends with it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use atoll_protocol::ids::Epoch;
use atoll_protocol::wire::{ClusterView, Reply, Request};
use tokio::sync::Notify;

use super::attempt::{Attempt, attempt};
use super::seeds::{self, Choice};
use super::{Answer, Dispatcher, Job};
use crate::cluster::Snapshot;
use crate::error::{Error, Operation};
use crate::link::Link;
use crate::profile::Profile;
use crate::runtime;

/// Time between refreshes that nobody asked for: new keyspaces and nodes are found by need, this finds what is idle.
const REFRESH_INTERVAL: Duration = Duration::from_secs(30);

/// Least time between two refreshes: five a second from each client stay unnoticed.
const REFRESH_PAUSE: Duration = Duration::from_millis(200);

/// Refreshes until the client is gone.
pub(super) async fn keep_fresh(dispatcher: Weak<Dispatcher>, stale: Arc<Notify>) {
    loop {
        // Elapsed or asked for: the reason does not matter.
        let _ = tokio::time::timeout(REFRESH_INTERVAL, stale.notified()).await;
        {
            let Some(dispatcher) = dispatcher.upgrade() else { return };
            if dispatcher.is_closed() {
                return;
            }
            if let Err(error) = dispatcher.refresh().await {
                tracing::debug!(%error, "cannot refresh the view of the cluster");
            }
        }
        tokio::time::sleep(REFRESH_PAUSE).await;
    }
}

impl Dispatcher {
    /// Fetches a view of the cluster and publishes it.
    pub(crate) async fn refresh(&self) -> Result<ClusterView, Error> {
        let view = match self.fetch_view().await {
            Err(Error::Unreachable { .. }) => {
                let links = seeds::reach(&self.dialer, &self.seeds, Choice::First).await?;
                let view = first_view(&links, &Profile::new()).await?;
                self.install(view.clone()).await;
                let snapshot = self.snapshot();
                for link in &links {
                    if let Some((_, peer)) = snapshot.peer_by_name(link.node()) {
                        peer.adopt(link);
                    }
                }
                return Ok(view);
            }
            fetched => fetched?,
        };
        self.install(view.clone()).await;
        Ok(view)
    }

    async fn fetch_view(&self) -> Result<ClusterView, Error> {
        let job = Job::control(Request::Cluster, Operation::Read, &Profile::new());
        view_in(self.run(&job).await?)
    }

    /// Joins `view` into the snapshot. A view of another cluster is ignored: TLS has made sure that there is none.
    async fn install(&self, view: ClusterView) {
        let _gate = self.gate.lock().await;
        let known = self.snapshot();
        if view.topology.cluster() != known.topology().cluster() {
            return;
        }
        let (previous, own) = (Arc::clone(&known), self.own_dc.clone());
        let join = move || Snapshot::new(view, Some(&previous), &own);
        let snapshot = runtime::compute(join).await;
        assert!(snapshot.epoch() >= known.epoch(), "a snapshot never goes back");
        self.snapshot.store(Arc::new(snapshot));
    }
}

/// The view of the first of `links` that has one.
pub(super) async fn first_view(
    links: &[Arc<Link>],
    profile: &Profile,
) -> Result<ClusterView, Error> {
    let job = Job::control(Request::Cluster, Operation::Read, profile);
    let mut last = Error::from_dials(Vec::new(), None);
    for link in links {
        let until = job.limits.deadline;
        last = match attempt(link, &job, Epoch(0), until).await {
            Attempt::Answered(answer, _) => return view_in(answer),
            Attempt::Hopeless(error) => error,
            Attempt::Failed(failure, _) => {
                let (node, operation) = (link.node().clone(), Operation::Read);
                Error::Failed { node, operation, failure }
            }
            Attempt::NotSent(reason) | Attempt::Lost(reason) => {
                Error::unreachable(link.node().as_str(), &reason)
            }
            Attempt::TimedOut => Error::unreachable(link.node().as_str(), &"no answer in time"),
        };
    }
    Err(last)
}

fn view_in(answer: Answer) -> Result<ClusterView, Error> {
    match answer.reply {
        Reply::Cluster(view) => Ok(view),
        _ => Err(answer.unexpected()),
    }
}
