//! Puts that arrive at a node which does not replicate their key.
//!
//! 1. Candidates are the key's replicas, nearest first; for a local level only those of the local datacenter.
//! 2. A candidate that was not reached at all is skipped; once the request left this node, its outcome is the
//!    candidate's answer or `Unknown`.

use std::time::Duration;

use atoll_protocol::ids::{DcIndex, NodeIndex};
use atoll_protocol::put::Liveness;
use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{Acknowledged, Failure, PeerReply, PeerRequest, PutRequest};
use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use super::Service;
use crate::coordinator::{Answer, Target};
use crate::net::CallError;

impl Service {
    pub(super) async fn forward(
        &self,
        target: Target,
        (put, value): (PutRequest, Bytes),
        (local, deadline): (DcIndex, MonoTime),
        answer: Answer<Acknowledged>,
    ) {
        let level = put.level;
        let request = PeerRequest::Forward { request: put, local };
        for node in self.forward_candidates(&target, local) {
            let reply = self.parts.peers.call(node, &request, value.clone(), deadline).await;
            let result = match reply {
                Ok((PeerReply::Forwarded(acknowledged), _)) => Ok(acknowledged),
                Ok((PeerReply::Failed(failure), _)) => Err(failure),
                Err(CallError::NotSent) => continue,
                Err(CallError::Lost) if seeded_bug(Mutant::ForwardRetried) => continue,
                Ok(_) | Err(CallError::Lost | CallError::Deadline | CallError::Malformed) => {
                    Err(Failure::Unknown { level, dc: None, needed: 1, acked: 0 })
                }
            };
            return answer(result);
        }
        let dc = target.view.dc_name(local).cloned();
        answer(Err(Failure::Unavailable { level, dc, needed: 1, alive: 0 }));
    }

    /// Live replicas, nearest first. A replica of another datacenter coordinates only when the local one has none
    /// alive: its own level check then says what is missing.
    fn forward_candidates(&self, target: &Target, local: DcIndex) -> Vec<NodeIndex> {
        let peers = &self.parts.peers;
        let mut candidates: Vec<_> = target
            .replicas
            .nodes
            .iter()
            .filter(|(node, _)| peers.liveness(*node) == Liveness::Alive)
            .map(|&(node, dc)| (dc != local, peers.rtt(node).unwrap_or(Duration::MAX), node))
            .collect();
        candidates.sort();
        candidates.into_iter().map(|(_, _, node)| node).collect()
    }
}
