//! What operators ask of anti-entropy: every node carries the command out and answers in its own words.

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{PeerReply, PeerRequest, RepairCommand, RepairReport, Reply};
use futures_util::future::join_all;

use super::Service;
use crate::cluster::View;

impl Service {
    /// Has every node carry out `command`.
    pub(super) async fn repair(&self, command: RepairCommand, deadline: MonoTime) -> Reply {
        let view = self.parts.cluster.view();
        let nodes = view.topology.node_indices();
        let reports = nodes.map(|node| self.repair_report(&view, node, command, deadline));
        Reply::Repair(join_all(reports).await.into_iter().flatten().collect())
    }

    async fn repair_report(
        &self,
        view: &View,
        index: NodeIndex,
        command: RepairCommand,
        deadline: MonoTime,
    ) -> Option<RepairReport> {
        let node = view.topology.node(index)?;
        let told = if index == self.parts.cluster.own() {
            Ok(self.parts.repair.command(command))
        } else {
            let is_repairs = |reply| match reply {
                PeerReply::Repairs(status) => Some(status),
                _ => None,
            };
            self.told(index, &PeerRequest::Repairs(command), deadline, is_repairs).await
        };
        let (name, dc) = (node.name.clone(), view.dc_name(node.dc)?.clone());
        Some(RepairReport { node: name, dc, told })
    }
}
