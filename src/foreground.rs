//! How requests fare, and how much background work should rest because of them.
//!
//! 1. Every put that this node mints, and every record that another node's put brings, is timed from its queue to its sync
//!    ([`Foreground::note`]).
//! 2. Once a second the 99th percentile of the last second is compared with what it is while nothing goes on in the
//!    background: the calm one, a moving average. Where work began with the node it is the least so far.
//! 3. Background work asks after each of its steps how long to rest ([`Foreground::rest`]), in times of what the step took:
//!    8 when it begins beside requests, then less each second down to 3, and up to 32 where requests are slower than 1.3
//!    times calm.
//!
//! What goes on for several peers at once shares one allowance ([`Foreground::rest_in_turn`]).
//!
//! Beginning slowly matters: what a node missed in a minute is brought in five seconds at full speed, which is over before
//! seconds of measuring have slowed it down (p99 of requests 2.0 times calm then).
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

/// The least beside requests: a quarter of a processor is theirs to miss, not half.
const FACTOR_BESIDE: u64 = 12;

/// What work begins with beside requests.
const FACTOR_FIRST: u64 = 32;

/// Longest rest after a step.
const REST_MAX: Duration = Duration::from_secs(2);

/// The same where rests are one after the other.
const REST_IN_TURN_MAX: Duration = Duration::from_secs(4);

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
    calm: Calm,
    /// Rest per time of work, in quarters.
    factor: u64,
    /// Whether the last window had enough requests to tell.
    requests: Requests,
    /// When the rests end that are one after the other.
    rested: MonoTime,
}

/// The 99th percentile of calm windows, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calm {
    Unknown,
    /// No window was calm so far: the least of all.
    Guessed(u64),
    /// A moving average.
    Known(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Requests {
    Few,
    Many,
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
            calm: Calm::Unknown,
            factor: FACTOR.0,
            requests: Requests::Few,
            rested: MonoTime::ZERO,
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
        self.state.lock().rest(now, took)
    }

    /// The same where such steps are taken for several peers at once: one rests after the other, so that all of them
    /// together leave requests what one of them would.
    pub fn rest_in_turn(&self, now: MonoTime, took: Duration) -> Duration {
        let mut state = self.state.lock();
        let rest = state.rest(now, took);
        state.rested = state.rested.max(now).after(rest);
        state.rested.since(now).min(REST_IN_TURN_MAX)
    }
}

impl State {
    fn rest(&mut self, now: MonoTime, took: Duration) -> Duration {
        self.turn(now);
        if self.background == Background::Idle && self.requests == Requests::Many {
            self.factor = self.factor.max(FACTOR_FIRST);
        }
        self.background = Background::Works;
        let factor = u32::try_from(self.factor).unwrap_or(u32::MAX);
        (took * factor / 4).min(REST_MAX)
    }

    /// Begins a new window, if it is time.
    fn turn(&mut self, now: MonoTime) {
        if now.since(self.began) < WINDOW {
            return;
        }
        if self.total >= SAMPLES_MIN {
            let now_micros = self.p99();
            self.calm = self.calm.after(now_micros, self.background);
            let is_strained = now_micros * 100 > self.calm.micros() * STRAINED_PERCENT;
            let factor = if is_strained { self.factor * 2 } else { self.factor * 3 / 4 };
            self.factor = factor.clamp(FACTOR_BESIDE, FACTOR.1);
            self.requests = Requests::Many;
        } else {
            self.factor = (self.factor * 3 / 4).max(FACTOR.0);
            self.requests = Requests::Few;
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

impl Calm {
    /// What is calm after a window with this 99th percentile.
    fn after(self, now_micros: u64, background: Background) -> Self {
        match (self, background) {
            (Self::Known(calm), Background::Idle) => {
                Self::Known((calm * (8 - CALM_WEIGHT) + now_micros * CALM_WEIGHT) / 8)
            }
            (_, Background::Idle) => Self::Known(now_micros),
            (Self::Known(calm), _) => Self::Known(calm),
            (Self::Guessed(least), _) => Self::Guessed(least.min(now_micros)),
            (Self::Unknown, _) => Self::Guessed(now_micros),
        }
    }

    fn micros(self) -> u64 {
        match self {
            Self::Unknown => u64::MAX / STRAINED_PERCENT,
            Self::Guessed(micros) | Self::Known(micros) => micros,
        }
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
    fn a_step_rests_as_long_as_it_took_without_requests() {
        let foreground = Foreground::default();
        for number in 5..10 {
            assert_eq!(foreground.rest(at(number), STEP), STEP);
        }
    }

    #[test]
    fn work_begins_slowly_beside_requests_and_hurries_where_they_do_not_suffer() {
        let foreground = Foreground::default();
        for number in 10..20 {
            second(&foreground, number, 2);
        }
        let rests: Vec<Duration> =
            (20..30).map(|number| working_second(&foreground, number, 2)).collect();
        assert_eq!(rests.first(), Some(&(STEP * 8)), "{rests:?}");
        assert!(rests.is_sorted_by(|sooner, later| sooner >= later), "{rests:?}");
        assert_eq!(rests.last(), Some(&(STEP * 3)), "{rests:?}");
        let without: Vec<Duration> =
            (31..40).map(|number| foreground.rest(at(number), STEP)).collect();
        assert_eq!(without.last(), Some(&STEP), "{without:?}");
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
        assert_eq!(rests.last(), Some(&(STEP * 3)), "{rests:?}");
    }

    #[test]
    fn calm_is_learnt_beside_work_that_began_with_the_node() {
        let foreground = Foreground::default();
        for number in 10..15 {
            working_second(&foreground, number, 20);
        }
        let rested = working_second(&foreground, 15, 2);
        let rests: Vec<Duration> =
            (16..30).map(|number| working_second(&foreground, number, 20)).collect();
        assert!(rested < STEP * 8 && rests.last() == Some(&(STEP * 32)), "{rested:?} {rests:?}");
    }

    #[test]
    fn rests_for_several_peers_are_one_after_the_other() {
        let foreground = Foreground::default();
        let rests: Vec<Duration> = (0..3).map(|_| foreground.rest_in_turn(at(5), STEP)).collect();
        assert_eq!(rests, [STEP, STEP * 2, STEP * 3]);
        assert_eq!(foreground.rest_in_turn(at(6), STEP), STEP, "they are over");
        let long = Duration::from_secs(2);
        let longest = (0..5).map(|_| foreground.rest_in_turn(at(7), long)).max();
        assert_eq!(longest, Some(REST_IN_TURN_MAX));
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
        let rests: Vec<Duration> = (20..40)
            .map(|number| {
                foreground.note(at(number), Duration::from_secs(1));
                foreground.rest(at(number), STEP)
            })
            .collect();
        assert!(rests.is_sorted_by(|sooner, later| sooner >= later), "{rests:?}");
        assert_eq!(rests.last(), Some(&STEP), "{rests:?}");
    }
}
