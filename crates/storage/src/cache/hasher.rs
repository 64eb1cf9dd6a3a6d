//! The hash of a place: without a seed, so that every process evicts alike.
//!
//! Asked by the cache once per question, which is why it is two multiplications and no more.
//!
//! 1. Each word is mixed into the state by a multiplication with an odd constant and a rotation.
//! 2. The end folds the upper half of a product onto the lower: shards are chosen by middle bits, slots by both ends.
//!
//! Invariant: no seed. File ids and offsets are not chosen by clients, so nobody can aim at one slot.
//!
//! Source: the constants are the fraction of the golden ratio (Knuth, TAOCP 3, 6.4) and one of SplitMix64's (Steele et
//! al., 2014).

use std::hash::Hasher;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

const MIX: u64 = 0xbf58_476d_1ce4_e5b9;

/// Hashes the two words of a place.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PlaceHasher(u64);

impl Hasher for PlaceHasher {
    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(32) ^ word).wrapping_mul(GOLDEN);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(MIX);
        mixed ^ (mixed >> 32)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::hash::Hasher;

    use super::PlaceHasher;

    fn hash(file_id: u64, offset: u64) -> u64 {
        let mut hasher = PlaceHasher::default();
        hasher.write_u64(file_id);
        hasher.write_u64(offset);
        hasher.finish()
    }

    #[test]
    fn places_spread_over_every_group_of_bits() {
        for shift in [0, 16, 32, 44, 57] {
            let mut counts = [0u32; 16];
            for file_id in 0..64 {
                (0..64).for_each(|block| {
                    counts[usize::try_from(hash(file_id, block * 4_096) >> shift & 15).unwrap()] +=
                        1;
                });
            }
            // 256 expected in each, standard deviation 15.5.
            assert!(counts.iter().all(|count| (180..340).contains(count)), "{shift}: {counts:?}");
        }
    }

    #[test]
    fn hashes_do_not_change_and_do_not_collide() {
        assert_eq!(hash(1, 0), hash(1, 0));
        let all = (0..100).flat_map(|id| (0..1_000).map(move |block| hash(id, block * 4_103)));
        assert_eq!(all.collect::<BTreeSet<_>>().len(), 100_000);
    }
}
