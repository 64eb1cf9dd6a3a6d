//! Constant arrivals are even over all processes; Poisson arrivals have the mean and the variance of their law.

use proptest::prelude::{any, prop_assert, proptest};

use super::{Arrivals, Spacing};
use crate::chance::Chance;

fn times(spacing: Spacing, rate: f64, who: (u64, u64), count: usize) -> Vec<u64> {
    let mut arrivals = Arrivals::new(spacing, rate, who, Chance::new(1, who.0, 0));
    (0..count).map(|_| arrivals.next()).collect()
}

#[test]
fn processes_together_are_even() {
    let mut all: Vec<u64> =
        (0..4).flat_map(|a| times(Spacing::Constant, 1_000.0, (a, 4), 250)).collect();
    all.sort_unstable();
    let expected: Vec<u64> = (0..1_000).map(|i| i * 1_000_000).collect();
    assert_eq!(all, expected);
}

#[test]
fn a_long_run_does_not_drift() {
    let mut arrivals = Arrivals::new(Spacing::Constant, 30_000.0, (0, 1), Chance::new(1, 0, 0));
    let last = (0..=3_000_000).map(|_| arrivals.next()).last();
    assert_eq!(last, Some(100_000_000_000));
}

#[test]
fn poisson_gaps_have_mean_and_variance_of_an_exponential() {
    let times = times(Spacing::Poisson, 1_000.0, (0, 1), 200_001);
    let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    assert!((mean / 1e6 - 1.0).abs() < 0.01, "mean {mean}");
    assert!((variance.sqrt() / 1e6 - 1.0).abs() < 0.01, "deviation {}", variance.sqrt());
}

proptest! {
    #[test]
    fn due_times_never_decrease(rate in 1.0f64..1e6, agents in 1u64..9, seed in any::<u64>()) {
        for spacing in [Spacing::Constant, Spacing::Poisson] {
            let chance = Chance::new(seed, 0, 0);
            let mut arrivals = Arrivals::new(spacing, rate, (agents - 1, agents), chance);
            let times: Vec<u64> = (0..100).map(|_| arrivals.next()).collect();
            prop_assert!(times.is_sorted());
        }
    }
}
