//! Reads and writes the engine's little-endian integers, varints and length-prefixed bytes.
//!
//! Shared by all formats. Encoding appends to a `Vec<u8>`; decoding goes through [`Reader`].
//!
//! 1. Fixed integers are little endian.
//! 2. A varint is LEB128: 7 bits per byte, lowest first, at most 10 bytes.
//!
//! Invariant: decoding never panics and never allocates more than its input; malformed bytes are `None`, which the
//! caller turns into `Error::Corrupt` with file and offset.

/// Takes values from the front of a byte slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// Bytes not yet taken.
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// One byte.
    pub(crate) fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Four bytes, little endian.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u32::from_le_bytes(*taken))
    }

    /// Eight bytes, little endian.
    pub(crate) fn u64(&mut self) -> Option<u64> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u64::from_le_bytes(*taken))
    }

    /// A varint of at most 64 bits.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None; // would not fit 64 bits
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A varint that must fit a length in memory.
    pub(crate) fn length(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok()
    }

    /// Bytes behind their varint length.
    pub(crate) fn prefixed(&mut self) -> Option<&'a [u8]> {
        let count = self.length()?;
        self.bytes(count)
    }
}

/// Appends `value` as a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_seven_bits(value) | 0x80);
        value >>= 7;
    }
    out.push(low_seven_bits(value));
}

/// Bytes that `value` takes as a varint.
pub(crate) fn varint_bytes(value: u64) -> u64 {
    u64::from((u64::BITS - (value | 1).leading_zeros()).div_ceil(7))
}

/// Appends `bytes` behind their varint length.
pub(crate) fn put_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The first eight bytes of a key as a big-endian number; absent ones count as zero.
///
/// Orders keys that differ there as their bytes do; hashed keys nearly always differ there.
pub(crate) fn key_prefix(key: &[u8]) -> u64 {
    match key.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => key
            .iter()
            .chain(std::iter::repeat(&0))
            .take(size_of::<u64>())
            .fold(0, |prefix, byte| prefix << u8::BITS | u64::from(*byte)),
    }
}

/// A length known to be below 4 GiB, because a limit of `Options` says so.
pub(crate) fn length_u32(length: usize) -> u32 {
    u32::try_from(length).expect("limits keep stored lengths below 4 GiB")
}

fn low_seven_bits(value: u64) -> u8 {
    (value & 0x7f) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Reader, put_prefixed, put_varint};

    proptest! {
        #[test]
        fn varints_round_trip(value: u64, tail: u8) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert!(out.len() <= 10);
            prop_assert_eq!(super::varint_bytes(value), out.len() as u64);
            out.push(tail);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint(), Some(value));
            prop_assert_eq!(reader.u8(), Some(tail));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.prefixed().is_some() {}
            let mut reader = Reader::new(&bytes);
            while reader.varint().is_some() {}
        }
    }

    #[test]
    fn overlong_and_short_input_is_none() {
        assert_eq!(Reader::new(&[0xff; 10]).varint(), None);
        assert_eq!(Reader::new(&[0x80]).varint(), None);
        assert_eq!(Reader::new(&[5, 1, 2]).prefixed(), None);
        assert_eq!(Reader::new(&[1, 2, 3]).u32(), None);
        let mut out = Vec::new();
        put_prefixed(&mut out, b"abc");
        assert_eq!(Reader::new(&out).prefixed(), Some(&b"abc"[..]));
    }
}
