//! The index of a table, in two levels: where each block is and which key it ends with.
//!
//! Filled by the table writer; bisected by every read. A *partition* names data blocks and comes through the cache; the
//! *top index* names partitions in the same form and stays in memory.
//!
//! 1. An index block is searched as it lies on disk, so that the cache holds plain bytes and a hit decodes nothing.
//! 2. The first eight bytes of each key stand together as big-endian numbers: bisecting compares integers, and keys
//!    only where these are equal.
//! 3. Blocks adjoin: each is from the end of the one before (the first from the start in the header) to its own end.
//!
//! Invariants
//! - Last keys never descend; equal ones mean that the entries of a key cross blocks.
//! - Bytes from disk pass [`IndexBlock::decode`], which checks everything; bytes from the cache have passed it.

use bytes::Bytes;

use crate::codec::{Reader, length_u32};

use super::bisect::{PREFIX_BYTES, count_below, prefix};

/// Length of the header, in bytes: count 4, first ordinal 4, start 8.
const HEADER_BYTES: usize = 16;

/// Length of the offset where a block ends, in bytes.
const END_BYTES: usize = 8;

/// Length of the offset where a key ends, in bytes; keys of one index block are far below 4 GiB.
const KEY_END_BYTES: usize = 4;

/// Length of a handle without its key, in bytes.
const HANDLE_BYTES: usize = PREFIX_BYTES + END_BYTES + KEY_END_BYTES;

/// A block that an index names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle<'a> {
    /// Its number in the file.
    pub(crate) ordinal: u64,
    /// Offset of its frame.
    pub(crate) offset: u64,
    /// Bytes of its frame.
    pub(crate) bytes: u32,
    /// The last key in it, or in the last block it names.
    pub(crate) key_last: &'a [u8],
}

/// Collects the handles of one index block.
#[derive(Debug)]
pub(super) struct IndexBuilder {
    first_ordinal: u32,
    start: u64,
    end: u64,
    prefixes: Vec<u8>,
    ends: Vec<u8>,
    key_ends: Vec<u8>,
    keys: Vec<u8>,
    /// Where the last key begins.
    key_last_at: usize,
}

impl IndexBuilder {
    /// An index of blocks from number `first_ordinal` and offset `start` on.
    pub(super) fn new(first_ordinal: u32, start: u64) -> IndexBuilder {
        IndexBuilder {
            first_ordinal,
            start,
            end: start,
            prefixes: Vec::new(),
            ends: Vec::new(),
            key_ends: Vec::new(),
            keys: Vec::new(),
            key_last_at: 0,
        }
    }

    /// Names the next block.
    pub(super) fn add(&mut self, key_last: &[u8], frame_bytes: u32) {
        assert!(frame_bytes > 0, "a block has a frame");
        self.end += u64::from(frame_bytes);
        self.prefixes.extend_from_slice(&prefix(key_last));
        self.ends.extend_from_slice(&self.end.to_le_bytes());
        debug_assert!(key_last >= self.key_last(), "keys ascend");
        self.key_last_at = self.keys.len();
        self.keys.extend_from_slice(key_last);
        self.key_ends.extend_from_slice(&length_u32(self.keys.len()).to_le_bytes());
    }

    /// Whether no block was named.
    pub(super) fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    /// Bytes that the index block has.
    pub(super) fn bytes(&self) -> usize {
        HEADER_BYTES + self.prefixes.len() + self.ends.len() + self.key_ends.len() + self.keys.len()
    }

    /// The number of the block that would be named next.
    pub(super) fn next_ordinal(&self) -> u32 {
        self.first_ordinal + self.count()
    }

    /// The last key of the last block named.
    pub(super) fn key_last(&self) -> &[u8] {
        self.keys.get(self.key_last_at..).unwrap_or_default()
    }

    /// The payload.
    pub(super) fn finish(self) -> Vec<u8> {
        assert!(!self.is_empty(), "an index names a block");
        let mut out = Vec::with_capacity(self.bytes());
        out.extend_from_slice(&self.count().to_le_bytes());
        out.extend_from_slice(&self.first_ordinal.to_le_bytes());
        out.extend_from_slice(&self.start.to_le_bytes());
        for part in [&self.prefixes, &self.ends, &self.key_ends, &self.keys] {
            out.extend_from_slice(part);
        }
        debug_assert!(out.len() == self.bytes());
        out
    }

    fn count(&self) -> u32 {
        length_u32(self.prefixes.len() / PREFIX_BYTES)
    }
}

/// The handles of adjacent blocks, in key order.
#[derive(Clone, Debug)]
pub(crate) struct IndexBlock {
    bytes: Bytes,
    count: usize,
    first_ordinal: u32,
    start: u64,
}

impl IndexBlock {
    /// The index block in `bytes` from disk; `None` if they are not one. Checks every handle.
    pub(crate) fn decode(bytes: Bytes) -> Option<IndexBlock> {
        let index = IndexBlock::of_checked(bytes)?;
        let mut before = Handle { ordinal: 0, offset: 0, bytes: 0, key_last: &[] };
        for at in 0..index.count {
            let handle = index.handle(at)?;
            let prefix_matches = index.prefixes().get(at) == Some(&prefix(handle.key_last));
            if !prefix_matches || handle.bytes == 0 || handle.key_last < before.key_last {
                return None;
            }
            before = handle;
        }
        let keys = index.bytes.get(index.keys_at()..)?;
        (index.key_end(index.count)? == keys.len()).then_some(index)
    }

    /// The index block in `bytes` that passed [`decode`](IndexBlock::decode) before. Takes constant time.
    pub(crate) fn of_checked(bytes: Bytes) -> Option<IndexBlock> {
        let mut reader = Reader::new(&bytes);
        let count = usize::try_from(reader.u32()?).ok()?;
        let first_ordinal = reader.u32()?;
        let start = reader.u64()?;
        let fits = count.checked_mul(HANDLE_BYTES)? <= reader.remaining();
        (fits && count > 0).then_some(IndexBlock { bytes, count, first_ordinal, start })
    }

    /// How many blocks it names.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Position of the first block that may hold keys from `key` on; [`len`](IndexBlock::len) if none does.
    pub(crate) fn first_for(&self, key: &[u8]) -> usize {
        // All keys were read once, by `decode`: none is missing.
        let below = count_below(self.prefixes(), key, |at| self.key_last(at)).unwrap_or_default();
        debug_assert!(below == 0 || self.key_last(below - 1).is_none_or(|last| last < key));
        below
    }

    /// The block at a position, if there is one.
    pub(crate) fn handle(&self, at: usize) -> Option<Handle<'_>> {
        let offset = self.end(at)?;
        let bytes = u32::try_from(self.end(at + 1)?.checked_sub(offset)?).ok()?;
        let ordinal = u64::from(self.first_ordinal) + at as u64;
        Some(Handle { ordinal, offset, bytes, key_last: self.key_last(at)? })
    }

    /// The number of the first block, and the offset where it begins.
    pub(crate) fn begins(&self) -> (u64, u64) {
        (u64::from(self.first_ordinal), self.start)
    }

    /// The number after that of the last block, and the offset where that one ends.
    pub(crate) fn ends(&self) -> (u64, u64) {
        let end = self.end(self.count).unwrap_or(self.start);
        (u64::from(self.first_ordinal) + self.count as u64, end)
    }

    fn key_last(&self, at: usize) -> Option<&[u8]> {
        let keys = self.keys_at();
        let (from, to) = (self.key_end(at)?, self.key_end(at + 1)?);
        self.bytes.get(keys + from..keys.checked_add(to)?)
    }

    fn prefixes(&self) -> &[[u8; PREFIX_BYTES]] {
        let bytes = self.bytes.get(HEADER_BYTES..HEADER_BYTES + self.count * PREFIX_BYTES);
        bytes.unwrap_or_default().as_chunks().0
    }

    /// Where the blocks before position `at` end.
    fn end(&self, at: usize) -> Option<u64> {
        let Some(before) = at.checked_sub(1).filter(|_| at <= self.count) else {
            return (at == 0).then_some(self.start);
        };
        let from = HEADER_BYTES + self.count * PREFIX_BYTES + before * END_BYTES;
        Some(u64::from_le_bytes(*self.bytes.get(from..)?.first_chunk()?))
    }

    /// Where the keys before position `at` end, from the first key on.
    fn key_end(&self, at: usize) -> Option<usize> {
        let Some(before) = at.checked_sub(1).filter(|_| at <= self.count) else {
            return (at == 0).then_some(0);
        };
        let from = HEADER_BYTES + self.count * (PREFIX_BYTES + END_BYTES) + before * KEY_END_BYTES;
        usize::try_from(u32::from_le_bytes(*self.bytes.get(from..)?.first_chunk()?)).ok()
    }

    fn keys_at(&self) -> usize {
        HEADER_BYTES + self.count * HANDLE_BYTES
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{Handle, IndexBlock, IndexBuilder};

    #[test]
    fn golden_bytes() {
        let mut builder = IndexBuilder::new(2, 100);
        builder.add(b"apple", 20);
        builder.add(b"apricot 12", 300);
        let encoded = builder.finish();
        let hex: String = encoded.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN);
        let index = IndexBlock::decode(Bytes::from(encoded)).unwrap();
        let second = Handle { ordinal: 3, offset: 120, bytes: 300, key_last: b"apricot 12" };
        assert_eq!((index.len(), index.handle(1), index.handle(2)), (2, Some(second), None));
        assert_eq!((index.begins(), index.ends()), ((2, 100), (4, 420)));
    }

    const GOLDEN: &str = "\
    020000000200000064000000000000006170706c6500000061707269636f74207800000000000000\
    a401000000000000050000000f0000006170706c6561707269636f74203132";

    proptest! {
        #[test]
        fn bisecting_finds_what_walking_finds(
            mut keys in prop::collection::vec(prop::collection::vec(0u8..3, 0..12), 1..40),
            probes in prop::collection::vec(prop::collection::vec(0u8..3, 0..12), 1..20),
        ) {
            keys.sort();
            let mut builder = IndexBuilder::new(0, 0);
            keys.iter().for_each(|key| builder.add(key, 9));
            let index = IndexBlock::decode(Bytes::from(builder.finish())).unwrap();
            for probe in probes.iter().chain(&keys) {
                prop_assert_eq!(index.first_for(probe), keys.partition_point(|key| key < probe));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(mut bytes: Vec<u8>, count in 0u32..8) {
            bytes.splice(0..0, count.to_le_bytes());
            for index in [IndexBlock::decode(Bytes::from(bytes.clone())), IndexBlock::of_checked(Bytes::from(bytes))] {
                let Some(index) = index else { continue };
                for at in 0..=index.len() {
                    let _ = index.handle(at);
                }
                let _ = index.ends();
            }
        }

        #[test]
        fn damage_that_matters_is_refused(at in 0usize..74, bit in 0u8..8) {
            let mut builder = IndexBuilder::new(2, 100);
            builder.add(b"apple", 20);
            builder.add(b"apricot 12", 300);
            let mut bytes = builder.finish();
            bytes[at % 71] ^= 1 << bit;
            // Whatever still decodes can be walked and bisected.
            if let Some(index) = IndexBlock::decode(Bytes::from(bytes)) {
                prop_assert!((0..index.len()).all(|at| index.handle(at).is_some()));
                prop_assert!(index.first_for(b"apq") <= index.len());
            }
        }
    }
}
