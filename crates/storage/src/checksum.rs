//! CRC32C bound to the place where bytes belong.
//!
//! Used by every format of the engine (log, SSTable, manifest, `CURRENT`).
//!
//! 1. The checksum starts with the file id, the offset in the file and a sequence (24 bytes, little endian).
//! 2. The covered parts follow, in order.
//!
//! Invariant: a well-formed structure that was written to, or read from, another place fails its check; file ids are
//! never reused within a store.
//!
//! Source: failures.md 5.1, S4; misdirected writes in Bairavasundaram et al., FAST 2008.

use atoll_seeded_bug::{Mutant, seeded_bug};

/// Where a checksummed structure belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The file's id.
    pub(crate) file_id: u64,
    /// Offset of the structure's first byte.
    pub(crate) offset: u64,
    /// What tells two structures at one offset apart: first sequence number, record or block ordinal.
    pub(crate) sequence: u64,
}

impl Place {
    /// The CRC32C of this place followed by `parts`.
    pub(crate) fn checksum(&self, parts: &[&[u8]]) -> u32 {
        if seeded_bug(Mutant::ChecksumWithoutPlace) {
            return parts.iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part));
        }
        let mut crc = crc32c::crc32c(&self.file_id.to_le_bytes());
        crc = crc32c::crc32c_append(crc, &self.offset.to_le_bytes());
        crc = crc32c::crc32c_append(crc, &self.sequence.to_le_bytes());
        for part in parts {
            crc = crc32c::crc32c_append(crc, part);
        }
        crc
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn every_part_of_the_place_matters() {
        let place = Place { file_id: 1, offset: 2, sequence: 3 };
        let sum = place.checksum(&[b"payload"]);
        assert_eq!(sum, place.checksum(&[b"pay", b"load"]));
        assert_ne!(sum, Place { file_id: 2, ..place }.checksum(&[b"payload"]));
        assert_ne!(sum, Place { offset: 3, ..place }.checksum(&[b"payload"]));
        assert_ne!(sum, Place { sequence: 4, ..place }.checksum(&[b"payload"]));
        assert_ne!(sum, place.checksum(&[b"payloaD"]));
    }
}
