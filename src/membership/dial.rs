//! Keeps a connection to every other node.
//!
//! One task per peer dials while there is no link. The node with the smaller index dials at once, the other one waits
//! a moment, so that two nodes that start together make one connection, not two.

use std::time::Duration;

use atoll_protocol::identity::{Identity, Role};
use atoll_protocol::ids::NodeIndex;

use super::Membership;
use crate::net::PeerAddress;

/// First and longest pause between two attempts to connect; it doubles in between, with jitter. A healed partition is
/// noticed within the longest pause plus a handshake.
const REDIAL_FIRST: Duration = Duration::from_millis(100);
const REDIAL_LONGEST: Duration = Duration::from_secs(1);

/// How long an attempt may take: four round trips of 200 ms, and as much again for a busy machine. Below QUIC's own
/// patience, so that an attempt begun during a partition does not outlive it for long.
const DIAL_DEADLINE: Duration = Duration::from_secs(2);

/// How long the node with the greater index leaves the first attempt to the other one.
const YIELD_TO_SMALLER: Duration = Duration::from_millis(500);

/// How often a peer that is connected is looked after, besides being told of changes.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

impl Membership {
    pub(super) async fn keep_connected(&self, peer: NodeIndex) {
        let Some(address) = self.address_of(peer) else {
            return;
        };
        if self.cluster.own() > peer && !self.pause(YIELD_TO_SMALLER).await {
            return;
        }
        let mut pause = REDIAL_FIRST;
        loop {
            if self.peers.is_connected(peer) {
                pause = REDIAL_FIRST;
                // Registered before the second look, so that a change in between is not missed.
                let changed = self.peers.changed(peer);
                tokio::select! {
                    biased;
                    () = self.tasks.cancelled() => return,
                    () = changed => {}
                    () = self.env.sleep(LOOK_PERIOD) => {}
                }
                continue;
            }
            self.dial(peer, &address).await;
            if self.peers.is_connected(peer) {
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
