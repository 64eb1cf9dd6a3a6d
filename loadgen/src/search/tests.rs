//! The search finds a hidden knee within its resolution, and ends.

use proptest::prelude::{prop_assert, proptest};

use super::{Judgement, Range, knee};

/// Runs a search where rates up to `limit` meet.
fn search(range: &Range, limit: u64) -> Vec<(u64, Judgement)> {
    let mut measured = Vec::new();
    while let Some(rate) = range.next(&measured, 0.05) {
        let judgement = if rate <= limit { Judgement::Met } else { Judgement::Missed };
        measured.push((rate, judgement));
        assert!(measured.len() < 100, "{measured:?}");
    }
    measured
}

#[test]
fn steps_then_bisection() {
    let range: Range = "1k..8k:x2".parse().unwrap();
    let rates: Vec<u64> = search(&range, 3_000).iter().map(|(rate, _)| *rate).collect();
    assert_eq!(rates, [1_000, 2_000, 4_000, 2_828, 3_363, 3_084, 2_953]);
    assert_eq!(knee(&search(&range, 3_000)), Some(2_953));
}

#[test]
fn a_range_without_a_knee_ends() {
    let range: Range = "1k..2k:+500".parse().unwrap();
    assert_eq!(range.rates(), [1_000, 1_500, 2_000]);
    assert_eq!(knee(&search(&range, 10_000)), Some(2_000));
    let all_missed = search(&range, 10);
    assert_eq!((all_missed.len(), knee(&all_missed)), (1, None));
}

proptest! {
    #[test]
    fn the_knee_is_found_within_the_resolution(
        first in 1u64..5_000,
        factor in 1.2f64..3.0,
        limit in 1u64..2_000_000,
    ) {
        let range: Range = format!("{first}..1M:x{factor}").parse().unwrap();
        let measured = search(&range, limit);
        match knee(&measured) {
            None => prop_assert!(first > limit),
            Some(found) => {
                prop_assert!(found <= limit);
                let close = found as f64 * 1.05 + 2.0;
                prop_assert!(found == 1_000_000 || close >= limit as f64, "{found} for {limit}");
            }
        }
    }
}

#[test]
fn mistakes_are_named() {
    for (text, word) in [
        ("1k", "1k..200k:x1.25"),
        ("1k..2k:y2", "1k..200k:x1.25"),
        ("1k..2k:x1", "1k..200k:x1.25"),
        ("2k..1k", "turn it around"),
        ("0..1k", "whole number"),
        ("1..1M:+1", "larger"),
    ] {
        let error = text.parse::<Range>().unwrap_err();
        assert!(error.contains(word), "{text}: {error}");
    }
}
