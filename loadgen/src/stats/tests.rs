//! Quantiles of sums are exact; intervals hold what they should, and are silent where nothing can be said.

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::{INTERVALS_MIN, Measure, Second, compare};
use crate::chance::Chance;
use crate::units::floor;

/// A run of `seconds` with 60 requests each, around `center` nanoseconds.
fn run(seconds: u64, center: f64, seed: u64) -> Vec<Second> {
    let mut chance = Chance::new(seed, 0, 0);
    let second = |_| {
        let mut values: Vec<u64> = (0..60).map(|_| floor(center * (0.5 + chance.unit()))).collect();
        values.sort_unstable();
        Second { counts: values.into_iter().map(|value| (value, 1)).collect(), seconds: 1.0 }
    };
    (0..seconds).map(second).collect()
}

const P50: Measure = Measure::Quantile(0.5);

#[test]
fn a_run_compared_with_itself_does_not_differ() {
    let run = run(20, 1e6, 1);
    for measure in [P50, Measure::Quantile(0.99), Measure::Throughput] {
        let found = compare(&run, &run, measure).unwrap();
        assert_eq!(found.change, 0.0);
        let (low, high) = found.interval.unwrap();
        assert!(low <= 0.0 && high >= 0.0, "{low} {high}");
        assert!(!found.is_worse(measure, 0.0));
        assert_eq!(compare(&run, &run, measure), Some(found), "the same every time");
    }
}

#[test]
fn a_slower_run_is_worse_and_a_faster_one_is_not() {
    let (slow, fast) = (run(30, 1.3e6, 1), run(30, 1e6, 2));
    let worse = compare(&fast, &slow, P50).unwrap();
    let (low, high) = worse.interval.unwrap();
    assert!(low > 0.2 && high < 0.4, "{worse:?}");
    assert!(worse.is_worse(P50, 0.05) && !worse.is_worse(P50, 0.5));
    assert!(!compare(&slow, &fast, P50).unwrap().is_worse(P50, 0.0));
}

#[test]
fn less_throughput_is_worse() {
    let fast = run(20, 1e6, 1);
    let slow: Vec<Second> =
        fast.iter().map(|s| Second { counts: s.counts.clone(), seconds: 2.0 }).collect();
    let found = compare(&fast, &slow, Measure::Throughput).unwrap();
    assert_eq!((found.before, found.after), (60.0, 30.0));
    assert!(found.is_worse(Measure::Throughput, 0.05));
}

#[test]
fn too_little_is_said_to_be_too_little() {
    let short = run(INTERVALS_MIN as u64 - 1, 1e6, 1);
    let found = compare(&short, &short, P50).unwrap();
    assert_eq!(found.interval, None);
    assert!(!found.is_worse(P50, 0.0));
    assert_eq!(compare(&[], &short, P50), None);
}

/// How often the interval of two runs of one law contains zero: about 95 of 100.
#[test]
fn intervals_have_their_coverage() {
    let holds = |seed: u64| {
        let (a, b) = (run(40, 1e6, seed * 2), run(40, 1e6, seed * 2 + 1));
        let (low, high) = compare(&a, &b, P50).unwrap().interval.unwrap();
        low <= 0.0 && high >= 0.0
    };
    let held = (0..16).filter(|seed| holds(*seed)).count();
    assert!(held >= 11, "{held} of 16");
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(16))]
    #[test]
    fn quantiles_are_those_of_all_values(
        seconds in vec(vec(1u64..1_000, 1..30), 1..20),
        quantile in 0.0f64..=1.0,
    ) {
        let run: Vec<Second> = seconds.iter().map(|values| {
            let mut values = values.clone();
            values.sort_unstable();
            let counts = values.iter().map(|value| (*value, 1)).collect();
            Second { counts, seconds: 1.0 }
        }).collect();
        let mut all = seconds.concat();
        all.sort_unstable();
        let rank = floor((all.len() as f64 * quantile).ceil());
        let rank = usize::try_from(rank).unwrap().clamp(1, all.len());
        let found = compare(&run, &run, Measure::Quantile(quantile)).unwrap();
        prop_assert_eq!(found.before, all[rank - 1] as f64);
    }

    #[test]
    fn intervals_are_in_order(a in any::<u64>(), b in any::<u64>()) {
        let found = compare(&run(9, 1e6, a), &run(9, 2e6, b), P50).unwrap();
        let (low, high) = found.interval.unwrap();
        prop_assert!(low <= high);
    }
}
