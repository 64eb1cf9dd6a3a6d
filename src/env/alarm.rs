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
    use std::time::Duration;

    use super::*;
    use crate::env::RealEnv;

    #[tokio::test(start_paused = true)]
    async fn an_alarm_rings_at_the_moment_that_was_asked_for_last() {
        let env = RealEnv::create();
        let began = tokio::time::Instant::now();
        let at = |millis| Some(env.mono().after(Duration::from_millis(millis)));
        let mut alarm = Alarm::new(env.clone());
        let (late, soon) = (at(80), at(30));
        for _ in 0..3 {
            let interrupted = tokio::time::timeout(Duration::from_millis(1), alarm.ring(late));
            assert!(interrupted.await.is_err());
        }
        alarm.ring(soon).await;
        let elapsed = began.elapsed();
        assert!((29..40).contains(&elapsed.as_millis()), "{elapsed:?}");
        alarm.ring(late).await;
        assert!((79..90).contains(&began.elapsed().as_millis()));
        // What has passed rings at once, as often as it is asked for.
        alarm.ring(late).await;
        alarm.ring(soon).await;
        let never = tokio::time::timeout(Duration::from_secs(60), alarm.ring(None));
        assert!(never.await.is_err());
    }
}
