//! Calls under way: requests to peers that wait for their replies.
//!
//! A call is registered before its frame is queued, completed by the reader of the link, and failed when that link
//! breaks. Its id is unique within the process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use atoll_protocol::frame::Frame;
use atoll_seeded_bug::{Mutant, seeded_bug};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Number of a link within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub(super) u64);

#[cfg(test)]
impl LinkId {
    /// A link that nobody has.
    pub(crate) fn of_test(number: u64) -> Self {
        Self(number)
    }
}

/// Why a call has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The request never left this node.
    #[error("not connected")]
    NotSent,
    /// The link broke after the request was queued: the peer may have carried it out.
    #[error("the connection broke before the reply came")]
    Lost,
    /// The deadline passed: the peer may have carried it out, or may still.
    #[error("no reply before the deadline")]
    Deadline,
    /// The reply could not be understood.
    #[error("malformed reply")]
    Malformed,
}

/// The calls of one node.
#[derive(Default)]
pub(super) struct Calls {
    next: AtomicU64,
    waiting: Mutex<BTreeMap<u64, Waiting>>,
}

struct Waiting {
    link: LinkId,
    then: Then,
}

/// What to do with a reply; `None`, if the link broke before it came. Must not wait.
pub(super) type Then = Box<dyn FnOnce(Option<Frame>) + Send>;

impl Calls {
    /// Registers a call on `link`. `then` is called once at most: not if the call is forgotten.
    pub(super) fn register(&self, link: LinkId, then: Then) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let id = if seeded_bug(Mutant::RequestIdReused) { id % 16 } else { id };
        // Dropped, if the mutant reuses an id, when nothing is locked any more.
        let before = self.waiting.lock().insert(id, Waiting { link, then });
        drop(before);
        id
    }

    /// The same for a caller that waits: the receiver fails if the link breaks.
    pub(super) fn register_waiting(&self, link: LinkId) -> (u64, oneshot::Receiver<Frame>) {
        let (reply, receiver) = oneshot::channel();
        let then = move |frame: Option<Frame>| {
            if let Some(frame) = frame {
                // The caller may have stopped waiting.
                let _ = reply.send(frame);
            }
        };
        (self.register(link, Box::new(then)), receiver)
    }

    /// Gives `frame` to the call that it answers; a reply that nobody waits for any more is dropped.
    pub(super) fn complete(&self, frame: Frame) {
        let waiting = self.waiting.lock().remove(&frame.request);
        if let Some(waiting) = waiting {
            (waiting.then)(Some(frame));
        }
    }

    /// Forgets a call whose caller stopped waiting; true if it was under way.
    pub(super) fn forget(&self, id: u64) -> bool {
        let waiting = self.waiting.lock().remove(&id);
        waiting.is_some()
    }

    /// Fails every call on `link`.
    pub(super) fn fail_link(&self, link: LinkId) {
        let failed: Vec<_> =
            self.waiting.lock().extract_if(.., |_, waiting| waiting.link == link).collect();
        for (_, waiting) in failed {
            (waiting.then)(None);
        }
    }
}
