//! How requests fare, and how much background work should rest because of them.
//!
//! 1. Every put that this node mints is timed from its queue to its sync ([`Foreground::note`]).
//! 2. Once a second the 99th percentile of the last second is compared with what it is while nothing goes on in the
//!    background: the calm one, a moving average.
//! 3. Background work asks after each of its steps how long to rest ([`Foreground::rest`]): as long as the step took, so
//!    that requests have half of what it would take, and up to 32 times as long where requests are slower than 1.3 times
//!    calm.
//!
//! Invariant: without requests, or with too few to tell, a step rests as long as it took.
//!
//! Units: microseconds in the histogram. Source: additive of nothing, multiplicative both ways: the load changes within
//! seconds, and a step too many costs little.

use std::time::Duration;

use atoll_protocol::time::MonoTime;
use parking_lot::Mutex;

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(1);

/// Buckets of the histogram: four to each power of two, from 1 µs to an hour.
const BUCKETS: usize = 128;

/// Fewer requests in a window tell nothing of its 99th percentile.
const SAMPLES_MIN: u32 = 50;

/// Slower than so many hundredths of calm, requests need room: below the 1.5 times that is promised.
const STRAINED_PERCENT: u64 = 130;

/// Weight of a new window in what is calm, in eighths.
const CALM_WEIGHT: u64 = 1;

/// Rest per time of work, in quarters: at least 1, at most 32 times.
const FACTOR: (u64, u64) = (4, 128);

/// Longest rest after a step.
const REST_MAX: Duration = Duration::from_secs(2);

/// How requests fare at one node.
#[derive(Debug, Default)]
pub struct Foreground {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    began: MonoTime,
    counts: [u32; BUCKETS],
    total: u32,
    /// Whether background work has asked within the window, or the one before.
    background: Background,
    /// The 99th percentile of the last window with enough requests, and of calm ones.
    now_micros: u64,
    calm_micros: u64,
    /// Rest per time of work, in quarters.
    factor: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Background {
    Idle,
    /// In the last window.
    Was,
    /// In this one.
    Works,
}

impl Default for State {
    fn default() -> Self {
        Self {
            began: MonoTime::ZERO,
            counts: [0; BUCKETS],
            total: 0,
            background: Background::Idle,
            now_micros: 0,
            calm_micros: 0,
            factor: FACTOR.0,
        }
    }
}

impl Foreground {
    /// A request took `took` and ended at `now`.
    pub fn note(&self, now: MonoTime, took: Duration) {
        let mut state = self.state.lock();
        state.turn(now);
        let bucket = bucket_of(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        if let Some(count) = state.counts.get_mut(bucket) {
            *count += 1;
            state.total += 1;
        }
    }

    /// How long background work rests after a step that took `took` and ended at `now`.
    pub fn rest(&self, now: MonoTime, took: Duration) -> Duration {
        let mut state = self.state.lock();
        state.turn(now);
        state.background = Background::Works;
        let factor = u32::try_from(state.factor).unwrap_or(u32::MAX);
        (took * factor / 4).min(REST_MAX)
    }
}

impl State {
    /// Begins a new window, if it is time.
    fn turn(&mut self, now: MonoTime) {
        if now.since(self.began) < WINDOW {
            return;
        }
        if self.total >= SAMPLES_MIN {
            self.now_micros = self.p99();
            if self.background == Background::Idle {
                let weighted = self.calm_micros * (8 - CALM_WEIGHT) + self.now_micros * CALM_WEIGHT;
                let is_first = self.calm_micros == 0;
                self.calm_micros = if is_first { self.now_micros } else { weighted / 8 };
            }
            let is_strained =
                self.calm_micros > 0 && self.now_micros * 100 > self.calm_micros * STRAINED_PERCENT;
            let factor = if is_strained { self.factor * 2 } else { self.factor * 3 / 4 };
            self.factor = factor.clamp(FACTOR.0, FACTOR.1);
        } else {
            self.factor = (self.factor * 3 / 4).max(FACTOR.0);
        }
        self.background = match self.background {
            Background::Works => Background::Was,
            Background::Was | Background::Idle => Background::Idle,
        };
        (self.began, self.counts, self.total) = (now, [0; BUCKETS], 0);
    }

    /// The upper end of the bucket that the 99th percentile is in.
    fn p99(&self) -> u64 {
        let wanted = u64::from(self.total) * 99 / 100;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen > wanted {
                return end_of(bucket);
            }
        }
        end_of(BUCKETS)
    }
}

/// Four buckets to each power of two.
fn bucket_of(micros: u64) -> usize {
    let micros = micros.max(4);
    let power = micros.ilog2();
    let quarter = (micros >> (power - 2)) & 3;
    (power as usize * 4 + usize::try_from(quarter).unwrap_or(3)).min(BUCKETS - 1)
}

/// The first value above `bucket`.
fn end_of(bucket: usize) -> u64 {
    let (power, quarter) = (bucket / 4, bucket as u64 % 4);
    (1u64 << power) * (5 + quarter) / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(10);

    fn at(second: u64) -> MonoTime {
        MonoTime::ZERO.after(Duration::from_secs(second))
    }

    /// A second with 100 requests of `millis` each.
    fn second(foreground: &Foreground, number: u64, millis: u64) {
        for _ in 0..100 {
            foreground.note(at(number), Duration::from_millis(millis));
        }
    }

    /// The same, with a step of background work in it; how long it rests.
    fn working_second(foreground: &Foreground, number: u64, millis: u64) -> Duration {
        second(foreground, number, millis);
        foreground.rest(at(number), STEP)
    }

    #[test]
    fn buckets_are_within_a_quarter() {
        for micros in [4, 5, 7, 8, 100, 999, 1_000, 12_345, 60_000_000] {
            let end = end_of(bucket_of(micros));
            assert!(end > micros && end <= micros * 5 / 4 + 1, "{micros} {end}");
        }
        assert!(bucket_of(u64::MAX) < BUCKETS);
    }

    #[test]
    fn a_step_rests_as_long_as_it_took_where_requests_do_not_suffer() {
        let foreground = Foreground::default();
        assert_eq!(foreground.rest(at(5), STEP), STEP, "no requests");
        for number in 10..20 {
            second(&foreground, number, 2);
        }
        for number in 20..30 {
            assert_eq!(working_second(&foreground, number, 2), STEP);
        }
    }

    #[test]
    fn requests_that_suffer_get_room_and_give_it_back() {
        let foreground = Foreground::default();
        for number in 10..20 {
            second(&foreground, number, 2);
        }
        let rests: Vec<Duration> =
            (20..30).map(|number| working_second(&foreground, number, 20)).collect();
        assert!(rests.is_sorted() && rests.last() == Some(&(STEP * 32)), "{rests:?}");
        // What is calm has not become what it is under the work.
        let rests: Vec<Duration> =
            (30..50).map(|number| working_second(&foreground, number, 2)).collect();
        assert_eq!(rests.last(), Some(&STEP), "{rests:?}");
    }

    #[test]
    fn a_rest_is_bounded() {
        let foreground = Foreground::default();
        assert_eq!(foreground.rest(at(1), Duration::from_secs(60)), REST_MAX);
    }

    #[test]
    fn few_requests_tell_nothing() {
        let foreground = Foreground::default();
        for number in 10..20 {
            second(&foreground, number, 2);
        }
        for number in 20..30 {
            foreground.note(at(number), Duration::from_secs(1));
            assert_eq!(foreground.rest(at(number), STEP), STEP);
        }
    }
}
