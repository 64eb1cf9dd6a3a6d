//! Requests that wait for their replies on one connection.
//!
//! A request is registered before its frame is queued, and completed by the connection's reader. Dropping its
//! [`Ticket`] forgets it, so a request whose future is dropped leaves nothing behind.
//!
//! Invariants
//! - After [`Pending::end`] nobody waits and nobody can register.
//! - Every ticket is completed, failed by `end`, or dropped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use atoll_protocol::frame::Frame;
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// The requests under way on one connection.
#[derive(Debug)]
pub(super) struct Pending {
    next: AtomicU64,
    count: AtomicUsize,
    /// `None` once the connection has ended.
    waiting: Mutex<Option<BTreeMap<u64, oneshot::Sender<Frame>>>>,
}

/// A place in [`Pending`]; dropping it gives the place up.
#[derive(Debug)]
pub(super) struct Ticket {
    id: u64,
    reply: oneshot::Receiver<Frame>,
    pending: Arc<Pending>,
}

impl Pending {
    pub(super) fn new() -> Self {
        let (next, count) = (AtomicU64::new(1), AtomicUsize::new(0));
        Self { next, count, waiting: Mutex::new(Some(BTreeMap::new())) }
    }

    /// Registers a request; `None` once the connection has ended.
    pub(super) fn register(self: &Arc<Self>) -> Option<Ticket> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, reply) = oneshot::channel();
        self.waiting.lock().as_mut()?.insert(id, sender);
        self.count.fetch_add(1, Ordering::Relaxed);
        Some(Ticket { id, reply, pending: Arc::clone(self) })
    }

    /// Gives `frame` to the request that it answers; one that nobody waits for any more is dropped.
    pub(super) fn complete(&self, frame: Frame) {
        let waiting = self.waiting.lock().as_mut().and_then(|map| map.remove(&frame.request));
        if let Some(waiting) = waiting {
            // The request may have been dropped between the two lines.
            let _ = waiting.send(frame);
        }
    }

    /// Fails everybody who waits; nobody waits from now on.
    pub(super) fn end(&self) {
        *self.waiting.lock() = None;
    }

    /// How many wait.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Ticket {
    /// The id that the request's frame carries.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The reply; `None` when the connection ended first.
    pub(super) async fn reply(&mut self) -> Option<Frame> {
        (&mut self.reply).await.ok()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.pending.count.fetch_sub(1, Ordering::Relaxed);
        if let Some(waiting) = self.pending.waiting.lock().as_mut() {
            waiting.remove(&self.id);
        }
    }
}
