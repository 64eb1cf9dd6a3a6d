//! Latencies that are told to the statistics of one peer, and what they make of them.

use super::*;

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn every_latency_is_below_the_bound_of_its_bucket_and_at_most_a_quarter() {
    for exponent in 13..35 {
        for offset in [0, 1, 17, 63] {
            let latency = Duration::from_nanos((1 << exponent) + (offset << exponent >> 6));
            let bound = upper_bound(bucket(latency));
            assert!(latency < bound, "{latency:?} {bound:?}");
            assert!(bound <= latency * 5 / 4, "{latency:?} {bound:?}");
        }
    }
    assert_eq!(bucket(Duration::ZERO), 0);
    assert_eq!(bucket(Duration::MAX), BUCKETS_PER_DOUBLING * DOUBLINGS - 1);
}

#[test]
fn the_percentile_needs_samples_and_leaves_one_of_a_hundred_out() {
    let reads = ReadLatency::new();
    for sample in 0..SAMPLES_MIN {
        assert_eq!(reads.p99(), None, "after {sample}");
        reads.took(millis(1), MonoTime::ZERO);
    }
    let usual = reads.p99().unwrap();
    assert!(millis(1) < usual && usual <= millis(1) * 5 / 4);
    (0..200 - SAMPLES_MIN - 2).for_each(|_| reads.took(millis(1), MonoTime::ZERO));
    (0..2).for_each(|_| reads.took(millis(80), MonoTime::ZERO));
    assert_eq!(reads.p99(), Some(usual), "two of two hundred");
    reads.took(millis(80), MonoTime::ZERO);
    assert!(reads.p99().unwrap() > millis(80), "three of two hundred and one");
}

#[test]
fn what_is_old_counts_less() {
    let reads = ReadLatency::new();
    (0..500).for_each(|_| reads.took(millis(80), MonoTime::ZERO));
    let mut needed = 0;
    while reads.p99().unwrap() > millis(2) {
        reads.took(millis(1), MonoTime::ZERO);
        needed += 1;
    }
    assert!(needed < 8 * SAMPLES_MAX, "{needed} reads until the past is forgotten");
    assert!(reads.state.lock().total <= SAMPLES_MAX);
}

#[test]
fn a_read_costs_its_latency_times_what_is_under_way() {
    let (reads, rtt) = (ReadLatency::new(), millis(1));
    assert_eq!(reads.cost(rtt, MonoTime::ZERO), rtt, "nothing is known");
    (0..100).for_each(|_| reads.took(millis(9), MonoTime::ZERO));
    assert_eq!(reads.cost(rtt, MonoTime::ZERO), millis(9));
    reads.begin();
    reads.begin();
    assert_eq!(reads.cost(rtt, MonoTime::ZERO), millis(27));
    reads.end();
    reads.end();
    let later = MonoTime::ZERO.after(FORGET_AFTER);
    assert_eq!(reads.cost(rtt, later), millis(5), "half of the excess");
    let much_later = MonoTime::ZERO.after(FORGET_AFTER * 40);
    assert_eq!(reads.cost(rtt, much_later).as_micros(), rtt.as_micros());
}
