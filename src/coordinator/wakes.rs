//! The moments at which gets want to be woken: one task waits for the next of them.
//!
//! A timer per get would cost an allocation and two visits to the runtime's timers, and hardly any get lives to see its
//! own. Here it costs an entry in a map, which stays until its moment: some milliseconds' worth of gets.
//!
//! Invariant: whoever is still there at its moment is told, not before it.

use std::collections::BTreeMap;
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
    /// By when, in the order in which they came.
    wakes: BTreeMap<(MonoTime, u64), Weak<dyn Woken>>,
    set: u64,
}

impl Wakes {
    /// Has `who` woken at `at`, if it is still there then.
    pub(super) fn at(&self, at: MonoTime, who: Weak<dyn Woken>) {
        let mut waiting = self.waiting.lock();
        let is_first = waiting.next().is_none_or(|first| at < first);
        let number = waiting.set;
        waiting.set += 1;
        waiting.wakes.insert((at, number), who);
        drop(waiting);
        if is_first {
            self.earlier.notify_one();
        }
    }

    /// Wakes whoever is due; never ends.
    pub(super) async fn run(self: Arc<Self>, env: Env) {
        loop {
            let next = self.waiting.lock().next();
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
        while let Some(first) = waiting.wakes.first_entry().filter(|first| first.key().0 <= now) {
            due.push(first.remove());
        }
        drop(waiting);
        for who in due.iter().filter_map(Weak::upgrade) {
            who.wake();
        }
    }
}

impl Waiting {
    /// The first moment.
    fn next(&self) -> Option<MonoTime> {
        self.wakes.first_key_value().map(|((at, _), _)| *at)
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
        assert!(wakes.waiting.lock().wakes.is_empty());
    }
}
