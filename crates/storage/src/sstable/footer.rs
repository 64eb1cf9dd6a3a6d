//! The footer: the last bytes of a table, where reading begins.
//!
//! Written last by the table writer; read first by [`Table`](super::Table).
//!
//! Invariant: fixed size, own checksum, version byte; decoding never panics.

use crate::checksum::Place;
use crate::codec::Reader;

const MAGIC: [u8; 8] = *b"ATOLLSST";

const VERSION: u8 = 1;

/// Size of the footer; see the layout in `docs/formats-storage.md`.
pub(crate) const FOOTER_BYTES: usize = 72;

/// Length of the footer's checksum, in bytes: a CRC32C.
const CHECKSUM_BYTES: usize = 4;

/// Where the parts of a table are, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    /// The file's id.
    pub(crate) file_id: u64,
    /// Number of data blocks; the filter is block number `blocks`, the index the one after.
    pub(crate) blocks: u32,
    /// Offset of the filter's frame.
    pub(crate) filter_offset: u64,
    /// Bytes of the filter's frame; the index follows it.
    pub(crate) filter_bytes: u32,
    /// Bytes of the index's frame; the footer follows it.
    pub(crate) index_bytes: u32,
    /// Number of entries.
    pub(crate) entries: u64,
    /// Lowest sequence number.
    pub(crate) sequence_min: u64,
    /// Highest sequence number.
    pub(crate) sequence_max: u64,
}

impl Footer {
    /// The footer's bytes at `offset`.
    pub(crate) fn encode(&self, offset: u64) -> Vec<u8> {
        assert!(self.index_offset() + u64::from(self.index_bytes) == offset, "parts tile the file");
        assert!(self.blocks > 0 && self.entries >= u64::from(self.blocks), "no empty block");
        assert!(self.sequence_min <= self.sequence_max);
        let mut out = Vec::with_capacity(FOOTER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&[0; 3]);
        out.extend_from_slice(&self.blocks.to_le_bytes());
        out.extend_from_slice(&self.file_id.to_le_bytes());
        out.extend_from_slice(&self.filter_offset.to_le_bytes());
        out.extend_from_slice(&self.filter_bytes.to_le_bytes());
        out.extend_from_slice(&self.index_bytes.to_le_bytes());
        out.extend_from_slice(&self.entries.to_le_bytes());
        out.extend_from_slice(&self.sequence_min.to_le_bytes());
        out.extend_from_slice(&self.sequence_max.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        let crc = place(self.file_id, offset).checksum(&[&out]);
        out.extend_from_slice(&crc.to_le_bytes());
        assert!(out.len() == FOOTER_BYTES);
        out
    }

    /// The footer of file `file_id` at `offset`; `None` if `bytes` is not it.
    pub(crate) fn decode(bytes: &[u8], file_id: u64, offset: u64) -> Option<Footer> {
        let covered = bytes.get(..FOOTER_BYTES - CHECKSUM_BYTES)?;
        let mut reader = Reader::new(bytes);
        if reader.bytes(MAGIC.len())? != MAGIC || reader.u8()? != VERSION {
            return None;
        }
        reader.bytes(3)?;
        let blocks = reader.u32()?;
        let footer = Footer {
            blocks,
            file_id: reader.u64()?,
            filter_offset: reader.u64()?,
            filter_bytes: reader.u32()?,
            index_bytes: reader.u32()?,
            entries: reader.u64()?,
            sequence_min: reader.u64()?,
            sequence_max: reader.u64()?,
        };
        reader.bytes(4)?;
        let crc = reader.u32()?;
        let parts_end = footer
            .filter_offset
            .checked_add(u64::from(footer.filter_bytes))?
            .checked_add(u64::from(footer.index_bytes))?;
        let valid = crc == place(file_id, offset).checksum(&[covered])
            && footer.file_id == file_id
            && parts_end == offset;
        valid.then_some(footer)
    }

    /// Offset of the index's frame.
    pub(crate) fn index_offset(&self) -> u64 {
        self.filter_offset + u64::from(self.filter_bytes)
    }
}

fn place(file_id: u64, offset: u64) -> Place {
    Place { file_id, offset, sequence: 0 }
}
