//! One entry of a data block.
//!
//! Written by the builder; decoded by searches and cursors, for which this is the innermost loop.
//!
//! 1. The kind and three lengths are four bytes in the usual case, in which they are read and tested together.
//! 2. A sequence number of up to eight bytes is read as one word and compacted without a loop.
//!
//! Invariant: decoding never reads outside the block and never panics.

use bytes::Bytes;

use crate::codec::{Reader, put_varint};
use crate::entry::{Entry, Payload, Pointer, Value};

/// Kinds of entries; the byte that each begins with.
pub(super) mod kind {
    /// A put with its value.
    pub(in super::super) const PUT: u8 = 1;
    /// An operand with its bytes.
    pub(in super::super) const MERGE: u8 = 2;
    /// A delete.
    pub(in super::super) const DELETE: u8 = 3;
    /// A put whose value is in a value file.
    pub(in super::super) const PUT_POINTER: u8 = 4;
    /// An operand whose bytes are in a value file.
    pub(in super::super) const MERGE_POINTER: u8 = 5;
}

/// All of an entry but its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryHead {
    /// What the entry is.
    pub(super) kind: u8,
    /// Bytes that its key shares with the key before.
    pub(super) shared: usize,
    /// Position in the store's order of writes.
    pub(super) sequence: u64,
    /// Where the rest of the key begins.
    pub(super) suffix_at: usize,
    /// Where the value or pointer begins, behind the key.
    pub(super) payload_at: usize,
    /// Where the next entry begins.
    pub(super) end: usize,
}

/// What an entry does, with its bytes still in the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// Replaces, with bytes of the block.
    Put,
    /// Joins, with bytes of the block.
    Merge,
    /// Hides.
    Delete,
    /// Replaces, with bytes of a value file.
    PutPointer(Pointer),
    /// Joins, with bytes of a value file.
    MergePointer(Pointer),
}

impl EntryHead {
    /// The head of the entry at `at`, whose parts all lie within `body`.
    #[inline]
    pub(super) fn decode(body: &[u8], at: usize) -> Option<EntryHead> {
        let bytes = body.get(at..)?;
        let [kind, lengths @ ..] = bytes.first_chunk::<4>()?;
        let [shared, suffix, payload] = lengths.map(usize::from);
        if (shared | suffix | payload) & 0x80 != 0 {
            return EntryHead::decode_long(body, at);
        }
        let (sequence, sequence_bytes) = varint(bytes.get(4..)?)?;
        let suffix_at = at + 4 + sequence_bytes;
        let payload_at = suffix_at + suffix;
        let end = payload_at + payload;
        (end <= body.len()).then_some(EntryHead {
            kind: *kind,
            shared,
            sequence,
            suffix_at,
            payload_at,
            end,
        })
    }

    /// The same for lengths of more than one byte.
    fn decode_long(body: &[u8], at: usize) -> Option<EntryHead> {
        let mut rest = body.get(at..)?;
        let (kind, behind) = rest.split_first()?;
        rest = behind;
        let mut next = || {
            let (value, bytes) = varint(rest)?;
            rest = rest.get(bytes..)?;
            Some(value)
        };
        let shared = usize::try_from(next()?).ok()?;
        let suffix = usize::try_from(next()?).ok()?;
        let payload = usize::try_from(next()?).ok()?;
        let sequence = next()?;
        let suffix_at = body.len() - rest.len();
        let payload_at = suffix_at.checked_add(suffix)?;
        let end = payload_at.checked_add(payload)?;
        (end <= body.len()).then_some(EntryHead {
            kind: *kind,
            shared,
            sequence,
            suffix_at,
            payload_at,
            end,
        })
    }

    /// The rest of the key.
    #[inline]
    pub(super) fn suffix<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        body.get(self.suffix_at..self.payload_at).unwrap_or_default()
    }

    /// What the entry does; `file_ids` are those of the table's references.
    #[inline]
    pub(super) fn stored(&self, body: &[u8], file_ids: &[u64]) -> Option<Stored> {
        match self.kind {
            kind::PUT => Some(Stored::Put),
            kind::MERGE => Some(Stored::Merge),
            kind::DELETE => (self.payload_at == self.end).then_some(Stored::Delete),
            kind::PUT_POINTER => self.pointer(body, file_ids).map(Stored::PutPointer),
            kind::MERGE_POINTER => self.pointer(body, file_ids).map(Stored::MergePointer),
            _ => None,
        }
    }

    /// The entry, with a slice of the block's payload for its bytes.
    #[inline]
    pub(super) fn entry(&self, stored: Stored, payload: &Bytes) -> Entry {
        debug_assert!(self.payload_at <= self.end && self.end <= payload.len());
        let inline = || Payload::Inline(payload.slice(self.payload_at..self.end));
        let value = match stored {
            Stored::Put => Value::Put(inline()),
            Stored::Merge => Value::Merge(inline()),
            Stored::Delete => Value::Delete,
            Stored::PutPointer(pointer) => Value::Put(Payload::Stored(pointer)),
            Stored::MergePointer(pointer) => Value::Merge(Payload::Stored(pointer)),
        };
        Entry { sequence: self.sequence, value }
    }

    fn pointer(&self, body: &[u8], file_ids: &[u64]) -> Option<Pointer> {
        let mut reader = Reader::new(body.get(self.payload_at..self.end)?);
        let file_id = *file_ids.get(reader.length()?)?;
        let offset = reader.varint()?;
        let bytes = u32::try_from(reader.varint()?).ok()?;
        let digest = reader.u64()?;
        (reader.remaining() == 0).then_some(Pointer { file_id, offset, bytes, digest })
    }
}

/// Appends a pointer to the file at `position` of the references.
pub(super) fn put_pointer(out: &mut Vec<u8>, position: u64, pointer: &Pointer) {
    put_varint(out, position);
    put_varint(out, pointer.offset);
    put_varint(out, u64::from(pointer.bytes));
    out.extend_from_slice(&pointer.digest.to_le_bytes());
}

/// The varint that `bytes` begin with, and its length.
#[inline]
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    const STOPS: u64 = 0x8080_8080_8080_8080;
    let Some(word) = bytes.first_chunk::<8>().map(|chunk| u64::from_le_bytes(*chunk)) else {
        return varint_slow(bytes);
    };
    let stops = !word & STOPS;
    if stops == 0 {
        return varint_slow(bytes);
    }
    // All bits up to the one that stops, without the flags.
    let taken = word & (stops ^ (stops - 1)) & !STOPS;
    // Neighbours move together: bytes to 14 bits, those to 28, those to 56.
    let pairs = (taken & 0x007f_007f_007f_007f) | ((taken & 0x7f00_7f00_7f00_7f00) >> 1);
    let quads = (pairs & 0x0000_3fff_0000_3fff) | ((pairs & 0x3fff_0000_3fff_0000) >> 2);
    let value = (quads & 0x0fff_ffff) | ((quads & 0x0fff_ffff_0000_0000) >> 4);
    let length = (stops.trailing_zeros() / 8) as usize + 1;
    debug_assert!(length <= 8 && value < 1 << 56);
    Some((value, length))
}

#[cold]
fn varint_slow(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut reader = Reader::new(bytes);
    let value = reader.varint()?;
    Some((value, bytes.len() - reader.remaining()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{EntryHead, varint, varint_slow};
    use crate::codec::put_varint;

    proptest! {
        #[test]
        fn fast_and_slow_varints_agree(value: u64, shift in 0u32..64, tail: Vec<u8>) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value >> shift);
            let length = bytes.len();
            bytes.extend(tail);
            prop_assert_eq!(varint(&bytes), Some((value >> shift, length)));
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_both_ways_agree(bytes: Vec<u8>, at in 0usize..20) {
            prop_assert_eq!(varint(&bytes), varint_slow(&bytes));
            let head = EntryHead::decode(&bytes, at);
            if at < bytes.len() && bytes.len() - at >= 4 {
                prop_assert_eq!(head, EntryHead::decode_long(&bytes, at));
            }
            if let Some(head) = head {
                let _ = (head.suffix(&bytes), head.stored(&bytes, &[1, 2]));
            }
        }
    }
}
