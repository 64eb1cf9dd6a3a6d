//! Requests under way, counted, with a bound; whoever waits for room is woken when there is some.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};

/// The count and its bound.
#[derive(Debug)]
pub(crate) struct Inflight {
    count: AtomicU64,
    bound: u64,
    /// The thread that hands out requests, and whether it waits for room.
    pacer: OnceLock<Thread>,
    is_awaited: AtomicBool,
}

/// One request under way; it makes room when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Inflight>);

impl Inflight {
    /// At most `bound` at once.
    pub(crate) fn new(bound: u64) -> Self {
        let (count, is_awaited) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { count, bound, pacer: OnceLock::new(), is_awaited }
    }

    /// Takes a place for one more; `None` if there is no room. Only one thread takes places.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Slot> {
        if self.count.load(Ordering::Acquire) >= self.bound {
            return None;
        }
        self.count.fetch_add(1, Ordering::AcqRel);
        Some(Slot(Arc::clone(self)))
    }

    /// How many are under way.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// From now on this thread is woken when there is room, as long as it waits for some.
    pub(crate) fn await_room(&self) {
        let _ = self.pacer.set(thread::current());
        self.is_awaited.store(true, Ordering::Release);
    }

    /// This thread does not wait for room any more.
    pub(crate) fn forget_room(&self) {
        self.is_awaited.store(false, Ordering::Release);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        // The pacer looks again every now and then, so that a missed wake-up costs a moment and no more.
        if self.0.is_awaited.load(Ordering::Acquire)
            && let Some(pacer) = self.0.pacer.get()
        {
            pacer.unpark();
        }
    }
}
