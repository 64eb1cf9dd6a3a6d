//! What peers missed: partitions to be compared out of turn.
//!
//! In memory: a restart compares everything once anyway.

use std::collections::BTreeSet;

use atoll_protocol::ids::NodeIndex;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::plan::Share;

/// One entry per peer and partition at most.
pub(super) struct Owed {
    peers: Box<[Debts]>,
}

#[derive(Default)]
struct Debts {
    shares: Mutex<BTreeSet<Share>>,
    added: Notify,
}

impl Owed {
    pub(super) fn new(peers: usize) -> Self {
        Self { peers: (0..peers).map(|_| Debts::default()).collect() }
    }

    pub(super) fn add(&self, peer: NodeIndex, share: Share) {
        let Some(debts) = self.peers.get(usize::from(peer.0)) else { return };
        if debts.shares.lock().insert(share) {
            debts.added.notify_one();
        }
    }

    pub(super) fn take(&self, peer: NodeIndex) -> BTreeSet<Share> {
        let debts = self.peers.get(usize::from(peer.0));
        debts.map(|debts| std::mem::take(&mut *debts.shares.lock())).unwrap_or_default()
    }

    /// How many there are, of all peers.
    pub(super) fn len(&self) -> u64 {
        self.peers.iter().map(|debts| debts.shares.lock().len() as u64).sum()
    }

    /// Resolves once something was added since it resolved last.
    pub(super) async fn added(&self, peer: NodeIndex) {
        if let Some(debts) = self.peers.get(usize::from(peer.0)) {
            debts.added.notified().await;
        }
    }
}
