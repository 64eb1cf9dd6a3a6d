//! What operators ask of deletions: every node tells of those that it looks after.

use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{PeerReply, PeerRequest, Reply, TombstonesReport};

use super::Service;
use super::storage::Told;

impl Service {
    /// The deletions that wait to be purged, by node.
    pub(super) async fn tombstones(&self, deadline: MonoTime) -> Reply {
        let read = |reply| match reply {
            PeerReply::Tombstones(status) => Some(status),
            _ => None,
        };
        let own = async { self.parts.purge.status() };
        let told = self.everyone(&PeerRequest::Tombstones, deadline, own, read).await;
        let report = |Told { node, dc, told }| TombstonesReport { node, dc, told };
        Reply::Tombstones(told.into_iter().map(report).collect())
    }
}
