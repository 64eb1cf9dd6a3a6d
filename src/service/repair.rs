//! What operators ask of anti-entropy: every node carries the command out and answers in its own words.

use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{PeerReply, PeerRequest, RepairCommand, RepairReport, Reply};

use super::Service;
use super::storage::Told;

impl Service {
    /// Has every node carry out `command`.
    pub(super) async fn repair(&self, command: RepairCommand, deadline: MonoTime) -> Reply {
        let read = |reply| match reply {
            PeerReply::Repairs(status) => Some(status),
            _ => None,
        };
        let own = async { self.parts.repair.command(command) };
        let told = self.everyone(&PeerRequest::Repairs(command), deadline, own, read).await;
        let report = |Told { node, dc, told }| RepairReport { node, dc, told };
        Reply::Repair(told.into_iter().map(report).collect())
    }
}
