//! How a client sends a request and waits for its answer.

use std::sync::Arc;

use atoll_protocol::wire::{self, Envelope, Failure, Reply, Request};
use atolldb::net::Link;
use bytes::Bytes;

use super::{Client, GRACE, WANDER_PER_MILLE};
use crate::exec::ProcessId;
use crate::history::{Outcome, ReadCell};
use crate::record::name_of;

impl Client {
    /// Usually the node it is connected to, sometimes another one.
    pub(super) async fn choose_node(&mut self) -> usize {
        // Sessions are for those who move.
        let wander = if self.session.is_some() { 2 * WANDER_PER_MILLE } else { WANDER_PER_MILLE };
        let is_open = self.link.as_ref().is_some_and(|(_, link)| !link.is_closed());
        if is_open
            && !self.chance.per_mille(wander)
            && let Some((node, _)) = &self.link
        {
            return *node;
        }
        self.chance.index(self.nodes.len())
    }

    async fn connect(&mut self, node: usize) -> Option<Arc<dyn Link>> {
        if let Some((to, link)) = &self.link
            && *to == node
            && !link.is_closed()
        {
            return Some(link.clone());
        }
        let patience = self.env.mono().after(self.connect_patience);
        let link = self.env.until(patience, self.dial.dial(ProcessId(node))).await??;
        self.link = Some((node, link.clone()));
        Some(link)
    }

    /// Asks and waits; `None` if no answer came. A request that could not be sent has no answer either.
    pub(super) async fn ask(
        &mut self,
        node: usize,
        request: &Request,
        payload: Bytes,
    ) -> Option<(Reply, Bytes)> {
        let link = self.connect(node).await?;
        self.requests += 1;
        let id = self.requests;
        let epoch = atoll_protocol::ids::Epoch(1);
        let envelope = Envelope { request: id, epoch, budget: Some(self.deadline) };
        let frame = wire::to_frame(request, payload, envelope).ok()?;
        link.send(frame).ok()?;
        let patience = self.env.mono().after(self.deadline + GRACE);
        let answered = self.env.until(patience, async {
            loop {
                let frame = link.recv().await?;
                if frame.request == id {
                    return wire::from_frame::<Reply>(&frame)
                        .ok()
                        .map(|reply| (reply, frame.payload));
                }
            }
        });
        let answered = answered.await.flatten();
        if answered.is_none() && self.chance.per_mille(700) {
            self.link = None;
        }
        answered
    }
}

/// An answer that makes no sense is a defect of the node.
pub(super) fn internal(detail: &str) -> Outcome {
    Outcome::Failed(Failure::Internal {
        detail: format!("the client cannot use the answer: {detail}"),
    })
}

pub(super) fn read_cells(cells: &[wire::CellMeta], payload: &Bytes) -> Vec<ReadCell> {
    let mut rest = payload.clone();
    let mut read = Vec::new();
    for cell in cells {
        let length = (cell.length as usize).min(rest.len());
        let value = name_of(&rest.split_to(length));
        read.push(ReadCell { dot: cell.dot, timestamp: cell.timestamp, value });
    }
    read
}
