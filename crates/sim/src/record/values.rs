//! Values that name their write and show damage.
//!
//! ```text
//! offset size
//!      0    8 the write's number, little-endian
//!      8    … byte i is (number + i) × 31, so that every byte of a value depends on both
//! ```
//!
//! Values of less than eight bytes are zeroes; their length is their number, and each length is written once per key.

use bytes::Bytes;

use crate::history::ValueId;

/// Bytes that hold the number; shorter values have no room for it.
pub(super) const NUMBER_BYTES: usize = 8;

/// The bytes of a value.
pub fn value_bytes(value: ValueId, length: usize) -> Bytes {
    if length < NUMBER_BYTES {
        return Bytes::from(vec![0; length]);
    }
    let number = value.0.to_le_bytes();
    let filler = (NUMBER_BYTES as u64..length as u64).map(|at| filler(value.0, at));
    number.into_iter().chain(filler).collect()
}

/// The write that made these bytes; `None` if no write can have made them.
pub fn name_of(bytes: &[u8]) -> Option<ValueId> {
    let Some((number, rest)) = bytes.split_first_chunk::<NUMBER_BYTES>() else {
        return bytes.iter().all(|byte| *byte == 0).then_some(ValueId(bytes.len() as u64));
    };
    let number = u64::from_le_bytes(*number);
    let is_whole = (NUMBER_BYTES as u64..).zip(rest).all(|(at, byte)| *byte == filler(number, at));
    is_whole.then_some(ValueId(number))
}

fn filler(number: u64, at: u64) -> u8 {
    number.wrapping_add(at).wrapping_mul(31).to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::{name_of, value_bytes};
    use crate::history::ValueId;

    #[test]
    fn values_name_themselves_and_show_damage() {
        for length in [8, 9, 300, 10_000] {
            let bytes = value_bytes(ValueId(77), length);
            assert_eq!((bytes.len(), name_of(&bytes)), (length, Some(ValueId(77))));
        }
        assert_eq!(name_of(&value_bytes(ValueId(3), 3)), Some(ValueId(3)));
        let mut damaged = value_bytes(ValueId(77), 100).to_vec();
        damaged[50] ^= 1;
        assert_eq!(name_of(&damaged), None);
        assert_eq!(name_of(&[0, 1]), None);
    }
}
