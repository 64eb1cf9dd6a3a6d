//! Records: keys that are hashes of an index, values that compress by half and prove whose they are.
//!
//! ```text
//! value   0        8          16                            length - 8    length
//!         +--------+----------+-----------------------------+------------+
//!         | index  | revision | 16 random, 32 dictionary,   | proof      |
//!         | u64 LE | u64 LE   | then 32 random, 32 dict. .. | u64 LE     |
//!         +--------+----------+-----------------------------+------------+
//! ```
//!
//! 1. A key is the XXH3-128 of its index, so writing indexes in order writes keys in random order.
//! 2. Of every 64 bytes of a value 32 are random and 32 come from a dictionary of 64 words.
//! 3. A reader checks length, index and proof (a hash of index and revision) on every hit: a few nanoseconds, and
//!    neither a torn, a swapped nor a misplaced value passes.
//!
//! Invariant: keys of [`absent_key`] are never written.

use xxhash_rust::xxh3::xxh3_128;

use crate::random::{Random, mix};

/// Bytes of every key.
pub(crate) const KEY_BYTES: usize = 16;

/// The shortest value: two header fields and the proof.
pub(crate) const VALUE_BYTES_MIN: usize = 24;

const CHUNK: usize = 64;
const WORDS: usize = 64;

/// Far above every index that is filled.
const ABSENT_OFFSET: u64 = 1 << 48;

/// The key of record `index`.
pub(crate) fn key(index: u64) -> [u8; KEY_BYTES] {
    xxh3_128(&index.to_le_bytes()).to_be_bytes()
}

/// A key that no record has.
pub(crate) fn absent_key(index: u64) -> [u8; KEY_BYTES] {
    key(index + ABSENT_OFFSET)
}

/// Writes values of one length, over and over into one buffer.
#[derive(Debug)]
pub(crate) struct ValueWriter {
    dictionary: [[u8; 8]; WORDS],
    buffer: Vec<u8>,
    random: Random,
}

impl ValueWriter {
    /// For values of `value_bytes`, at least [`VALUE_BYTES_MIN`].
    pub(crate) fn new(value_bytes: usize, seed: u64) -> ValueWriter {
        assert!(value_bytes >= VALUE_BYTES_MIN, "{value_bytes} bytes cannot hold index and proof");
        let mut words = Random::new(0);
        let dictionary = std::array::from_fn(|_| words.bits().to_le_bytes());
        ValueWriter { dictionary, buffer: vec![0; value_bytes], random: Random::new(seed) }
    }

    /// The value of record `index` at `revision`.
    pub(crate) fn write(&mut self, index: u64, revision: u64) -> &[u8] {
        for chunk in self.buffer.chunks_mut(CHUNK) {
            let (noise, text) = chunk.split_at_mut(chunk.len().min(CHUNK / 2));
            fill_words(noise, || self.random.bits().to_le_bytes());
            let mut choice = self.random.bits();
            fill_words(text, || {
                choice >>= 6;
                self.dictionary[usize::try_from(choice % WORDS as u64).unwrap_or(0)]
            });
        }
        let end = self.buffer.len() - 8;
        self.buffer[0..8].copy_from_slice(&index.to_le_bytes());
        self.buffer[8..16].copy_from_slice(&revision.to_le_bytes());
        self.buffer[end..].copy_from_slice(&proof(index, revision).to_le_bytes());
        &self.buffer
    }
}

/// The index of a sound value of `value_bytes`; `None` if it is damaged.
pub(crate) fn index_of(value: &[u8], value_bytes: usize) -> Option<u64> {
    if value.len() != value_bytes {
        return None;
    }
    let (index, rest) = value.split_first_chunk()?;
    let (revision, rest) = rest.split_first_chunk()?;
    let (_, found) = rest.split_last_chunk()?;
    let index = u64::from_le_bytes(*index);
    let expected = proof(index, u64::from_le_bytes(*revision));
    (expected == u64::from_le_bytes(*found)).then_some(index)
}

fn proof(index: u64, revision: u64) -> u64 {
    mix(mix(index) ^ revision)
}

fn fill_words(target: &mut [u8], mut word: impl FnMut() -> [u8; 8]) {
    for piece in target.chunks_mut(8) {
        let bytes = word();
        piece.copy_from_slice(&bytes[..piece.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::{ValueWriter, absent_key, index_of, key};

    #[test]
    fn a_value_names_its_record() {
        for value_bytes in [24, 100, 1_024, 10_240] {
            let mut writer = ValueWriter::new(value_bytes, 1);
            assert_eq!(index_of(writer.write(77, 3), value_bytes), Some(77));
        }
    }

    #[test]
    fn damage_is_detected() {
        let mut writer = ValueWriter::new(1_024, 1);
        let sound = writer.write(77, 3).to_vec();
        assert_eq!(index_of(&sound[1..], 1_024), None, "shortened");
        for position in [0, 9, 1_023] {
            let mut damaged = sound.clone();
            damaged[position] ^= 1;
            assert_eq!(index_of(&damaged, 1_024), None, "flipped at {position}");
        }
        let mut torn = sound.clone();
        torn[512..].copy_from_slice(&writer.write(77, 4)[512..]);
        assert_eq!(index_of(&torn, 1_024), None, "two revisions");
    }

    #[test]
    fn half_of_a_value_repeats() {
        let mut writer = ValueWriter::new(10_240, 1);
        let value = writer.write(1, 1).to_vec();
        let words: std::collections::BTreeSet<_> = value.chunks(8).collect();
        assert!((640..=640 + 64 + 3).contains(&words.len()), "{} of 1280 words", words.len());
    }

    #[test]
    fn absent_keys_differ() {
        assert_ne!(key(5), absent_key(5));
    }
}
