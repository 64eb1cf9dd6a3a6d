//! Requests of peers that nobody waits for any more: whoever is about to begin or answer one looks here.
//!
//! When a cancel frame comes, its request may not have been read yet, may wait, run or be done: frames keep no order. What is
//! done leaves its note behind until newer ones take its place.
//!
//! Invariants
//! - At most [`NOTES_MAX`] are kept; of a forgotten one the answer is sent for nothing.
//! - A note names the link: ids of requests are unique at their sender only.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::net::LinkId;

/// Notes that are kept. A few percent of the reads are cancelled, and few of those are still waiting here.
const NOTES_MAX: usize = 256;

/// The notes of one node.
#[derive(Debug, Default)]
pub(super) struct Cancelled {
    notes: Mutex<BTreeSet<(LinkId, u64)>>,
    /// How many there are: every request looks here, and hardly ever finds a note.
    count: AtomicUsize,
}

impl Cancelled {
    /// Notes that `from` does not wait for `request`.
    pub(super) fn note(&self, from: LinkId, request: u64) {
        let mut notes = self.notes.lock();
        notes.insert((from, request));
        if notes.len() > NOTES_MAX {
            // The oldest request of the oldest link.
            notes.pop_first();
        }
        self.count.store(notes.len(), Ordering::Relaxed);
    }

    /// True if `from` does not wait for this request any more; said once.
    pub(super) fn take(&self, from: LinkId, request: u64) -> bool {
        if self.count.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut notes = self.notes.lock();
        let is_cancelled = notes.remove(&(from, request));
        self.count.store(notes.len(), Ordering::Relaxed);
        is_cancelled
    }
}
