//! Keys stay in range, belong to their process, and are as popular as their law says.

use std::collections::BTreeSet;

use proptest::prelude::{any, prop_assert, proptest};

use super::{Distribution, Keys, share, text};
use crate::chance::Chance;

fn frequencies(distribution: Distribution, count: u64, draws: u32) -> Vec<f64> {
    let keys = Keys::new(distribution, count, (0, 1));
    let mut chance = Chance::new(3, 0, 0);
    let mut seen = vec![0.0; usize::try_from(count).unwrap()];
    for _ in 0..draws {
        seen[usize::try_from(keys.draw(0, &mut chance)).unwrap()] += 1.0 / f64::from(draws);
    }
    seen
}

#[test]
fn shares_of_a_load_cover_every_key_once() {
    for (count, agents) in [(0, 3), (1, 3), (10, 3), (9, 3), (100, 7)] {
        let keys: Vec<u64> = (0..agents)
            .flat_map(|agent| (0..share(count, (agent, agents))).map(move |i| agent + i * agents))
            .collect();
        let distinct: BTreeSet<u64> = keys.iter().copied().collect();
        assert_eq!(distinct, (0..count).collect(), "{count} keys by {agents}");
        assert_eq!(distinct.len(), keys.len());
    }
}

#[test]
fn insertions_of_processes_do_not_meet() {
    let distinct: BTreeSet<u64> = (0..3)
        .flat_map(|agent| {
            let keys = Keys::new(Distribution::Latest, 10, (agent, 3));
            (0..5).map(move |index| keys.inserted(index))
        })
        .collect();
    assert_eq!(distinct, (10..25).collect());
}

#[test]
fn zipf_has_the_exact_shares_on_scattered_keys() {
    let mut seen = frequencies(Distribution::Zipf { exponent: 0.99 }, 1_000, 200_000);
    let hottest = seen.iter().position(|share| *share > 0.1).unwrap();
    assert_ne!(hottest, 0, "ranks are scattered");
    seen.sort_by(|a, b| b.total_cmp(a));
    let total: f64 = (1..=1_000).map(|rank| f64::from(rank).powf(-0.99)).sum();
    for rank in [1, 2, 3, 10] {
        let exact = f64::from(rank).powf(-0.99) / total;
        let got = seen[usize::try_from(rank).unwrap() - 1];
        assert!((got / exact - 1.0).abs() < 0.1, "rank {rank}: {got} for {exact}");
    }
}

#[test]
fn a_hotspot_gets_its_share() {
    let mut seen = frequencies(Distribution::Hotspot { keys: 0.2, operations: 0.8 }, 100, 100_000);
    seen.sort_by(|a, b| b.total_cmp(a));
    let hot: f64 = seen[..20].iter().sum();
    assert!((hot - 0.8).abs() < 0.01, "{hot}");
    let all = frequencies(Distribution::Hotspot { keys: 1.0, operations: 0.5 }, 10, 1_000);
    assert!(all.iter().all(|share| *share > 0.0));
}

#[test]
fn latest_likes_the_newest_insertion() {
    let keys = Keys::new(Distribution::Latest, 100, (1, 2));
    let mut chance = Chance::new(3, 0, 0);
    let newest = keys.inserted(49);
    let drawn: Vec<u64> = (0..10_000).map(|_| keys.draw(50, &mut chance)).collect();
    let times = |key: u64| drawn.iter().filter(|other| **other == key).count();
    assert!(times(newest) > times(0) * 10, "{} {}", times(newest), times(0));
    assert!(drawn.iter().all(|key| *key < 100 || (*key - 100) % 2 == 1), "only own insertions");
}

proptest! {
    #[test]
    fn keys_are_loaded_or_inserted(
        count in 1u64..100_000,
        inserted in 0u64..100,
        seed in any::<u64>(),
    ) {
        let laws = ["uniform", "zipf:0.5", "zipf:1", "zipf:1.3", "latest", "hotspot:0.01:0.9"];
        for law in laws {
            let keys = Keys::new(law.parse().unwrap(), count, (0, 1));
            let key = keys.draw(inserted, &mut Chance::new(seed, 0, 0));
            prop_assert!(key < count + inserted);
        }
    }
}

#[test]
fn texts_are_read_back_and_mistakes_are_named() {
    for text in ["uniform", "zipf:0.99", "latest", "hotspot:0.2:0.8"] {
        assert_eq!(text.parse::<Distribution>().unwrap().to_string(), text);
    }
    for text in ["", "normal", "zipf:0", "zipf:x", "zipf:11", "hotspot:0.2", "hotspot:2:0.5"] {
        let error = text.parse::<Distribution>().unwrap_err();
        assert!(error.contains("0.99"), "{text}: {error}");
    }
    assert_eq!(text(42), "user000000000042");
}
