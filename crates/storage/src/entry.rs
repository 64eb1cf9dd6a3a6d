//! What is stored for a key: a put, a merge operand or a delete, with its sequence number.
//!
//! The unit that flows from memtable and SSTables through runs into folds.
//!
//! 1. A payload is in memory, in a value file, or both (in a memtable: the log segment is the value file to be).
//! 2. Whoever needs its bytes asks a [`Fetch`]; whoever only moves it never reads them.
//!
//! Invariants
//! - Within a source, entries are ordered by key, then by sequence number, newest first.
//! - A put or a delete is a *base*: nothing older than it can be seen through it.
//! - A pointer names bytes that never change; its digest is the XXH3 of exactly these bytes.

use bytes::Bytes;

use crate::codec::varint_bytes;
use crate::error::Error;

/// One operation on a key, without the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Replaces whatever is below.
    Put(Payload),
    /// Joins with whatever is below.
    Merge(Payload),
    /// Hides whatever is below.
    Delete,
}

/// Where the bytes of a put or an operand are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// In memory, or in the block of a table.
    Inline(Bytes),
    /// In memory, and at `offset` of the log segment that belongs to the same memtable.
    Logged {
        /// The bytes.
        bytes: Bytes,
        /// Where they begin in the segment.
        offset: u64,
        /// Their digest, taken when they were written, so that a flush does not touch them.
        digest: u64,
    },
    /// In a value file.
    Stored(Pointer),
}

/// The place and the digest of a value in a value file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    /// The value file.
    pub(crate) file_id: u64,
    /// Where the value begins.
    pub(crate) offset: u64,
    /// How long it is.
    pub(crate) bytes: u32,
    /// XXH3-64 of the value.
    pub(crate) digest: u64,
}

impl Pointer {
    /// Bytes that a copy of the value would take in a value file, as an operation on `key`.
    pub(crate) fn copy_bytes(&self, key: &[u8]) -> u64 {
        let lengths = varint_bytes(key.len() as u64) + varint_bytes(u64::from(self.bytes));
        1 + lengths + key.len() as u64 + u64::from(self.bytes)
    }
}

/// Reads what a pointer names.
pub(crate) trait Fetch {
    /// The value behind `pointer`; bytes that do not match its digest are corruption.
    fn fetch(&self, pointer: &Pointer) -> Result<Bytes, Error>;
}

/// The digest of a value, as pointers carry it and scans of digests report it.
pub(crate) fn digest(value: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(value)
}

impl Value {
    /// The bytes carried, if there are any.
    pub(crate) fn payload(&self) -> Option<&Payload> {
        match self {
            Value::Put(payload) | Value::Merge(payload) => Some(payload),
            Value::Delete => None,
        }
    }

    /// The same operation with its bytes elsewhere.
    pub(crate) fn with_payload(&self, payload: Payload) -> Value {
        match self {
            Value::Put(_) => Value::Put(payload),
            Value::Merge(_) => Value::Merge(payload),
            Value::Delete => Value::Delete,
        }
    }

    /// Length of the bytes carried; 0 for a delete.
    pub(crate) fn payload_bytes(&self) -> u64 {
        self.payload().map_or(0, Payload::len)
    }

    /// Whether nothing older can be seen through it.
    pub(crate) fn is_base(&self) -> bool {
        !matches!(self, Value::Merge(_))
    }
}

impl Payload {
    /// Length in bytes, wherever they are.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Payload::Inline(bytes) | Payload::Logged { bytes, .. } => bytes.len() as u64,
            Payload::Stored(pointer) => u64::from(pointer.bytes),
        }
    }

    /// The bytes.
    pub(crate) fn load(&self, fetch: &dyn Fetch) -> Result<Bytes, Error> {
        match self {
            Payload::Inline(bytes) | Payload::Logged { bytes, .. } => Ok(bytes.clone()),
            Payload::Stored(pointer) => fetch.fetch(pointer),
        }
    }

    /// The digest of the bytes; reads nothing.
    pub(crate) fn digest(&self) -> u64 {
        match self {
            Payload::Inline(bytes) => digest(bytes),
            Payload::Logged { digest, .. } => *digest,
            Payload::Stored(pointer) => pointer.digest,
        }
    }
}

/// A value and the sequence number of the write that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Position in the store's total order of writes; the newest one covered, for a joined operand.
    pub(crate) sequence: u64,
    /// What the write did.
    pub(crate) value: Value,
}
