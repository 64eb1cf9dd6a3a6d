//! Values: random bytes of a drawn length, and values that prove where they come from.
//!
//! ```text
//! offset  bytes  little endian
//!      0      4  "ALG1"
//!      4      4  run: seconds since 2020 at its start
//!      8      8  key number
//!     16      6  sequence number of the write, unique and increasing within its process
//!     22      2  number of the process in its run
//!     24      8  xxh3-64 of all other bytes
//!     32      …  filler
//! ```
//!
//! Invariants
//! - The filler does not compress: a store cannot look better than it is.
//! - A value that [`check`]s was written by this program for exactly this key, and is whole.

use std::fmt;
use std::str::FromStr;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::chance::Chance;
use crate::units;

#[cfg(test)]
mod tests;

/// How a value of this program begins.
const MAGIC: &[u8; 4] = b"ALG1";

/// Bytes before the filler: 4 + 4 + 8 + 8 + 8.
pub(crate) const HEADER_BYTES: usize = 32;

/// Bits of a sequence number: 281 trillion writes of one process.
const SEQUENCE_BITS: u32 = 48;

/// Where the checksum stands.
const CHECKSUM_AT: usize = 24;

/// Largest value: the highest cap that a cluster can be configured to take, less a key.
const VALUE_BYTES_MAX: u32 = 1_024 * 1_024 - 16;

/// Distinct beginnings of fillers, beyond the longest value.
const FILLER_SLACK_BYTES: usize = 64 * 1_024;

/// How long values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Lengths {
    /// The shortest, in bytes.
    pub(crate) least: u32,
    /// The longest, in bytes.
    pub(crate) most: u32,
}

/// Who wrote a value, and when in its own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Who wrote it.
    pub(crate) writer: Writer,
    /// The key.
    pub(crate) key: u64,
    /// Its number among the writes of the writer; below 2^48.
    pub(crate) sequence: u64,
}

/// A process of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Writer {
    /// The run; later runs have higher numbers.
    pub(crate) run: u32,
    /// The process.
    pub(crate) process: u16,
}

/// Makes values.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    lengths: Lengths,
    filler: Bytes,
}

impl Values {
    /// Values of these lengths.
    pub(crate) fn new(lengths: Lengths, mut chance: Chance) -> Self {
        let size = lengths.most as usize + FILLER_SLACK_BYTES;
        let mut filler = BytesMut::with_capacity(size + 8);
        while filler.len() < size {
            filler.put_u64_le(chance.draw());
        }
        Self { lengths, filler: filler.freeze() }
    }

    /// A length.
    pub(crate) fn length(&self, chance: &mut Chance) -> u32 {
        let span = u64::from(self.lengths.most - self.lengths.least) + 1;
        self.lengths.least + u32::try_from(chance.below(span)).unwrap_or(0)
    }

    /// Random bytes; not copied.
    pub(crate) fn random(&self, length: u32, salt: u64) -> Bytes {
        let from = usize::try_from(salt % FILLER_SLACK_BYTES as u64).unwrap_or(0);
        self.filler.slice(from..from + length as usize)
    }

    /// A value that proves its origin; of at least [`HEADER_BYTES`].
    pub(crate) fn signed(&self, length: u32, origin: Origin) -> Bytes {
        let filler = self.random(length.saturating_sub(32), origin.sequence);
        let mut value = BytesMut::with_capacity(HEADER_BYTES + filler.len());
        value.put_slice(MAGIC);
        value.put_u32_le(origin.writer.run);
        value.put_u64_le(origin.key);
        value.put_u64_le(origin.sequence | (u64::from(origin.writer.process) << SEQUENCE_BITS));
        value.put_u64_le(checksum(&value, &filler));
        value.put_slice(&filler);
        value.freeze()
    }
}

/// Where `value` comes from; `None` if it is damaged or was not written for `key`.
pub(crate) fn check(value: &[u8], key: u64) -> Option<Origin> {
    let (header, filler) = value.split_at_checked(HEADER_BYTES)?;
    let (signed, stored) = header.split_at_checked(CHECKSUM_AT)?;
    let (magic, rest) = signed.split_at_checked(4)?;
    let (run, rest) = rest.split_first_chunk::<4>()?;
    let (for_key, rest) = rest.split_first_chunk::<8>()?;
    let (sequence, _) = rest.split_first_chunk::<8>()?;
    let (stored, _) = stored.split_first_chunk::<8>()?;
    let is_whole = magic == MAGIC && checksum(signed, filler) == u64::from_le_bytes(*stored);
    let sequence = u64::from_le_bytes(*sequence);
    let process = u16::try_from(sequence >> SEQUENCE_BITS).ok()?;
    let origin = Origin {
        writer: Writer { run: u32::from_le_bytes(*run), process },
        key: u64::from_le_bytes(*for_key),
        sequence: sequence & ((1 << SEQUENCE_BITS) - 1),
    };
    (is_whole && origin.key == key).then_some(origin)
}

fn checksum(header: &[u8], filler: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(header);
    hasher.update(filler);
    hasher.digest()
}

impl FromStr for Lengths {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("`{text}` is not a kind of value; use fixed:1k or uniform:100..4k");
        let (kind, rest) = text.split_once(':').ok_or_else(form)?;
        let lengths = match kind {
            "fixed" => {
                let length = units::bytes(rest)?;
                Self { least: length, most: length }
            }
            "uniform" => {
                let (least, most) = rest.split_once("..").ok_or_else(form)?;
                Self { least: units::bytes(least)?, most: units::bytes(most)? }
            }
            _ => return Err(form()),
        };
        if lengths.least > lengths.most {
            return Err(format!("`{text}` begins above its end; turn it around"));
        }
        if lengths.most > VALUE_BYTES_MAX {
            return Err(format!(
                "`{text}` is too long: no cluster takes more than {VALUE_BYTES_MAX} bytes"
            ));
        }
        Ok(lengths)
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { least, most } = self;
        if least == most {
            f.pad(&format!("fixed:{least}"))
        } else {
            f.pad(&format!("uniform:{least}..{most}"))
        }
    }
}

impl TryFrom<String> for Lengths {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Lengths> for String {
    fn from(lengths: Lengths) -> Self {
        lengths.to_string()
    }
}
