//! The filter: says "certainly absent" for most absent keys, without a read.
//!
//! Built by the table writer from the hashes of all keys; asked by point reads before any block is touched.
//!
//! 1. A key is hashed once per read with XXH3 (64 bits), whatever the number of tables.
//! 2. The upper 32 bits choose one 32-byte block; the lower 32 bits, times eight odd constants, choose one bit in each
//!    of its eight words.
//! 3. A key may be present only if all eight bits are set: one cache line per question.
//!
//! Invariant: never a false "absent". A filter that cannot be decoded is corruption, not "maybe".
//!
//! Source: Putze et al., 2007; the constants are those of Apache Parquet's split-block filter.

use bytes::Bytes;

/// First byte of an encoded filter; another hash or layout gets another number.
const VERSION: u8 = 1;

/// Length of one filter block, in bytes: eight 32-bit words, half a cache line.
const BLOCK_BYTES: usize = 32;

const SALTS: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// The hash of a key, as all filters use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    /// Hashes `key`.
    pub(crate) fn of(key: &[u8]) -> KeyHash {
        KeyHash(xxhash_rust::xxh3::xxh3_64(key))
    }

    fn block(self, blocks: u64) -> usize {
        let upper = self.0 >> 32;
        // upper < 2^32 scales to [0, blocks) without a division.
        usize::try_from((upper * blocks) >> 32).unwrap_or(usize::MAX)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
    fn masks(self) -> [u32; 8] {
        let lower = self.0 as u32;
        SALTS.map(|salt| 1 << (lower.wrapping_mul(salt) >> 27))
    }
}

/// Encodes a filter of about `bits_per_key` bits for each of `hashes`; no blocks (always "maybe") for 0 bits.
pub(crate) fn encode(hashes: &[KeyHash], bits_per_key: usize) -> Vec<u8> {
    let blocks = (hashes.len() * bits_per_key).div_ceil(8 * BLOCK_BYTES);
    let mut words = vec![[0u32; 8]; blocks];
    for hash in hashes {
        if let Some(block) = words.get_mut(hash.block(blocks as u64)) {
            block.iter_mut().zip(hash.masks()).for_each(|(word, mask)| *word |= mask);
        }
    }
    debug_assert!(bits_per_key == 0 || hashes.is_empty() || blocks > 0);
    let mut out = Vec::with_capacity(1 + blocks * BLOCK_BYTES);
    out.push(VERSION);
    words.iter().flatten().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    out
}

/// A decoded filter.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    blocks: Bytes,
}

impl Filter {
    /// The filter in `bytes`; `None` if they are not one.
    pub(crate) fn decode(mut bytes: Bytes) -> Option<Filter> {
        if bytes.first() != Some(&VERSION) {
            return None;
        }
        let blocks = bytes.split_off(1);
        blocks.len().is_multiple_of(BLOCK_BYTES).then_some(Filter { blocks })
    }

    /// Whether the key may be in the table.
    pub(crate) fn may_contain(&self, hash: KeyHash) -> bool {
        let blocks = (self.blocks.len() / BLOCK_BYTES) as u64;
        if blocks == 0 {
            return true;
        }
        let start = hash.block(blocks) * BLOCK_BYTES;
        let Some(block) = self.blocks.get(start..start + BLOCK_BYTES) else {
            return true;
        };
        let (words, _) = block.as_chunks::<4>();
        words.iter().zip(hash.masks()).all(|(word, mask)| u32::from_le_bytes(*word) & mask != 0)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Filter, KeyHash, encode};

    #[test]
    fn no_false_absence_and_few_false_presences() {
        let hash = |index: u32| KeyHash::of(&index.to_le_bytes());
        let hashes: Vec<_> = (0..10_000).map(hash).collect();
        let filter = Filter::decode(Bytes::from(encode(&hashes, 10))).unwrap();
        assert!(hashes.iter().all(|hash| filter.may_contain(*hash)));
        let wrong = (10_000..60_000).filter(|index| filter.may_contain(hash(*index))).count();
        assert!(wrong < 50_000 / 50, "{wrong} of 50 000 above 2 %");
    }

    #[test]
    fn zero_bits_is_always_maybe_and_malformed_bytes_are_refused() {
        let hash = KeyHash::of(b"key");
        let filter = Filter::decode(Bytes::from(encode(&[hash], 0))).unwrap();
        assert!(filter.may_contain(KeyHash::of(b"other")));
        for bytes in [&[][..], &[2], &[1, 0, 0]] {
            assert!(Filter::decode(Bytes::copy_from_slice(bytes)).is_none());
        }
    }

    #[test]
    fn golden_bytes() {
        let encoded = encode(&[KeyHash::of(b"key"), KeyHash::of(b"")], 10);
        let hex: String = encoded.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN);
    }

    const GOLDEN: &str = "010040040008002000200000200100010001008000000400010401000080002000";
}
