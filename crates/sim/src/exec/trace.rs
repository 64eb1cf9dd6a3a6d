//! The trace: every event as a few numbers, hashed in order; printed on demand.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

/// Whether events are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// Only the hash is kept.
    Hash,
    /// Every event is written to standard error with its time.
    Print,
}

/// Where events are noted.
pub struct Notes {
    trace: Trace,
    /// The world's time of the event being noted; set by whoever drives the executor.
    now: AtomicU64,
    polls: AtomicU64,
    hash: Mutex<Xxh3>,
}

impl Notes {
    pub(super) fn new(trace: Trace) -> Self {
        let (now, polls) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { trace, now, polls, hash: Mutex::new(Xxh3::new()) }
    }

    /// Notes an event: its kind, up to four numbers, and words that are only made when somebody reads them.
    pub fn note(&self, kind: &'static str, numbers: [u64; 4], words: impl FnOnce() -> String) {
        let mut hash = self.hash.lock();
        hash.update(kind.as_bytes());
        for number in numbers {
            hash.update(&number.to_le_bytes());
        }
        drop(hash);
        if self.trace == Trace::Print {
            let micros = self.now.load(Ordering::Relaxed) / 1_000;
            let [a, b, c, d] = numbers;
            eprintln!(
                "{:>6}.{:06} {kind:<10} {a} {b} {c} {d}  {}",
                micros / 1_000_000,
                micros % 1_000_000,
                words()
            );
        }
    }

    /// Whether anybody reads.
    pub fn is_printed(&self) -> bool {
        self.trace == Trace::Print
    }

    /// Sets the time that printed events show.
    pub fn set_now(&self, nanos: u64) {
        self.now.store(nanos, Ordering::Relaxed);
    }

    /// Digest of everything so far: events in order, and every task that was ever polled, in order.
    pub fn hash(&self) -> u64 {
        self.hash.lock().digest() ^ self.polls.load(Ordering::Relaxed)
    }

    /// Folds one poll in: cheap, because it happens millions of times.
    pub(super) fn count(&self, task: u64) {
        let before = self.polls.load(Ordering::Relaxed);
        self.polls.store(xxh3_64_with_seed(&task.to_le_bytes(), before), Ordering::Relaxed);
    }
}
