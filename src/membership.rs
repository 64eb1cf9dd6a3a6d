//! Membership: keeps a connection to every other node, and tells peers once a second what we believe.
//!
//! One task per peer dials while there is no link. The node with the smaller index dials at once, the other one waits
//! a moment, so that two nodes that start together make one connection, not two.
//!
//! A peer is believed to be alive exactly while a connection to it is open; QUIC's idle time-out (4 s) ends it when
//! nothing is heard. Real failure detection with several observers comes with its own module.

use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::identity::{Identity, Role};
use atoll_protocol::ids::NodeIndex;
use atoll_protocol::put::Liveness;
use bytes::Bytes;

use crate::cluster::Cluster;
use crate::env::Env;
use crate::net::{LinkServer, PeerAddress, Peers, Transport};
use crate::tasks::Tasks;

/// Pause between gossip rounds: keyspaces created during a partition spread within a second of its end.
const GOSSIP_PERIOD: Duration = Duration::from_secs(1);

/// First and longest pause between two attempts to connect; it doubles in between, with jitter. A healed partition is
/// noticed within the longest pause plus a handshake.
const REDIAL_FIRST: Duration = Duration::from_millis(100);
const REDIAL_LONGEST: Duration = Duration::from_secs(1);

/// How long an attempt may take: four round trips of 200 ms, and as much again for a busy machine. Below QUIC's own
/// patience, so that an attempt begun during a partition does not outlive it for long.
const DIAL_DEADLINE: Duration = Duration::from_secs(2);

/// How long the node with the greater index leaves the first attempt to the other one.
const YIELD_TO_SMALLER: Duration = Duration::from_millis(500);

/// What membership works with.
#[derive(Clone)]
pub struct Membership {
    /// Time and chance.
    pub env: Env,
    /// Spawner.
    pub tasks: Tasks,
    /// The cluster as this node knows it.
    pub cluster: Arc<Cluster>,
    /// The other nodes.
    pub peers: Arc<Peers>,
    /// Takes links into use.
    pub links: LinkServer,
    /// Connects.
    pub transport: Arc<dyn Transport>,
    /// Random number of this process.
    pub boot: u64,
}

impl Membership {
    /// Starts one dialling task per peer and the gossip task.
    pub fn start(&self) {
        let view = self.cluster.view();
        for node in view.topology.node_indices().filter(|&node| node != self.cluster.own()) {
            let membership = self.clone();
            self.tasks.spawn("dial", async move { membership.keep_connected(node).await });
        }
        let membership = self.clone();
        self.tasks.spawn("gossip", async move { membership.gossip().await });
    }

    async fn keep_connected(&self, peer: NodeIndex) {
        let Some(address) = self.address_of(peer) else {
            return;
        };
        if self.cluster.own() > peer && !self.pause(YIELD_TO_SMALLER).await {
            return;
        }
        let mut pause = REDIAL_FIRST;
        loop {
            if self.peers.liveness(peer) == Liveness::Alive {
                pause = REDIAL_FIRST;
                // Registered before the second look, so that a change in between is not missed.
                let changed = self.peers.changed(peer);
                tokio::select! {
                    biased;
                    () = self.tasks.cancelled() => return,
                    () = changed => {}
                    () = self.env.sleep(GOSSIP_PERIOD) => {}
                }
                continue;
            }
            self.dial(peer, &address).await;
            if self.peers.liveness(peer) == Liveness::Alive {
                continue;
            }
            if !self.pause(self.env.jitter(pause)).await {
                return;
            }
            pause = (pause * 2).min(REDIAL_LONGEST);
        }
    }

    async fn dial(&self, peer: NodeIndex, address: &PeerAddress) {
        let deadline = self.env.mono().after(DIAL_DEADLINE);
        let attempt = self.env.until(deadline, self.transport.connect(address.clone()));
        let outcome = tokio::select! {
            biased;
            () = self.tasks.cancelled() => return,
            outcome = attempt => outcome,
        };
        let trouble = match outcome {
            Some(Ok(link)) => return self.links.serve_peer(peer, link),
            Some(Err(failure)) => failure.detail,
            None => format!("{} did not answer within {DIAL_DEADLINE:?}", address.address),
        };
        if self.peers.note_trouble(peer, &trouble) {
            tracing::warn!(peer = %address.identity, trouble, "cannot connect");
        }
    }

    async fn gossip(&self) {
        loop {
            let view = self.cluster.view();
            let notice = view.gossip(self.boot);
            for peer in view.topology.node_indices() {
                // A peer without a connection hears the next round.
                let _ = self.peers.notify(peer, &notice, Bytes::new(), 0);
            }
            if !self.pause(GOSSIP_PERIOD).await {
                return;
            }
        }
    }

    /// Waits; false if the node is stopping.
    async fn pause(&self, span: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.tasks.cancelled() => false,
            () = self.env.sleep(span) => true,
        }
    }

    fn address_of(&self, peer: NodeIndex) -> Option<PeerAddress> {
        let view = self.cluster.view();
        let node = view.topology.node(peer)?;
        let role = Role::Node {
            dc: view.dc_name(node.dc)?.clone(),
            rack: node.rack.clone(),
            node: node.name.clone(),
        };
        let identity = Identity { cluster: view.topology.cluster().clone(), role };
        Some(PeerAddress { address: node.address.clone()?, identity })
    }
}
