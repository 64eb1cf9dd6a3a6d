//! The moments at which operations want to be woken: one task waits for the next of them.
//!
//! A timer per operation would cost an allocation and two visits to the runtime's timers, and hardly any operation lives
//! to see its own. Here it costs an entry in a small map, which goes when its operation ends.
//!
//! Invariants
//! - Whoever is still there at its moment is told, not before it.
//! - The task sleeps until no later than the first moment; it is roused only for one that is earlier than what it sleeps
//!   for, not for every first one.

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
    /// There is a moment that is earlier than what the task sleeps for.
    earlier: Notify,
}

/// A moment that [`Wakes`] was told.
type Wake = (MonoTime, u64);

#[derive(Default)]
struct Waiting {
    /// By when, in the order in which they came.
    wakes: BTreeMap<Wake, Weak<dyn Woken>>,
    set: u64,
    /// What the task sleeps for; `None` if it waits for a moment, whichever.
    asleep_until: Option<MonoTime>,
}

/// The moments of one operation: all that it asked for and that have not come. Only the earliest is in [`Wakes`].
#[derive(Default)]
pub(super) struct Moments {
    asked: Vec<MonoTime>,
    set: Option<Wake>,
}

impl Wakes {
    /// Has `who` woken at `at`, if it is still there then.
    fn at(&self, at: MonoTime, who: Weak<dyn Woken>) -> Wake {
        let mut waiting = self.waiting.lock();
        let wake = (at, waiting.set);
        waiting.set += 1;
        waiting.wakes.insert(wake, who);
        let is_earlier = waiting.asleep_until.is_none_or(|until| at < until);
        drop(waiting);
        if is_earlier {
            self.earlier.notify_one();
        }
        wake
    }

    fn forget(&self, wake: Wake) {
        self.waiting.lock().wakes.remove(&wake);
    }

    /// Wakes whoever is due; never ends.
    pub(super) async fn run(self: Arc<Self>, env: Env) {
        loop {
            match self.next() {
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

    /// The first moment, for which the task goes to sleep.
    fn next(&self) -> Option<MonoTime> {
        let mut waiting = self.waiting.lock();
        waiting.asleep_until = waiting.wakes.first_key_value().map(|((at, _), _)| *at);
        waiting.asleep_until
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

impl Moments {
    /// Asks for one more.
    pub(super) fn ask(&mut self, at: MonoTime) {
        self.asked.push(at);
    }

    /// Drops those that have come.
    pub(super) fn pass(&mut self, now: MonoTime) {
        self.asked.retain(|at| *at > now);
    }

    /// What was in [`Wakes`] has come.
    pub(super) fn has_come(&mut self) {
        self.set = None;
    }

    /// Has `who` woken at the next of them, unless that, or an earlier one, was set.
    pub(super) fn set<W: Woken + 'static>(&mut self, wakes: &Wakes, who: &Arc<W>) {
        let next = self.asked.iter().min().copied();
        let Some(next) = next.filter(|next| self.set.is_none_or(|(set, _)| *next < set)) else {
            return;
        };
        self.forget(wakes);
        let who: Arc<dyn Woken> = who.clone();
        self.set = Some(wakes.at(next, Arc::downgrade(&who)));
    }

    /// None of them matters any more.
    pub(super) fn clear(&mut self, wakes: &Wakes) {
        self.asked.clear();
        self.forget(wakes);
    }

    fn forget(&mut self, wakes: &Wakes) {
        if let Some(set) = self.set.take() {
            wakes.forget(set);
        }
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

    fn moment(nanos: u64) -> MonoTime {
        MonoTime::from_nanos(nanos)
    }

    #[test]
    fn who_is_due_and_still_there_is_woken_once_for_each_moment() {
        let wakes = Wakes::default();
        let (early, late) = (Arc::<Counts>::default(), Arc::<Counts>::default());
        let at = |nanos: u64, who: &Arc<Counts>| {
            let who: Arc<dyn Woken> = who.clone();
            wakes.at(moment(nanos), Arc::downgrade(&who));
        };
        at(30, &late);
        at(10, &early);
        at(20, &early);
        at(10, &Arc::default());
        let told = |now: u64| {
            wakes.wake_due(moment(now));
            (early.0.load(Ordering::Relaxed), late.0.load(Ordering::Relaxed))
        };
        assert_eq!(told(9), (0, 0));
        assert_eq!(told(10), (1, 0));
        assert_eq!(told(29), (2, 0));
        assert_eq!(told(30), (2, 1));
        assert_eq!(told(99), (2, 1));
        assert!(wakes.waiting.lock().wakes.is_empty());
    }

    #[test]
    fn an_operation_has_one_moment_set_at_most_and_none_once_it_is_over() {
        let wakes = Wakes::default();
        let set = || wakes.waiting.lock().wakes.keys().map(|(at, _)| *at).collect::<Vec<_>>();
        let (who, mut moments) = (Arc::<Counts>::default(), Moments::default());
        moments.ask(moment(50));
        moments.set(&wakes, &who);
        assert_eq!(set(), [moment(50)]);
        moments.ask(moment(20));
        moments.set(&wakes, &who);
        assert_eq!(set(), [moment(20)], "the earlier one took its place");
        moments.ask(moment(30));
        moments.set(&wakes, &who);
        assert_eq!(set(), [moment(20)]);
        wakes.wake_due(moment(25));
        moments.has_come();
        moments.pass(moment(25));
        moments.set(&wakes, &who);
        assert_eq!(set(), [moment(30)], "what is left of what was asked for");
        moments.clear(&wakes);
        assert!(set().is_empty());
        assert_eq!(who.0.load(Ordering::Relaxed), 1);
    }
}
