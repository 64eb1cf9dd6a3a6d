//! What operators ask of hints: every node carries the command out and answers in its own words.

use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{
    Failure, HintsCommand, HintsReport, Invalid, PeerReply, PeerRequest, Reply,
};

use super::Service;
use super::storage::Told;

impl Service {
    /// Has every node carry out `command`.
    pub(super) async fn hints(&self, command: &HintsCommand, deadline: MonoTime) -> Reply {
        let view = self.parts.cluster.view();
        if let HintsCommand::Drop { target: Some(name) } = command
            && view.topology.node_by_name(name).is_none()
        {
            let detail =
                format!("node {name} is not in the topology; `atoll status` lists the nodes");
            return Reply::Failed(Failure::from(Invalid::Message { detail }));
        }
        let read = |reply| match reply {
            PeerReply::Hints(status) => Some(status),
            _ => None,
        };
        let own = self.parts.handoff.command(command.clone());
        let told = self.everyone(&PeerRequest::Hints(command.clone()), deadline, own, read).await;
        let report = |Told { node, dc, told }| HintsReport { node, dc, told };
        Reply::Hints(told.into_iter().map(report).collect())
    }
}
