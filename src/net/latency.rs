//! How long one peer takes to answer reads: a smoothed latency, a 99th percentile, and how many are under way.
//!
//! Latencies are counted in buckets, four per doubling. When [`SAMPLES_MAX`] have been counted every bucket is halved, so
//! that what is older counts less: with 100 reads a second the last few seconds decide.
//!
//! Invariants
//! - Memory is constant, and the lock is held for one sample or one look.
//! - A read that nobody waits for any more counts with the time that it had taken by then: it was at least so slow.
//! - A peer that is not read is not slow for ever: what it took longer than its round trip is halved every
//!   [`FORGET_AFTER`].

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use atoll_protocol::time::MonoTime;
use parking_lot::Mutex;

/// Buckets per doubling of the latency: what is read from them is at most a quarter too long.
const BUCKETS_PER_DOUBLING: usize = 4;

/// Doublings from 8 µs on that are told apart: up to 34 s.
const DOUBLINGS: usize = 22;

/// Latencies below so many bits of nanoseconds (8 µs) are not told apart.
const SHORTEST_BITS: u32 = 13;

/// Samples before a percentile is told: with fewer it would be the greatest of a handful.
const SAMPLES_MIN: u32 = 32;

/// Samples after which all counts are halved.
const SAMPLES_MAX: u32 = 1_024;

/// Time in which an old excess over the round trip is halved.
const FORGET_AFTER: Duration = Duration::from_secs(5);

/// Reads of one peer.
#[derive(Debug)]
pub(super) struct ReadLatency {
    under_way: AtomicU32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    counts: [u32; BUCKETS_PER_DOUBLING * DOUBLINGS],
    total: u32,
    smoothed: Option<Duration>,
    last: MonoTime,
}

impl ReadLatency {
    /// Nothing is known yet.
    pub(super) fn new() -> Self {
        let counts = [0; BUCKETS_PER_DOUBLING * DOUBLINGS];
        let state = State { counts, total: 0, smoothed: None, last: MonoTime::ZERO };
        Self { under_way: AtomicU32::new(0), state: Mutex::new(state) }
    }

    /// A read is sent.
    pub(super) fn begin(&self) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    /// It is not waited for any more.
    pub(super) fn end(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// Reads under way.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> u32 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// It took so long, or at least so long.
    pub(super) fn took(&self, latency: Duration, now: MonoTime) {
        let mut state = self.state.lock();
        let old = state.smoothed.unwrap_or(latency);
        state.smoothed = Some(old - old / 8 + latency / 8);
        state.last = now;
        if let Some(count) = state.counts.get_mut(bucket(latency)) {
            *count += 1;
        }
        state.total += 1;
        if state.total >= SAMPLES_MAX {
            state.counts.iter_mut().for_each(|count| *count /= 2);
            state.total = state.counts.iter().sum();
        }
    }

    /// Of a hundred reads one takes longer; `None` while too few are known.
    pub(super) fn p99(&self) -> Option<Duration> {
        let state = self.state.lock();
        if state.total < SAMPLES_MIN {
            return None;
        }
        // The sample with this rank from above is the percentile.
        let mut above = state.total / 100;
        for (bucket, count) in state.counts.iter().enumerate().rev() {
            if *count > above {
                return Some(upper_bound(bucket));
            }
            above -= count;
        }
        None
    }

    /// What another read would cost: the smoothed latency, times the reads that would be under way then.
    pub(super) fn cost(&self, rtt: Duration, now: MonoTime) -> Duration {
        let state = self.state.lock();
        let age = now.since(state.last).as_nanos() / FORGET_AFTER.as_nanos();
        let excess = state.smoothed.unwrap_or_default().saturating_sub(rtt);
        drop(state);
        let excess = excess / 2u32.saturating_pow(u32::try_from(age).unwrap_or(u32::MAX));
        let under_way = self.under_way.load(Ordering::Relaxed);
        (rtt + excess).saturating_mul(under_way.saturating_add(1))
    }
}

/// The bucket that `latency` is counted in.
fn bucket(latency: Duration) -> usize {
    let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).max(1 << SHORTEST_BITS);
    let bits = nanos.ilog2();
    // The two bits below the highest one.
    let quarter = usize::try_from(nanos >> (bits - 2) & 3).unwrap_or(0);
    let index = BUCKETS_PER_DOUBLING * (bits - SHORTEST_BITS) as usize + quarter;
    index.min(BUCKETS_PER_DOUBLING * DOUBLINGS - 1)
}

/// Everything that is counted in `bucket` is shorter.
fn upper_bound(bucket: usize) -> Duration {
    let (doubling, quarter) = (bucket / BUCKETS_PER_DOUBLING, bucket % BUCKETS_PER_DOUBLING);
    let quarters = u64::try_from(quarter).unwrap_or(0) + 5;
    Duration::from_nanos((1 << (SHORTEST_BITS - 2) << doubling) * quarters)
}
