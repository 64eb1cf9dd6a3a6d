//! `CURRENT`: the small file that names the live manifest.
//!
//! Read first by recovery; replaced whenever a new manifest file takes over.
//!
//! Invariant: replaced atomically (write, sync, rename, sync the directory), so that it always names a complete manifest.

use crate::checksum::Place;
use crate::codec::Reader;
use crate::disk::{Disk, OpenHow};
use crate::error::Error;
use crate::files::{CURRENT, StoreFile, publish, temporary};

const MAGIC: [u8; 8] = *b"ATOLLCUR";

const VERSION: u8 = 1;

/// 8 magic + 1 version + 3 zero + 8 manifest id + 4 CRC.
pub(super) const CURRENT_BYTES: usize = 24;

/// Length of the checksum at the end, in bytes: a CRC32C.
const CHECKSUM_BYTES: usize = 4;

/// The bytes of a `CURRENT` that names manifest `manifest_id`.
pub(super) fn encode(manifest_id: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(CURRENT_BYTES);
    out.extend_from_slice(&MAGIC);
    out.push(VERSION);
    out.extend_from_slice(&[0; 3]);
    out.extend_from_slice(&manifest_id.to_le_bytes());
    let crc = place().checksum(&[&out]);
    out.extend_from_slice(&crc.to_le_bytes());
    assert!(out.len() == CURRENT_BYTES);
    out
}

/// The manifest id in `bytes`; `None` if they are not a `CURRENT`.
pub(super) fn decode(bytes: &[u8]) -> Option<u64> {
    let covered = bytes.get(..CURRENT_BYTES - CHECKSUM_BYTES)?;
    let mut reader = Reader::new(bytes);
    if reader.bytes(MAGIC.len())? != MAGIC || reader.u8()? != VERSION {
        return None;
    }
    reader.bytes(3)?;
    let manifest_id = reader.u64()?;
    let crc = reader.u32()?;
    (reader.remaining() == 0 && crc == place().checksum(&[covered])).then_some(manifest_id)
}

/// Whether a directory listing holds a `CURRENT`: without one, the store was never created.
pub(crate) fn is_present(names: &[String]) -> bool {
    names.iter().any(|name| name == CURRENT)
}

/// Reads the id of the live manifest.
pub(crate) fn read_current(disk: &dyn Disk) -> Result<u64, Error> {
    let file = StoreFile::open(disk, CURRENT, OpenHow::Read)?;
    let bytes = file.read_all()?;
    decode(&bytes).ok_or_else(|| file.corrupt(0, "CURRENT does not check"))
}

/// Switches the store to manifest `manifest_id`; durable on return.
pub(super) fn switch(disk: &dyn Disk, manifest_id: u64) -> Result<(), Error> {
    let file = StoreFile::open(disk, &temporary(CURRENT), OpenHow::Replace)?;
    file.write_all(0, &encode(manifest_id))?;
    file.sync()?;
    publish(disk, CURRENT)
}

fn place() -> Place {
    Place { file_id: 0, offset: 0, sequence: 0 }
}
