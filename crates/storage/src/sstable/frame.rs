//! Frames: how any block lies in a table file.
//!
//! Written by the table writer, read by [`Table`](super::Table).
//!
//! 1. The payload as stored, one byte that says what it is, one that says how it is compressed, and the checksum of
//!    all three.
//! 2. The checksum is bound to file id, offset and the block's ordinal in the file.
//!
//! Invariant: a payload leaves this module only if its checksum and its kind are right, and decompressed.

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::checksum::Place;
use crate::codec::Reader;
use crate::error::Error;
use crate::files::StoreFile;

use super::compress::decompress;
use crate::options::Compression;

/// Length of kind, compression and CRC32C behind each payload, in bytes.
pub(super) const TRAILER_BYTES: usize = 6;

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockKind {
    /// Entries.
    Data,
    /// The filter over whole keys.
    Filter,
    /// A partition of the index.
    Partition,
    /// The filter over the first bytes of keys.
    Prefixes,
    /// The references to value files.
    References,
    /// The index of the partitions.
    Top,
}

impl BlockKind {
    fn tag(self) -> u8 {
        match self {
            BlockKind::Data => 1,
            BlockKind::Filter => 2,
            BlockKind::Partition => 3,
            BlockKind::Prefixes => 4,
            BlockKind::References => 5,
            BlockKind::Top => 6,
        }
    }
}

/// Which block of a table, and where its frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableBlock {
    /// What it holds.
    pub(crate) kind: BlockKind,
    /// Its number in the file, from 0, over all kinds.
    pub(crate) ordinal: u64,
    /// Offset of its frame.
    pub(crate) offset: u64,
    /// Bytes of its frame.
    pub(crate) bytes: u32,
}

/// Appends the frame of `payload`, stored as `compression` says, for `place`; returns its length.
pub(super) fn seal(
    out: &mut Vec<u8>,
    payload: &[u8],
    compression: Compression,
    kind: BlockKind,
    place: Place,
) -> usize {
    assert!(!payload.is_empty(), "a block has content");
    debug_assert!(compression == Compression::None || kind == BlockKind::Data);
    let tags = [kind.tag(), compression.tag()];
    let crc = place.checksum(&[payload, &tags]);
    out.extend_from_slice(payload);
    out.extend_from_slice(&tags);
    out.extend_from_slice(&crc.to_le_bytes());
    payload.len() + TRAILER_BYTES
}

/// The payload of a frame of `kind` at `place`, or what is wrong with it.
pub(crate) fn open(mut frame: Bytes, kind: BlockKind, place: Place) -> Result<Bytes, &'static str> {
    let payload_bytes = frame.len().checked_sub(TRAILER_BYTES).ok_or("block is too short")?;
    let trailer = frame.split_off(payload_bytes);
    let mut reader = Reader::new(&trailer);
    let (tags, crc) = reader.bytes(2).zip(reader.u32()).ok_or("block is too short")?;
    if crc != place.checksum(&[&frame, tags]) && !seeded_bug(Mutant::BlockChecksumSkipped) {
        return Err("block does not check");
    }
    let compression = match tags {
        [tag, compression] if *tag == kind.tag() => Compression::from_tag(*compression),
        _ => return Err("block is of another kind"),
    };
    assert!(frame.len() == payload_bytes);
    compression
        .and_then(|compression| decompress(compression, frame))
        .filter(|payload| !payload.is_empty())
        .ok_or("block cannot be decompressed")
}

/// Reads and opens the frame of `block` in `file`, whose id is `file_id`.
pub(super) fn read(file: &StoreFile, file_id: u64, block: TableBlock) -> Result<Bytes, Error> {
    let corrupt = |what| file.corrupt(block.offset, what);
    let count = usize::try_from(block.bytes).map_err(|_| corrupt("block is too long"))?;
    let frame = file.read_exact(block.offset, count)?;
    let place = Place { file_id, offset: block.offset, sequence: block.ordinal };
    open(frame, block.kind, place).map_err(corrupt)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{BlockKind, TRAILER_BYTES, open, seal};
    use crate::checksum::Place;
    use crate::options::Compression;

    const PLACE: Place = Place { file_id: 3, offset: 40, sequence: 2 };

    #[test]
    fn golden_bytes() {
        let mut out = Vec::new();
        let bytes = seal(&mut out, b"payload", Compression::None, BlockKind::Data, PLACE);
        let hex: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((bytes, hex.as_str()), (7 + TRAILER_BYTES, "7061796c6f6164010076815995"));
        let opened = open(Bytes::from(out), BlockKind::Data, PLACE);
        assert_eq!(opened, Ok(Bytes::from_static(b"payload")));
    }

    #[test]
    fn another_place_or_kind_is_refused() {
        let mut out = Vec::new();
        seal(&mut out, b"payload", Compression::None, BlockKind::Data, PLACE);
        let frame = Bytes::from(out);
        assert!(open(frame.clone(), BlockKind::Data, Place { offset: 41, ..PLACE }).is_err());
        assert!(open(frame.clone(), BlockKind::Top, PLACE).is_err());
        assert!(open(frame.slice(1..), BlockKind::Data, PLACE).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = open(Bytes::from(bytes), BlockKind::Data, PLACE);
        }
    }
}
