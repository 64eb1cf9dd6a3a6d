//! What operators ask of hints: every node carries the command out and answers in its own words.

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{
    Failure, HintsCommand, HintsReport, Invalid, PeerReply, PeerRequest, Reply,
};
use futures_util::future::join_all;

use super::Service;
use crate::cluster::View;

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
        let nodes = view.topology.node_indices();
        let reports = nodes.map(|node| self.hints_report(&view, node, command, deadline));
        Reply::Hints(join_all(reports).await.into_iter().flatten().collect())
    }

    async fn hints_report(
        &self,
        view: &View,
        index: NodeIndex,
        command: &HintsCommand,
        deadline: MonoTime,
    ) -> Option<HintsReport> {
        let node = view.topology.node(index)?;
        let told = if index == self.parts.cluster.own() {
            Ok(self.parts.handoff.command(command.clone()).await)
        } else {
            let is_hints = |reply| match reply {
                PeerReply::Hints(status) => Some(status),
                _ => None,
            };
            self.told(index, &PeerRequest::Hints(command.clone()), deadline, is_hints).await
        };
        let (name, dc) = (node.name.clone(), view.dc_name(node.dc)?.clone());
        Some(HintsReport { node: name, dc, told })
    }
}
