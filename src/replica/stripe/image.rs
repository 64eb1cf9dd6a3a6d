//! A record that will be written, and its bytes where somebody has them already: a minted record was encoded to be shipped,
//! one from a peer came in bytes.
//!
//! Invariant: the bytes are those of the record (equal records have equal bytes).

use atoll_protocol::record::Record;
use bytes::Bytes;

pub(super) struct Image {
    record: Record,
    bytes: Option<Bytes>,
}

impl Image {
    /// A record that was not encoded yet.
    pub(super) fn of(record: Record) -> Self {
        Self { record, bytes: None }
    }

    /// A record and its bytes.
    pub(super) fn encoded(record: Record, bytes: Bytes) -> Self {
        debug_assert_eq!(record.encode(), bytes, "equal records have equal bytes");
        Self { record, bytes: Some(bytes) }
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    pub(super) fn into_record(self) -> Record {
        self.record
    }

    /// Joins `other` into the record.
    pub(super) fn join(&mut self, other: &Record) {
        self.record.join(other);
        self.bytes = None;
    }

    /// Length of the bytes.
    pub(super) fn encoded_len(&self) -> usize {
        self.bytes.as_ref().map_or_else(|| self.record.encoded_len(), Bytes::len)
    }

    /// The bytes; encoded if nobody has.
    pub(super) fn bytes(&self) -> Bytes {
        self.bytes.clone().unwrap_or_else(|| self.record.encode())
    }
}
