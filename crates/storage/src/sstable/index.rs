//! The index of a table: where each data block is and which key it ends with.
//!
//! Collected by the table writer; kept in memory by [`Table`](super::Table); bisected by every read.
//!
//! Invariant: last keys never descend, and blocks tile the file from offset 0 up to the filter.

use bytes::Bytes;

use crate::codec::{Reader, put_prefixed, put_varint};

/// One data block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlockHandle {
    /// The last key in the block.
    pub(crate) key_last: Bytes,
    /// Offset of its frame.
    pub(crate) offset: u64,
    /// Bytes of its frame.
    pub(crate) frame_bytes: u32,
}

/// Encodes handles of adjacent blocks.
pub(crate) fn encode(handles: &[BlockHandle]) -> Vec<u8> {
    assert!(!handles.is_empty(), "a table has a block");
    debug_assert!(handles.is_sorted_by(|left, right| left.key_last <= right.key_last));
    debug_assert!(handles.is_sorted_by_key(|handle| handle.offset));
    let mut out = Vec::new();
    for handle in handles {
        put_prefixed(&mut out, &handle.key_last);
        put_varint(&mut out, u64::from(handle.frame_bytes));
    }
    out
}

/// All data blocks of a table, in key order.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    handles: Vec<BlockHandle>,
}

impl Index {
    /// The index of `count` blocks that tile `0..data_bytes`; `None` if `bytes` is not one.
    pub(crate) fn decode(bytes: &Bytes, count: u32, data_bytes: u64) -> Option<Index> {
        let mut handles: Vec<BlockHandle> = Vec::new();
        let mut reader = Reader::new(bytes);
        let mut offset = 0u64;
        while reader.remaining() > 0 {
            let key_last = bytes.slice_ref(reader.prefixed()?);
            let frame_bytes = u32::try_from(reader.varint()?).ok()?;
            if handles.last().is_some_and(|before| before.key_last > key_last) {
                return None;
            }
            handles.push(BlockHandle { key_last, offset, frame_bytes });
            offset = offset.checked_add(u64::from(frame_bytes))?;
        }
        let whole = handles.len() as u64 == u64::from(count) && offset == data_bytes;
        (whole && !handles.is_empty()).then_some(Index { handles })
    }

    /// Number of the first block that may hold keys from `key` on; the count of blocks if none does.
    pub(crate) fn first_block_for(&self, key: &[u8]) -> usize {
        self.handles.partition_point(|handle| handle.key_last.as_ref() < key)
    }

    /// Block `ordinal`, if there is one.
    pub(crate) fn block(&self, ordinal: usize) -> Option<&BlockHandle> {
        self.handles.get(ordinal)
    }

    /// The table's last key.
    pub(crate) fn key_last(&self) -> Option<&Bytes> {
        self.handles.last().map(|handle| &handle.key_last)
    }
}
