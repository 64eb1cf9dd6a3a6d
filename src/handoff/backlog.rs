//! How much waits for each target.

use std::collections::BTreeMap;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::time::WallTime;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What waits for one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Hints.
    pub(super) hints: u64,
    /// Bytes that they take.
    pub(super) bytes: u64,
    /// When the oldest was written, as far as is known.
    pub(super) oldest: Option<WallTime>,
}

/// One entry per node of the topology.
pub(super) struct Backlogs {
    targets: Box<[Backlog]>,
}

/// What waits for one target, and who waits for it.
#[derive(Default)]
pub(super) struct Backlog {
    waiting: Mutex<Waiting>,
    /// Told when there is something to deliver, or an operator wants it tried.
    wake: Notify,
}

impl Backlogs {
    pub(super) fn new(nodes: usize, found: &BTreeMap<NodeIndex, Waiting>) -> Self {
        let targets: Box<[Backlog]> = (0..nodes).map(|_| Backlog::default()).collect();
        for (target, waiting) in found {
            if let Some(backlog) = targets.get(usize::from(target.0)) {
                *backlog.waiting.lock() = *waiting;
            }
        }
        Self { targets }
    }

    pub(super) fn of(&self, target: NodeIndex) -> Option<&Backlog> {
        self.targets.get(usize::from(target.0))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (NodeIndex, &Backlog)> {
        let index = |at| NodeIndex(u16::try_from(at).unwrap_or(u16::MAX));
        self.targets.iter().enumerate().map(move |(at, backlog)| (index(at), backlog))
    }

    pub(super) fn wake_all(&self) {
        self.targets.iter().for_each(|backlog| backlog.wake.notify_one());
    }
}

impl Backlog {
    pub(super) fn waiting(&self) -> Waiting {
        *self.waiting.lock()
    }

    /// One more hint, of `since`.
    pub(super) fn add(&self, bytes: u64, since: WallTime) {
        let mut waiting = self.waiting.lock();
        waiting.hints += 1;
        waiting.bytes += bytes;
        waiting.oldest = Some(waiting.oldest.map_or(since, |oldest| oldest.min(since)));
        drop(waiting);
        self.wake.notify_one();
    }

    /// One hint less.
    pub(super) fn remove(&self, bytes: u64) {
        let mut waiting = self.waiting.lock();
        waiting.hints = waiting.hints.saturating_sub(1);
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
        if waiting.hints == 0 {
            *waiting = Waiting::default();
        }
    }

    /// The oldest hint was found to be of `since`.
    pub(super) fn note_oldest(&self, since: Option<WallTime>) {
        self.waiting.lock().oldest = since;
    }

    /// Nothing waits any more; how many hints did.
    pub(super) fn clear(&self) -> u64 {
        std::mem::take(&mut *self.waiting.lock()).hints
    }

    /// Resolves once something was added, or an operator wants it tried, since it resolved last.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }
}
