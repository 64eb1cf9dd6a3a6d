//! The footer: the last bytes of a table, where reading begins.
//!
//! Written last by the table writer; read first by [`Table`](super::Table).
//!
//! The blocks before it, in order and without gaps: data blocks, index partitions, filter, prefixes, references, top
//! index. Their ordinals count on through all of them.
//!
//! Invariant: fixed size, own checksum, version byte; decoding never panics.

use crate::checksum::Place;
use crate::codec::Reader;

use super::frame::{BlockKind, TableBlock};

const MAGIC: [u8; 8] = *b"ATOLLSST";

const VERSION: u8 = 2;

/// Size of the footer, in bytes; see the layout in `docs/formats-storage.md`.
pub(super) const FOOTER_BYTES: usize = 96;

/// Size of the footer of version 1, in bytes; recognised, to say why such a table is not read.
const FOOTER_V1_BYTES: usize = 72;

/// Length of the footer's checksum, in bytes: a CRC32C.
const CHECKSUM_BYTES: usize = 4;

/// Where the parts of a table are, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    /// The file's id.
    pub(crate) file_id: u64,
    /// Number of data blocks.
    pub(crate) blocks: u32,
    /// Number of index partitions.
    pub(crate) partitions: u32,
    /// Offset of the first index partition; data blocks fill the file up to it.
    pub(crate) index_offset: u64,
    /// Offset of the filter's frame; partitions fill the file up to it.
    pub(crate) filter_offset: u64,
    /// Bytes of the filter's frame.
    pub(crate) filter_bytes: u32,
    /// Bytes of the prefixes' frame.
    pub(crate) prefixes_bytes: u32,
    /// Bytes of the references' frame.
    pub(crate) references_bytes: u32,
    /// Bytes of the top index's frame; the footer follows it.
    pub(crate) top_bytes: u32,
    /// Number of entries.
    pub(crate) entries: u64,
    /// Lowest sequence number.
    pub(crate) sequence_min: u64,
    /// Highest sequence number.
    pub(crate) sequence_max: u64,
}

impl Footer {
    /// The footer's bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        assert!(self.partitions > 0 && self.blocks >= self.partitions, "no empty partition");
        assert!(self.entries >= u64::from(self.blocks), "no empty block");
        assert!(self.sequence_min <= self.sequence_max);
        let mut out = Vec::with_capacity(FOOTER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&[0; 3]);
        out.extend_from_slice(&self.blocks.to_le_bytes());
        out.extend_from_slice(&self.file_id.to_le_bytes());
        out.extend_from_slice(&self.partitions.to_le_bytes());
        out.extend_from_slice(&self.filter_bytes.to_le_bytes());
        out.extend_from_slice(&self.prefixes_bytes.to_le_bytes());
        out.extend_from_slice(&self.references_bytes.to_le_bytes());
        out.extend_from_slice(&self.top_bytes.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.index_offset.to_le_bytes());
        out.extend_from_slice(&self.filter_offset.to_le_bytes());
        out.extend_from_slice(&self.entries.to_le_bytes());
        out.extend_from_slice(&self.sequence_min.to_le_bytes());
        out.extend_from_slice(&self.sequence_max.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        let crc = place(self.file_id, self.end()).checksum(&[&out]);
        out.extend_from_slice(&crc.to_le_bytes());
        assert!(out.len() == FOOTER_BYTES);
        out
    }

    /// The footer of file `file_id` at `offset`, or what is wrong with `bytes`.
    pub(crate) fn decode(bytes: &[u8], file_id: u64, offset: u64) -> Result<Footer, &'static str> {
        const DOES_NOT_CHECK: &str = "footer does not check";
        if is_of_version_1(bytes) {
            return Err(
                "the table was written by an older version, whose format is not read any more",
            );
        }
        match bytes.strip_prefix(&MAGIC).and_then(<[u8]>::first) {
            Some(version) if *version > VERSION => {
                return Err("the table was written by a newer version, or its footer is damaged");
            }
            _ => {}
        }
        let (footer, crc) = Footer::parse(bytes).ok_or(DOES_NOT_CHECK)?;
        let covered = bytes.get(..FOOTER_BYTES - CHECKSUM_BYTES).ok_or(DOES_NOT_CHECK)?;
        let valid = crc == place(file_id, offset).checksum(&[covered])
            && footer.file_id == file_id
            && footer.tiles_up_to(offset);
        if valid { Ok(footer) } else { Err(DOES_NOT_CHECK) }
    }

    /// The fields, and the checksum behind them.
    fn parse(bytes: &[u8]) -> Option<(Footer, u32)> {
        let mut reader = Reader::new(bytes);
        if reader.bytes(MAGIC.len())? != MAGIC || reader.u8()? != VERSION {
            return None;
        }
        reader.bytes(3)?;
        let blocks = reader.u32()?;
        let file_id = reader.u64()?;
        let partitions = reader.u32()?;
        let filter_bytes = reader.u32()?;
        let prefixes_bytes = reader.u32()?;
        let references_bytes = reader.u32()?;
        let top_bytes = reader.u32()?;
        reader.bytes(4)?;
        let footer = Footer {
            file_id,
            blocks,
            partitions,
            index_offset: reader.u64()?,
            filter_offset: reader.u64()?,
            filter_bytes,
            prefixes_bytes,
            references_bytes,
            top_bytes,
            entries: reader.u64()?,
            sequence_min: reader.u64()?,
            sequence_max: reader.u64()?,
        };
        reader.bytes(4)?;
        let crc = reader.u32()?;
        (reader.remaining() == 0).then_some((footer, crc))
    }

    /// Whether the parts could fill the file from 0 to `offset`.
    fn tiles_up_to(&self, offset: u64) -> bool {
        let parts = [self.filter_bytes, self.prefixes_bytes, self.references_bytes, self.top_bytes];
        let end = parts
            .iter()
            .try_fold(self.filter_offset, |end, bytes| end.checked_add(u64::from(*bytes)));
        end == Some(offset)
            && parts.iter().all(|bytes| *bytes > 0)
            && self.index_offset > 0
            && self.index_offset < self.filter_offset
            && self.blocks > 0
            && self.partitions > 0
    }

    /// The filter.
    pub(super) fn filter(&self) -> TableBlock {
        TableBlock {
            kind: BlockKind::Filter,
            ordinal: u64::from(self.blocks) + u64::from(self.partitions),
            offset: self.filter_offset,
            bytes: self.filter_bytes,
        }
    }

    /// The prefixes.
    pub(super) fn prefixes(&self) -> TableBlock {
        behind(self.filter(), BlockKind::Prefixes, self.prefixes_bytes)
    }

    /// The references.
    pub(super) fn references(&self) -> TableBlock {
        behind(self.prefixes(), BlockKind::References, self.references_bytes)
    }

    /// The top index.
    pub(super) fn top(&self) -> TableBlock {
        behind(self.references(), BlockKind::Top, self.top_bytes)
    }

    /// Where the parts end and the footer begins.
    pub(super) fn end(&self) -> u64 {
        self.top().offset + u64::from(self.top_bytes)
    }
}

/// The block behind `before`. Sums cannot overflow: the parts tile the file.
fn behind(before: TableBlock, kind: BlockKind, bytes: u32) -> TableBlock {
    let offset = before.offset + u64::from(before.bytes);
    debug_assert!(offset > before.offset, "no block is empty");
    TableBlock { kind, ordinal: before.ordinal + 1, offset, bytes }
}

fn place(file_id: u64, offset: u64) -> Place {
    Place { file_id, offset, sequence: 0 }
}

/// Whether `bytes` end with what looks like a footer of version 1.
fn is_of_version_1(bytes: &[u8]) -> bool {
    let footer = bytes.len().checked_sub(FOOTER_V1_BYTES).and_then(|start| bytes.get(start..));
    footer.and_then(|footer| footer.strip_prefix(&MAGIC)).and_then(<[u8]>::first) == Some(&1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FOOTER_BYTES, FOOTER_V1_BYTES, Footer, MAGIC};

    const FOOTER: Footer = Footer {
        file_id: 7,
        blocks: 5,
        partitions: 2,
        index_offset: 500,
        filter_offset: 700,
        filter_bytes: 39,
        prefixes_bytes: 12,
        references_bytes: 11,
        top_bytes: 90,
        entries: 60,
        sequence_min: 3,
        sequence_max: 300,
    };

    #[test]
    fn golden_bytes() {
        let encoded = FOOTER.encode();
        let hex: String = encoded.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN);
        assert_eq!(Footer::decode(&encoded, 7, FOOTER.end()), Ok(FOOTER));
        assert!(Footer::decode(&encoded, 8, FOOTER.end()).is_err());
        assert!(Footer::decode(&encoded, 7, FOOTER.end() + 1).is_err());
    }

    #[test]
    fn parts_follow_each_other() {
        let parts = [FOOTER.filter(), FOOTER.prefixes(), FOOTER.references(), FOOTER.top()];
        assert_eq!(parts.map(|part| part.ordinal), [7, 8, 9, 10]);
        assert_eq!(parts.map(|part| part.offset), [700, 739, 751, 762]);
        assert_eq!(FOOTER.end(), 852);
    }

    #[test]
    fn other_versions_are_named() {
        let mut older = vec![0; FOOTER_BYTES];
        let start = FOOTER_BYTES - FOOTER_V1_BYTES;
        older[start..start + 8].copy_from_slice(&MAGIC);
        older[start + 8] = 1;
        assert!(Footer::decode(&older, 7, 0).unwrap_err().contains("older version"));
        let mut newer = FOOTER.encode();
        newer[8] = 3;
        assert!(Footer::decode(&newer, 7, FOOTER.end()).unwrap_err().contains("newer version"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes: Vec<u8>, at in 0usize..FOOTER_BYTES, bit in 0u8..8) {
            let _ = Footer::decode(&bytes, 7, 852);
            bytes.splice(0..0, MAGIC);
            let _ = Footer::decode(&bytes, 7, 852);
            let mut damaged = FOOTER.encode();
            damaged[at] ^= 1 << bit;
            prop_assert!(Footer::decode(&damaged, 7, FOOTER.end()).is_err());
        }
    }

    const GOLDEN: &str = "\
    41544f4c4c5353540200000005000000070000000000000002000000270000000c0000000b000000\
    5a00000000000000f401000000000000bc020000000000003c000000000000000300000000000000\
    2c01000000000000000000002b420bfa";
}
