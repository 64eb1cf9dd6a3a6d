//! An alarm: one wake-up that is waited for again and again.
//!
//! A driver waits for news or for a moment, whichever comes first, and mostly it is news: a sleep of its own for each wait
//! would cost an allocation and two visits to the runtime's timers.
//!
//! Invariant: an alarm that rings has reached its moment; it is not set then.

use atoll_protocol::time::MonoTime;

use super::{BoxFuture, Env};

/// A wake-up at a moment that may be moved.
pub struct Alarm {
    env: Env,
    set: Option<(MonoTime, BoxFuture<'static, ()>)>,
}

impl Alarm {
    /// An alarm that is not set.
    pub fn new(env: Env) -> Self {
        Self { env, set: None }
    }

    /// Resolves at `at`; never, if there is no such moment.
    ///
    /// # Cancellation
    /// Stays set, so that waiting for the same moment again costs nothing.
    pub async fn ring(&mut self, at: Option<MonoTime>) {
        let Some(at) = at else { return std::future::pending().await };
        let sleep = match &mut self.set {
            Some((moment, sleep)) if *moment == at => sleep,
            set => &mut set.insert((at, self.env.sleep_until(at))).1,
        };
        sleep.await;
        self.set = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::Poll;

    use atoll_protocol::time::WallTime;
    use futures_util::FutureExt;

    use super::*;
    use crate::env::EnvBackend;

    /// A clock that stands wherever it is put, and counts the sleeps.
    #[derive(Default)]
    struct Clock {
        now: AtomicU64,
        sleeps: AtomicU64,
    }

    struct Stopped(Arc<Clock>);

    impl EnvBackend for Stopped {
        fn mono(&self) -> MonoTime {
            MonoTime::from_nanos(self.0.now.load(Ordering::Relaxed))
        }

        fn wall(&self) -> WallTime {
            WallTime::from_micros(0)
        }

        fn sleep_until(&self, at: MonoTime) -> BoxFuture<'static, ()> {
            let clock = self.0.clone();
            clock.sleeps.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::poll_fn(move |_| {
                let is_over = clock.now.load(Ordering::Relaxed) >= at.as_nanos();
                if is_over { Poll::Ready(()) } else { Poll::Pending }
            }))
        }

        fn random(&self, out: &mut [u8]) {
            out.fill(0);
        }

        fn spawn(&self, _: &'static str, _: BoxFuture<'static, ()>) {}

        fn blocking(&self, _: Box<dyn FnOnce() + Send>) {}

        fn exit(&self, reason: &str) -> ! {
            panic!("{reason}")
        }
    }

    #[test]
    fn an_alarm_sleeps_once_however_often_it_is_waited_for() {
        let clock = Arc::new(Clock::default());
        let mut alarm = Alarm::new(Env::new(Arc::new(Stopped(clock.clone()))));
        let mut rings = |now: u64, at: Option<u64>| {
            clock.now.store(now, Ordering::Relaxed);
            let ringing = alarm.ring(at.map(MonoTime::from_nanos)).now_or_never();
            (ringing.is_some(), clock.sleeps.load(Ordering::Relaxed))
        };
        assert_eq!(rings(0, None), (false, 0));
        assert_eq!(rings(1, Some(80)), (false, 1));
        assert_eq!(rings(2, Some(80)), (false, 1));
        // Moved, forth and back.
        assert_eq!(rings(3, Some(30)), (false, 2));
        assert_eq!(rings(30, Some(30)), (true, 2));
        assert_eq!(rings(31, Some(80)), (false, 3));
        assert_eq!(rings(80, Some(80)), (true, 3));
        // What has passed rings at once, as often as it is asked for.
        assert_eq!(rings(81, Some(80)), (true, 4));
        assert_eq!(rings(81, Some(80)), (true, 5));
        assert_eq!(rings(99, None), (false, 5));
    }
}
