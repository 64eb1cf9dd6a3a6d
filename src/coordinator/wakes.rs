//! The moments at which gets want to be woken: one task waits for the next of them.
//!
//! A timer per get would cost an allocation and two visits to the runtime's timers, and hardly any get lives to see its
//! own. Here it costs an entry in a heap, which stays until its moment: some milliseconds' worth of gets.
//!
//! Invariant: whoever is still there at its moment is told, not before it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};

use atoll_protocol::time::MonoTime;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::env::Env;

/// Somebody who is told that a moment has come. Must not wait.
pub(super) trait Woken: Send + Sync {
    fn wake(self: Arc<Self>);
}

/// The moments of one coordinator.
#[derive(Default)]
pub(super) struct Wakes {
    waiting: Mutex<Waiting>,
    /// The next moment has become an earlier one.
    earlier: Notify,
}

#[derive(Default)]
struct Waiting {
    heap: BinaryHeap<Reverse<Wake>>,
    next: u64,
}

struct Wake {
    at: MonoTime,
    /// Order of arrival, for equal moments.
    number: u64,
    who: Weak<dyn Woken>,
}

impl Wakes {
    /// Has `who` woken at `at`, if it is still there then.
    pub(super) fn at(&self, at: MonoTime, who: Weak<dyn Woken>) {
        let mut waiting = self.waiting.lock();
        let is_first = waiting.heap.peek().is_none_or(|Reverse(first)| at < first.at);
        let number = waiting.next;
        waiting.next += 1;
        waiting.heap.push(Reverse(Wake { at, number, who }));
        drop(waiting);
        if is_first {
            self.earlier.notify_one();
        }
    }

    /// Wakes whoever is due; never ends.
    pub(super) async fn run(self: Arc<Self>, env: Env) {
        loop {
            let next = self.waiting.lock().heap.peek().map(|Reverse(first)| first.at);
            match next {
                Some(at) if at <= env.mono() => self.wake_due(env.mono()),
                Some(at) => tokio::select! {
                    biased;
                    () = self.earlier.notified() => {}
                    () = env.sleep_until(at) => {}
                },
                None => self.earlier.notified().await,
            }
        }
    }

    fn wake_due(&self, now: MonoTime) {
        let mut due = Vec::new();
        let mut waiting = self.waiting.lock();
        while waiting.heap.peek().is_some_and(|Reverse(first)| first.at <= now) {
            due.extend(waiting.heap.pop().map(|Reverse(wake)| wake.who));
        }
        drop(waiting);
        for who in due.iter().filter_map(Weak::upgrade) {
            who.wake();
        }
    }
}

impl Wake {
    fn order(&self) -> (MonoTime, u64) {
        (self.at, self.number)
    }
}

impl PartialEq for Wake {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Wake {}

impl PartialOrd for Wake {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Wake {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Default)]
    struct Counts(AtomicU64);

    impl Woken for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_is_due_and_still_there_is_woken_once_for_each_moment() {
        let wakes = Wakes::default();
        let (early, late) = (Arc::<Counts>::default(), Arc::<Counts>::default());
        let at = |nanos: u64, who: &Arc<Counts>| {
            let who: Arc<dyn Woken> = who.clone();
            wakes.at(MonoTime::from_nanos(nanos), Arc::downgrade(&who));
        };
        at(30, &late);
        at(10, &early);
        at(20, &early);
        at(10, &Arc::default());
        let told = |now: u64| {
            wakes.wake_due(MonoTime::from_nanos(now));
            (early.0.load(Ordering::Relaxed), late.0.load(Ordering::Relaxed))
        };
        assert_eq!(told(9), (0, 0));
        assert_eq!(told(10), (1, 0));
        assert_eq!(told(29), (2, 0));
        assert_eq!(told(30), (2, 1));
        assert_eq!(told(99), (2, 1));
        assert!(wakes.waiting.lock().heap.is_empty());
    }
}
