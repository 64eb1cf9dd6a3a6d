//! Tells every peer once a second what we believe, and at once when we no longer hear somebody, or hear them again.

use std::time::Duration;

use bytes::Bytes;

use super::Membership;

/// Pause between gossip rounds: keyspaces created during a partition spread within a second of its end.
const GOSSIP_PERIOD: Duration = Duration::from_secs(1);

impl Membership {
    pub(super) async fn gossip(&self) {
        loop {
            let view = self.cluster.view();
            let silent = self.detection.suspicions().silent.clone();
            let notice = view.gossip(self.boot, silent);
            for peer in view.topology.node_indices() {
                // A peer without a connection hears the next round.
                let _ = self.peers.notify(peer, &notice, Bytes::new());
            }
            let changed = self.detection.testimony_changed();
            tokio::select! {
                biased;
                () = self.tasks.cancelled() => return,
                () = changed => {}
                () = self.env.sleep(GOSSIP_PERIOD) => {}
            }
        }
    }
}
