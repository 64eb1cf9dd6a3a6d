//! The cache keeps its bound, and two of them keep the same things.

use bytes::Bytes;

use super::{Cache, CacheClass, CacheUsage, OVERHEAD_BYTES};

/// A deterministic walk that favours low block numbers, as reads do.
fn walk(cache: &Cache, steps: u64) -> Vec<bool> {
    let mut state = 7u64;
    let mut hits = Vec::new();
    for _ in 0..steps {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let block = (state >> 40) % ((state >> 33) % 600 + 1);
        let found = cache.get(CacheClass::Block, 1, block * 4_096);
        hits.push(found.is_some());
        match found {
            Some(bytes) => assert_eq!(bytes[0], u8::try_from(block % 251).unwrap()),
            None => {
                let bytes = vec![
                    u8::try_from(block % 251).unwrap();
                    1_000 + 10 * usize::try_from(block).unwrap()
                ];
                cache.insert(1, block * 4_096, Bytes::from(bytes));
            }
        }
    }
    hits
}

#[test]
fn two_caches_evict_alike_within_their_bound() {
    let (ours, peer) = (Cache::new(400_000), Cache::new(400_000));
    assert_eq!(walk(&ours, 50_000), walk(&peer, 50_000));
    assert_eq!(ours.statistics(), peer.statistics());
    let statistics = ours.statistics();
    assert!(statistics.bytes <= 400_000 && statistics.bytes > 200_000, "{statistics:?}");
    assert!(statistics.blocks.hits > 10_000 && statistics.blocks.misses > 1_000, "{statistics:?}");
    assert_eq!(statistics.blocks.hits + statistics.blocks.misses, 50_000);
}

/// The hits of one walk, written down: another process, machine or version that evicts differently is noticed.
#[test]
fn eviction_is_the_same_everywhere() {
    let cache = Cache::new(400_000);
    walk(&cache, 50_000);
    assert_eq!(cache.statistics().blocks, CacheUsage { hits: 29_735, misses: 20_265 });
}

#[test]
fn classes_are_counted_apart_and_weights_are_honest() {
    let cache = Cache::new(1 << 20);
    cache.insert(1, 0, Bytes::from(vec![1; 100]));
    cache.insert(2, 0, Bytes::from(vec![2; 200]));
    assert_eq!(cache.get(CacheClass::Block, 1, 0).unwrap(), vec![1; 100]);
    assert_eq!(cache.get(CacheClass::Value, 2, 0).unwrap(), vec![2; 200]);
    assert!(cache.get(CacheClass::Value, 2, 1).is_none());
    let statistics = cache.statistics();
    assert_eq!(statistics.blocks, CacheUsage { hits: 1, misses: 0 });
    assert_eq!(statistics.values, CacheUsage { hits: 1, misses: 1 });
    assert_eq!((statistics.entries, statistics.bytes), (2, 300 + 2 * OVERHEAD_BYTES));
}

#[test]
fn a_cache_of_nothing_and_a_value_above_a_shard_keep_nothing() {
    let nothing = Cache::new(0);
    nothing.insert(1, 0, Bytes::from(vec![1; 100]));
    assert!(nothing.get(CacheClass::Block, 1, 0).is_none());
    assert_eq!(nothing.statistics().blocks, CacheUsage { hits: 0, misses: 1 });
    let small = Cache::new(1_000);
    small.insert(1, 0, Bytes::from(vec![1; 5_000]));
    assert_eq!(small.statistics().entries, 0);
}

/// Values that are read once each neither enter a full cache nor push out what is there; a second miss lets one in.
#[test]
fn a_full_cache_takes_values_at_their_second_miss_and_blocks_always() {
    let cache = Cache::new(200_000);
    let value = Bytes::from(vec![1; 1_000]);
    (0..300).for_each(|place| cache.offer(1, place, &value));
    let full = cache.statistics();
    assert!(full.bytes > 150_000, "{full:?}");
    let held = |cache: &Cache| -> Vec<u64> {
        (0..2_000).filter(|place| cache.get(CacheClass::Value, 1, *place).is_some()).collect()
    };
    let before = held(&cache);
    (1_000..2_000).for_each(|place| cache.offer(1, place, &value));
    assert_eq!(held(&cache), before);
    (0..2).for_each(|_| cache.offer(1, 1_500, &value));
    assert!(cache.get(CacheClass::Value, 1, 1_500).is_some());
    cache.insert(2, 0, value);
    assert!(cache.get(CacheClass::Block, 2, 0).is_some());
}
