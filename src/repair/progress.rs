//! How far anti-entropy is, and whether it may go on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::time::MonoTime;
use parking_lot::Mutex;

/// Shared by the tasks of all peers.
#[derive(Default)]
pub(super) struct Progress {
    is_paused: AtomicBool,
    /// How often everything was to be compared at once.
    starts: AtomicU64,
    peers: Box<[Mutex<PeerProgress>]>,
}

#[derive(Clone, Copy, Default)]
struct PeerProgress {
    pending: usize,
    /// When the last complete round began.
    round_began: Option<MonoTime>,
}

impl Progress {
    pub(super) fn new(peers: usize) -> Self {
        Self { peers: (0..peers).map(|_| Mutex::default()).collect(), ..Self::default() }
    }

    pub(super) fn pause(&self) {
        self.is_paused.store(true, Ordering::Relaxed);
    }

    /// Goes on, with everything at once.
    pub(super) fn start(&self) {
        self.starts.fetch_add(1, Ordering::Relaxed);
        self.is_paused.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Relaxed)
    }

    /// Another number than before: everything is to be compared at once.
    pub(super) fn starts(&self) -> u64 {
        self.starts.load(Ordering::Relaxed)
    }

    /// So many comparisons with `peer` do not wait for their turn.
    pub(super) fn note_pending(&self, peer: NodeIndex, pending: usize) {
        if let Some(progress) = self.peers.get(usize::from(peer.0)) {
            progress.lock().pending = pending;
        }
    }

    /// A round with `peer` is complete that began then.
    pub(super) fn complete(&self, peer: NodeIndex, began: MonoTime) {
        if let Some(progress) = self.peers.get(usize::from(peer.0)) {
            progress.lock().round_began = Some(began);
        }
    }

    pub(super) fn pending(&self) -> u64 {
        self.peers.iter().map(|progress| progress.lock().pending as u64).sum()
    }

    /// How long ago the last complete round began with the one of `peers` that is furthest behind; `None` if there was none
    /// with one of them.
    pub(super) fn last_round(
        &self,
        peers: impl IntoIterator<Item = NodeIndex>,
        now: MonoTime,
    ) -> Option<Duration> {
        let began = |peer: NodeIndex| {
            let progress = *self.peers.get(usize::from(peer.0))?.lock();
            progress.round_began.map(|began| now.since(began))
        };
        // `None` from one is `None` for all.
        let spans: Option<Vec<Duration>> = peers.into_iter().map(began).collect();
        spans?.into_iter().max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_round_is_that_of_the_peer_furthest_behind() {
        let progress = Progress::new(3);
        let at = MonoTime::from_nanos;
        let peers = [NodeIndex(0), NodeIndex(2)];
        assert_eq!(progress.last_round(peers, at(100)), None);
        progress.complete(peers[0], at(90));
        assert_eq!(progress.last_round(peers, at(100)), None, "none with the other one");
        progress.complete(peers[1], at(40));
        assert_eq!(progress.last_round(peers, at(100)), Some(Duration::from_nanos(60)));
        assert_eq!(progress.last_round([], at(100)), None);
        progress.note_pending(peers[0], 4);
        progress.note_pending(NodeIndex(9), 4);
        progress.note_pending(peers[1], 3);
        assert_eq!(progress.pending(), 7);
    }
}
