//! What fallbacks say that they keep for others, and whether they do.

use std::collections::BTreeMap;

use atoll_protocol::ids::{KeyspaceId, NodeIndex, OperationId};
use atolldb::handoff::HintStore;
use atolldb::replica::StoredKey;
use bytes::Bytes;

use super::Recorder;
use crate::disk::SimDisk;

/// The hint stores of running nodes, and what fallbacks were asked to keep.
#[derive(Default)]
pub(super) struct Held {
    stores: BTreeMap<NodeIndex, (HintStore, SimDisk)>,
    /// By fallback and operation: for whom, and which key.
    asked: BTreeMap<(NodeIndex, OperationId), (NodeIndex, StoredKey)>,
}

impl Held {
    /// The hint stores of running nodes.
    pub(super) fn stores(&self) -> BTreeMap<NodeIndex, (HintStore, SimDisk)> {
        self.stores.clone()
    }
}

impl Recorder {
    /// A node keeps its hints there now, or does not run any more.
    pub fn set_hints(&self, node: NodeIndex, hints: Option<(HintStore, SimDisk)>) {
        let mut state = self.state();
        let before = match hints {
            Some(hints) => state.held.stores.insert(node, hints),
            None => state.held.stores.remove(&node),
        };
        drop(state);
        drop(before);
    }

    /// `fallback` was asked to keep the record of a key for `owner`.
    pub(super) fn on_hold_asked(
        &self,
        (fallback, operation): (NodeIndex, OperationId),
        owner: NodeIndex,
        (keyspace, key): (KeyspaceId, &Bytes),
    ) {
        let stored = StoredKey::new(keyspace, key);
        self.state().held.asked.insert((fallback, operation), (owner, stored));
    }

    /// `fallback` says that it has: then it does (I10/P1).
    pub(super) fn check_held(&self, fallback: NodeIndex, operation: OperationId) {
        let (asked, store) = {
            let mut state = self.state();
            let asked = state.held.asked.remove(&(fallback, operation));
            (asked, state.held.stores.get(&fallback).cloned())
        };
        let (Some((owner, key)), Some((store, disk))) = (asked, store) else { return };
        self.reach("record kept by a fallback");
        let kept = disk.observe(|| store.keeps(owner, &key));
        // It may have been handed over already.
        let handed_over = || {
            let of_owner = self.state().engines.get(&owner).cloned();
            of_owner.is_some_and(|(engine, disk)| {
                disk.observe(|| !matches!(engine.get(key.as_bytes()), Ok(None)))
            })
        };
        if matches!(kept, Ok(None)) && !handed_over() {
            let detail = format!("node {} acknowledged what it does not keep", fallback.0);
            self.find("I10/P1 fallback keeps", detail);
        }
    }
}
