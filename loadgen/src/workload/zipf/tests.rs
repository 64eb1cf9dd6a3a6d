//! Samples against the exact probabilities of the law.

use proptest::prelude::{any, prop_assert, proptest};

use super::Zipf;
use crate::chance::Chance;

const DRAWS: u32 = 60_000;

/// Pearson's statistic of `DRAWS` samples against the exact law, and its degrees of freedom; rare ranks are pooled.
fn chi_square(ranks: u64, exponent: f64, seed: u64) -> (f64, f64) {
    let law = Zipf::new(ranks, exponent);
    let mut chance = Chance::new(seed, 0, 0);
    let mut seen = vec![0u32; usize::try_from(ranks).unwrap() + 1];
    for _ in 0..DRAWS {
        seen[usize::try_from(law.draw(&mut chance)).unwrap()] += 1;
    }
    assert_eq!(seen[0], 0, "ranks begin at 1");
    let weight = |rank: usize| (rank as f64).powf(-exponent);
    let total: f64 = (1..seen.len()).map(weight).sum();
    let (mut statistic, mut cells) = (0.0, 0.0);
    let (mut got, mut expected) = (0.0, 0.0);
    for (rank, count) in seen.iter().enumerate().skip(1) {
        got += f64::from(*count);
        expected += weight(rank) / total * f64::from(DRAWS);
        if expected >= 10.0 {
            statistic += (got - expected).powi(2) / expected;
            cells += 1.0;
            (got, expected) = (0.0, 0.0);
        }
    }
    if expected > 0.0 {
        statistic += (got - expected).powi(2) / expected;
        cells += 1.0;
    }
    (statistic, cells - 1.0)
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]
    #[test]
    fn frequencies_follow_the_law(
        ranks in 1u64..3_000,
        exponent in 0.2f64..2.5,
        seed in any::<u64>(),
    ) {
        let (statistic, freedom) = chi_square(ranks, exponent, seed);
        // Six standard deviations above the mean: a correct sampler is refused once in some 10^7 cases.
        let limit = freedom + 6.0 * (2.0 * freedom).sqrt() + 12.0;
        prop_assert!(statistic < limit, "chi square {statistic} with {freedom} degrees of freedom");
    }

    #[test]
    fn ranks_stay_within_bounds(ranks in 1u64..u64::from(u32::MAX) * 16, seed in any::<u64>()) {
        for exponent in [0.5, 0.99, 1.0, 1.000_000_001, 2.0] {
            let law = Zipf::new(ranks, exponent);
            let mut chance = Chance::new(seed, 0, 0);
            for _ in 0..20 {
                let rank = law.draw(&mut chance);
                prop_assert!((1..=ranks).contains(&rank), "{rank} of {ranks} at {exponent}");
            }
        }
    }
}

#[test]
fn exponent_one_is_no_special_case() {
    let (statistic, freedom) = chi_square(1_000, 1.0, 7);
    assert!(statistic < freedom + 6.0 * (2.0 * freedom).sqrt(), "{statistic} / {freedom}");
}
