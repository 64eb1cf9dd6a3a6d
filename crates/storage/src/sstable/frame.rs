//! Frames: how any block (data, filter, index) lies in a table file.
//!
//! Written by the table writer, read by [`Table`](super::Table).
//!
//! 1. The payload, one byte that says what it is, and the checksum of both.
//! 2. The checksum is bound to file id, offset and the block's ordinal in the file.
//!
//! Invariant: a payload leaves this module only if its checksum and its kind are right.

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::checksum::Place;
use crate::error::Error;
use crate::files::StoreFile;

/// Kind byte and CRC32C behind each payload.
pub(crate) const TRAILER_BYTES: usize = 5;

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockKind {
    /// Entries.
    Data,
    /// The filter.
    Filter,
    /// The index.
    Index,
}

impl BlockKind {
    fn tag(self) -> u8 {
        match self {
            BlockKind::Data => 1,
            BlockKind::Filter => 2,
            BlockKind::Index => 3,
        }
    }
}

/// Turns `payload` into a frame for `place`.
pub(crate) fn seal(mut payload: Vec<u8>, kind: BlockKind, place: Place) -> Vec<u8> {
    assert!(!payload.is_empty(), "a block has content");
    payload.push(kind.tag());
    let crc = place.checksum(&[&payload]);
    payload.extend_from_slice(&crc.to_le_bytes());
    payload
}

/// Reads and checks the frame of `frame_bytes` at `place`; returns its payload.
pub(crate) fn read(
    file: &StoreFile,
    place: Place,
    frame_bytes: u32,
    kind: BlockKind,
) -> Result<Bytes, Error> {
    let corrupt = |what| file.corrupt(place.offset, what);
    let count = usize::try_from(frame_bytes).map_err(|_| corrupt("block is too long"))?;
    let payload_bytes =
        count.checked_sub(TRAILER_BYTES).ok_or_else(|| corrupt("block is too short"))?;
    let mut frame = file.read_exact(place.offset, count)?;
    let crc = frame.split_off(payload_bytes + 1);
    let stored: Option<[u8; 4]> = crc.as_ref().try_into().ok();
    let checks = stored.map(u32::from_le_bytes) == Some(place.checksum(&[&frame]));
    if !checks && !seeded_bug(Mutant::BlockChecksumSkipped) {
        return Err(corrupt("block does not check"));
    }
    let tag = frame.split_off(payload_bytes);
    if tag.as_ref() != [kind.tag()] {
        return Err(corrupt("block is of another kind"));
    }
    assert!(frame.len() == payload_bytes);
    Ok(frame)
}
