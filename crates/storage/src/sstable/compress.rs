//! Compression of data blocks: tried by the writer, undone when a block is read from disk.
//!
//! The frame says how its payload is stored; the cache holds payloads as they were before.
//!
//! 1. A compressed payload is its uncompressed length, 4 bytes, and what LZ4 or Zstandard made of it.
//! 2. It is stored only if it saves an eighth; less is not worth undoing at every read.
//! 3. After [`REFUSALS_MAX`] blocks in a row that saved too little only every [`RETRY_INTERVAL`]th is tried, so that
//!    tables of hashed keys and pointers cost nearly nothing.
//!
//! Invariants
//! - Decompression allocates at most [`RAW_BYTES_MAX`], and for LZ4 at most 255 times its input: a byte of LZ4 stands
//!   for no more than 255.
//! - What is not exactly the promised length is malformed.

use crate::options::Compression;
use std::cell::RefCell;

use bytes::Bytes;

use crate::codec::{Reader, length_u32};

/// Longest payload that is compressed, in bytes: a block of the longest default entry (a key of 2 KiB and a value of
/// 16 MiB) four times over. Longer ones are stored as they are.
pub(super) const RAW_BYTES_MAX: usize = 64 * 1_024 * 1_024;

/// Length of the uncompressed length, in bytes: a 32-bit number.
const LENGTH_BYTES: usize = 4;

/// What one byte of LZ4 can stand for, in bytes: the longest run that a length byte adds.
const LZ4_RATIO_MAX: usize = 255;

/// Level of Zstandard: the fastest of the regular ones; 3 (the default) saves about 3 % more for twice the time.
const ZSTD_LEVEL: i32 = 1;

/// Blocks in a row that may save too little before most are not tried any more: 32 KiB of evidence.
const REFUSALS_MAX: u32 = 8;

/// Of blocks that will hardly shrink, one in so many is tried: an eighth of the cost, and 32 KiB until it is noticed
/// that they shrink again.
const RETRY_INTERVAL: u32 = 8;

impl Compression {
    /// The byte that stands for it in a frame.
    pub(super) fn tag(self) -> u8 {
        match self {
            Compression::None => 0,
            Compression::Lz4 => 1,
            Compression::Zstd => 2,
        }
    }

    /// The compression behind a tag.
    pub(super) fn from_tag(tag: u8) -> Option<Compression> {
        match tag {
            0 => Some(Compression::None),
            1 => Some(Compression::Lz4),
            2 => Some(Compression::Zstd),
            _ => None,
        }
    }
}

/// Compresses the blocks of one table, one after the other.
pub(super) struct Compressor {
    compression: Compression,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    out: Vec<u8>,
    /// Blocks in a row that saved too little or were not tried.
    refusals: u32,
}

impl Compressor {
    /// A compressor for a table of its own.
    pub(super) fn new(compression: Compression) -> Compressor {
        let zstd = (compression == Compression::Zstd).then(|| {
            zstd::bulk::Compressor::new(ZSTD_LEVEL).expect("a context is made of memory alone")
        });
        Compressor { compression, zstd, out: Vec::new(), refusals: 0 }
    }

    /// How `payload` is to be stored, and as what.
    pub(super) fn compress<'a>(&'a mut self, payload: &'a [u8]) -> (Compression, &'a [u8]) {
        let hopeless =
            self.refusals >= REFUSALS_MAX && !self.refusals.is_multiple_of(RETRY_INTERVAL);
        let worth = payload.len() - payload.len() / 8;
        let made = if hopeless || payload.len() > RAW_BYTES_MAX { None } else { self.run(payload) };
        match made.filter(|made| *made <= worth) {
            Some(made) => {
                self.refusals = 0;
                debug_assert!(made > LENGTH_BYTES && made <= self.out.len());
                (self.compression, self.out.get(..made).unwrap_or_default())
            }
            None => {
                self.refusals = self.refusals.wrapping_add(1);
                (Compression::None, payload)
            }
        }
    }

    /// Fills `out` with length and compressed bytes; returns how many there are.
    fn run(&mut self, payload: &[u8]) -> Option<usize> {
        let bound = match self.compression {
            Compression::None => return None,
            Compression::Lz4 => lz4_flex::block::get_maximum_output_size(payload.len()),
            Compression::Zstd => zstd::zstd_safe::compress_bound(payload.len()),
        };
        self.out.resize(LENGTH_BYTES + bound, 0);
        let (length, body) = self.out.split_at_mut_checked(LENGTH_BYTES)?;
        length.copy_from_slice(&length_u32(payload.len()).to_le_bytes());
        let made = match &mut self.zstd {
            Some(zstd) => zstd.compress_to_buffer(payload, body).ok()?,
            None => lz4_flex::block::compress_into(payload, body).ok()?,
        };
        Some(LENGTH_BYTES + made)
    }
}

/// What `stored` was before it was compressed; `None` if it is malformed.
pub(crate) fn decompress(compression: Compression, stored: Bytes) -> Option<Bytes> {
    if compression == Compression::None {
        return Some(stored);
    }
    let mut reader = Reader::new(&stored);
    let raw_bytes = usize::try_from(reader.u32()?).ok()?;
    let body = reader.bytes(reader.remaining())?;
    let bound = match compression {
        Compression::Lz4 => body.len().saturating_mul(LZ4_RATIO_MAX).min(RAW_BYTES_MAX),
        Compression::Zstd | Compression::None => RAW_BYTES_MAX,
    };
    if raw_bytes == 0 || raw_bytes > bound {
        return None;
    }
    let mut raw = vec![0; raw_bytes];
    let made = match compression {
        Compression::Lz4 => lz4_flex::block::decompress_into(body, &mut raw).ok()?,
        Compression::Zstd | Compression::None => zstd_decompress(body, &mut raw)?,
    };
    (made == raw_bytes).then(|| Bytes::from(raw))
}

fn zstd_decompress(body: &[u8], raw: &mut [u8]) -> Option<usize> {
    thread_local! {
        /// A context is about 100 KiB, too much to allocate for every block.
        static CONTEXT: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    }
    CONTEXT.with_borrow_mut(|context| {
        if context.is_none() {
            *context = zstd::bulk::Decompressor::new().ok();
        }
        context.as_mut()?.decompress_to_buffer(body, raw).ok()
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{Compression, Compressor, LENGTH_BYTES, decompress};

    /// "atoll " forty times, compressed; written down, because what was written must be readable for ever. (What the
    /// libraries make of it may change.)
    const LZ4: &str = "f00000006f61746f6c6c200600d16061746f6c6c20";
    const ZSTD: &str = "f000000028b52ffd20f06d00003061746f6c6c200100e750a508";

    fn unhex(hex: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digit).collect()
    }

    #[test]
    fn golden_bytes_are_readable() {
        let text = Bytes::from("atoll ".repeat(40));
        for (compression, hex) in [(Compression::Lz4, LZ4), (Compression::Zstd, ZSTD)] {
            let mut compressor = Compressor::new(compression);
            let (_, stored) = compressor.compress(&text);
            let now: String = stored.iter().map(|byte| format!("{byte:02x}")).collect();
            let raw = decompress(compression, Bytes::from(unhex(hex)));
            assert_eq!(raw.as_ref(), Some(&text), "{compression:?}, today: {now}");
        }
    }

    #[test]
    fn what_does_not_shrink_is_soon_left_alone_and_tried_again() {
        let mut state = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u8::try_from(state >> 56).unwrap()
        })
        .take(4_096)
        .collect();
        let text = vec![7; 4_096];
        for compression in [Compression::Lz4, Compression::Zstd] {
            let mut compressor = Compressor::new(compression);
            for _ in 0..20 {
                assert_eq!(compressor.compress(&noise), (Compression::None, noise.as_slice()));
            }
            let raw = (0..20).take_while(|_| compressor.compress(&text).0 == Compression::None);
            assert_eq!(raw.count(), 4, "the 25th is tried");
            assert_eq!(compressor.compress(&text).0, compression, "and then every one");
        }
    }

    #[test]
    fn promised_lengths_are_bounded_before_anything_is_allocated() {
        for compression in [Compression::Lz4, Compression::Zstd] {
            for length in [0, 1, 256, u32::MAX] {
                let mut stored = length.to_le_bytes().to_vec();
                stored.push(0);
                assert_eq!(decompress(compression, Bytes::from(stored)), None);
            }
            assert_eq!(decompress(compression, Bytes::from_static(&[1; LENGTH_BYTES - 1])), None);
        }
    }

    proptest! {
        #[test]
        fn payloads_round_trip(words in prop::collection::vec(0u8..4, 1..5_000)) {
            for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
                let mut compressor = Compressor::new(compression);
                let (how, stored) = compressor.compress(&words);
                prop_assert!(stored.len() <= words.len());
                let raw = decompress(how, Bytes::copy_from_slice(stored));
                prop_assert_eq!(raw.as_deref(), Some(words.as_slice()));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), length in 0u32..2_000) {
            let mut stored = length.to_le_bytes().to_vec();
            stored.extend_from_slice(&bytes);
            for compression in [Compression::Lz4, Compression::Zstd] {
                let raw = decompress(compression, Bytes::from(stored.clone()));
                prop_assert!(raw.is_none_or(|raw| raw.len() == length as usize));
            }
        }
    }
}
