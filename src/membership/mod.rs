//! Membership: who is connected, who is alive, and what everybody should agree on.
//!
//! ```text
//! dial.rs    a connection to every other node
//! gossip.rs  once a second, to every peer: digests, and whom we do not hear
//! watch.rs   drives the failure detector ─▶ Suspicions (a snapshot), Peers::judge
//!   └ detector.rs   pure: SWIM in two pools (swim.rs, member.rs, codec.rs), several observers (evidence.rs)
//! ```
//!
//! A peer can be asked while a connection to it is open and it is not convicted. QUIC's idle time-out (4 s) ends a
//! connection on which nothing is heard; the detector convicts a dead node of the own datacenter within 5 s, any other
//! within 15 s. What follows from that is up to whoever reads the snapshot: nothing here moves data.

mod dial;
mod gossip;
mod watch;
mod detector;
mod swim;
mod evidence;
mod suspicion;
mod codec;
mod member;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::env::Env;
use crate::net::{LinkServer, Peers, Transport};
use crate::tasks::Tasks;

pub use detector::Input;
pub use suspicion::{Suspicion, Suspicions};
pub use watch::{Detection, Inputs};

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
    /// The door to the failure detector.
    pub detection: Detection,
    /// Random number of this process.
    pub boot: u64,
}

impl Membership {
    /// Starts one dialling task per peer, the gossip task and the failure detector.
    pub fn start(&self, inputs: Inputs) {
        let view = self.cluster.view();
        for node in view.topology.node_indices().filter(|&node| node != self.cluster.own()) {
            let membership = self.clone();
            self.tasks.spawn("dial", async move { membership.keep_connected(node).await });
        }
        let membership = self.clone();
        self.tasks.spawn("gossip", async move { membership.gossip().await });
        let membership = self.clone();
        self.tasks.spawn("detector", async move { membership.watch(inputs).await });
    }

    /// Waits; false if the node is stopping.
    async fn pause(&self, span: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.tasks.cancelled() => false,
            () = self.env.sleep(span) => true,
        }
    }
}
