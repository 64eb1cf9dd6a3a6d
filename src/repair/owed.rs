//! What peers missed: partitions to be compared out of turn.
//!
//! In memory: a restart compares everything once anyway.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::time::MonoTime;
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
    /// Until when hints for the peer are being delivered, in nanoseconds of `MonoTime`.
    deferred_until: AtomicU64,
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

    /// Has comparisons with `peer` wait until then.
    pub(super) fn defer(&self, peer: NodeIndex, until: MonoTime) {
        if let Some(debts) = self.peers.get(usize::from(peer.0)) {
            debts.deferred_until.store(until.as_nanos(), Ordering::Relaxed);
        }
    }

    /// Until when comparisons with `peer` wait.
    pub(super) fn deferred_until(&self, peer: NodeIndex) -> MonoTime {
        let debts = self.peers.get(usize::from(peer.0));
        let nanos = debts.map(|debts| debts.deferred_until.load(Ordering::Relaxed));
        MonoTime::from_nanos(nanos.unwrap_or(0))
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
