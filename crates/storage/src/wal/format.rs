//! The bytes of a log segment: header and records (drawn in `docs/formats-storage.md`).
//!
//! Encoded by `segment.rs`, decoded by `replay.rs`; pure.
//!
//! 1. The header names the file and the sequence number before its first record.
//! 2. A record is a header of [`RECORD_HEADER_BYTES`] and the concatenated operations of a group.
//!
//! Invariant: decoding never panics; anything that does not check is `None`.

use crate::batch::HEADROOM_BYTES;
use crate::checksum::Place;
use crate::codec::Reader;

/// First bytes of every segment.
pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"ATOLLWAL";

/// First bytes of every record; what the search for valid records behind a bad one looks for.
pub(crate) const RECORD_MAGIC: [u8; 4] = *b"AREC";

/// The version written and read. Version 1 named the sequence number before a fresh segment, too, and was never released.
pub(crate) const VERSION: u8 = 2;

/// 8 magic + 1 version + 1 origin + 2 zero + 8 file id + 8 sequence + 4 CRC.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 32;

/// 4 magic + 4 payload bytes + 4 operations + 8 first sequence + 8 durable bytes + 4 CRC.
pub(crate) const RECORD_HEADER_BYTES: usize = 32;

const _: () = assert!(RECORD_HEADER_BYTES == HEADROOM_BYTES, "batches leave room for the header");

/// Length of a record's checksum, in bytes: a CRC32C.
const CHECKSUM_BYTES: usize = 4;

/// Why a segment was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// For new writes; follows the segment before it.
    Fresh,
    /// By recovery: holds everything that all segments with smaller ids held.
    Relog,
}

/// The first bytes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The file's id.
    pub(crate) file_id: u64,
    /// Why it was created.
    pub(crate) origin: Origin,
    /// The sequence number before the first record of a relog; 0 for a fresh one, which is made ahead of its use.
    pub(crate) sequence_before: u64,
}

impl SegmentHeader {
    /// The header's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        out.extend_from_slice(&SEGMENT_MAGIC);
        out.push(VERSION);
        out.push(match self.origin {
            Origin::Fresh => 0,
            Origin::Relog => 1,
        });
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.file_id.to_le_bytes());
        out.extend_from_slice(&self.sequence_before.to_le_bytes());
        let crc = self.place().checksum(&[&out]);
        out.extend_from_slice(&crc.to_le_bytes());
        assert!(out.len() == SEGMENT_HEADER_BYTES);
        out
    }

    /// The header of file `file_id`, or `None` if `bytes` is not one.
    pub(crate) fn decode(bytes: &[u8], file_id: u64) -> Option<SegmentHeader> {
        let covered = bytes.get(..SEGMENT_HEADER_BYTES - CHECKSUM_BYTES)?;
        let mut reader = Reader::new(bytes);
        if reader.bytes(SEGMENT_MAGIC.len())? != SEGMENT_MAGIC || reader.u8()? != VERSION {
            return None;
        }
        let origin = match reader.u8()? {
            0 => Origin::Fresh,
            1 => Origin::Relog,
            _ => return None,
        };
        reader.bytes(2)?;
        let header =
            SegmentHeader { file_id: reader.u64()?, origin, sequence_before: reader.u64()? };
        let crc = reader.u32()?;
        let valid = header.file_id == file_id && crc == header.place().checksum(&[covered]);
        valid.then_some(header)
    }

    fn place(&self) -> Place {
        Place { file_id: self.file_id, offset: 0, sequence: self.sequence_before }
    }
}

/// The first bytes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    /// Bytes of operations behind the header.
    pub(crate) payload_bytes: u32,
    /// Number of operations, and of sequence numbers.
    pub(crate) operations: u32,
    /// Sequence number of the first operation.
    pub(crate) sequence_first: u64,
    /// Bytes of this segment that were durable when the record was written, together with all segments before it; 0 if
    /// those were not.
    pub(crate) durable_bytes: u64,
}

impl RecordHeader {
    /// The header of a record at `offset` of file `file_id`; `payload` follows it in the file.
    pub(crate) fn encode(&self, file_id: u64, offset: u64, payload: &[u8]) -> Vec<u8> {
        assert!(self.payload_bytes as usize == payload.len(), "the header describes the payload");
        assert!(self.durable_bytes <= offset, "a record cannot vouch for itself");
        let mut out = Vec::with_capacity(RECORD_HEADER_BYTES);
        out.extend_from_slice(&RECORD_MAGIC);
        out.extend_from_slice(&self.payload_bytes.to_le_bytes());
        out.extend_from_slice(&self.operations.to_le_bytes());
        out.extend_from_slice(&self.sequence_first.to_le_bytes());
        out.extend_from_slice(&self.durable_bytes.to_le_bytes());
        let place = Place { file_id, offset, sequence: self.sequence_first };
        let crc = place.checksum(&[&out, payload]);
        out.extend_from_slice(&crc.to_le_bytes());
        assert!(out.len() == RECORD_HEADER_BYTES);
        out
    }

    /// The record at `offset` of file `file_id`, whose bytes are the front of `bytes`.
    pub(crate) fn decode(bytes: &[u8], file_id: u64, offset: u64) -> Option<RecordHeader> {
        let mut reader = Reader::new(bytes);
        if reader.bytes(RECORD_MAGIC.len())? != RECORD_MAGIC {
            return None;
        }
        let header = RecordHeader {
            payload_bytes: reader.u32()?,
            operations: reader.u32()?,
            sequence_first: reader.u64()?,
            durable_bytes: reader.u64()?,
        };
        let crc = reader.u32()?;
        let payload = reader.bytes(usize::try_from(header.payload_bytes).ok()?)?;
        let covered = bytes.get(..RECORD_HEADER_BYTES - CHECKSUM_BYTES)?;
        let place = Place { file_id, offset, sequence: header.sequence_first };
        let plausible = header.operations > 0 && header.durable_bytes <= offset;
        (plausible && crc == place.checksum(&[covered, payload])).then_some(header)
    }

    /// Bytes of header and payload.
    pub(crate) fn record_bytes(&self) -> u64 {
        RECORD_HEADER_BYTES as u64 + u64::from(self.payload_bytes)
    }

    /// Sequence number of the last operation.
    pub(crate) fn sequence_last(&self) -> u64 {
        debug_assert!(self.operations > 0);
        self.sequence_first.saturating_add(u64::from(self.operations)) - 1
    }
}
