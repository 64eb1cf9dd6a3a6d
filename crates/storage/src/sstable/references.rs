//! The references of a table: which value files its entries point into, and how many bytes of each are alive for it.
//!
//! Counted by the table writer; opened with the table. The sum over all live tables is what is alive of a value file.
//!
//! 1. Pointers in entries name a file by its position in this list, one byte instead of eight.
//! 2. The list is in the order in which the writer met the files.
//!
//! Invariant: `live_bytes` is what a copy of all that the table points to in the file would take, keys included.

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::{Reader, put_varint};
use crate::entry::Pointer;
use crate::value_log::ValueKind;

/// First byte of encoded references; another layout gets another number.
const VERSION: u8 = 1;

/// One value file that a table points into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReferenceRecord {
    /// Which kind of file it is.
    pub(crate) kind: ValueKind,
    /// Its id.
    pub(crate) file_id: u64,
    /// Bytes of it that the table's entries point to.
    pub(crate) live_bytes: u64,
}

/// Counts the references of a table while it is written.
#[derive(Debug, Default)]
pub(super) struct ReferenceCounter {
    kinds: BTreeMap<u64, ValueKind>,
    records: Vec<ReferenceRecord>,
    positions: BTreeMap<u64, usize>,
}

impl ReferenceCounter {
    /// Says of which kind a file is, before the first pointer into it.
    pub(super) fn declare(&mut self, file_id: u64, kind: ValueKind) {
        let before = self.kinds.insert(file_id, kind);
        assert!(before.is_none_or(|before| before == kind), "ids are unique across kinds");
    }

    /// Whether the kind of a file was said.
    pub(super) fn knows(&self, file_id: u64) -> bool {
        self.kinds.contains_key(&file_id)
    }

    /// Counts a pointer of `key`; returns the position of its file.
    pub(super) fn count(&mut self, key: &[u8], pointer: &Pointer) -> u64 {
        let at = *self.positions.entry(pointer.file_id).or_insert_with(|| {
            let kind = self.kinds.get(&pointer.file_id);
            let kind = *kind.expect("the kind of a value file is declared before pointers into it");
            let file_id = pointer.file_id;
            self.records.push(ReferenceRecord { kind, file_id, live_bytes: 0 });
            self.records.len() - 1
        });
        if let Some(record) = self.records.get_mut(at) {
            assert!(record.file_id == pointer.file_id);
            record.live_bytes += pointer.copy_bytes(key);
        }
        at as u64
    }

    /// What was counted.
    pub(super) fn records(&self) -> &[ReferenceRecord] {
        &self.records
    }
}

/// The bytes of `records`.
pub(super) fn encode(records: &[ReferenceRecord]) -> Vec<u8> {
    let mut out = vec![VERSION];
    for record in records {
        out.push(record.kind.tag());
        put_varint(&mut out, record.file_id);
        put_varint(&mut out, record.live_bytes);
    }
    out
}

/// The records in `bytes`; `None` if they are malformed or name a file twice.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<ReferenceRecord>> {
    let mut reader = Reader::new(bytes);
    if reader.u8()? != VERSION {
        return None;
    }
    let mut records = Vec::new();
    let mut file_ids = BTreeSet::new();
    while reader.remaining() > 0 {
        let kind = ValueKind::from_tag(reader.u8()?)?;
        let file_id = reader.varint()?;
        let live_bytes = reader.varint()?;
        if !file_ids.insert(file_id) {
            return None;
        }
        records.push(ReferenceRecord { kind, file_id, live_bytes });
    }
    debug_assert!(records.len() == file_ids.len());
    Some(records)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ReferenceCounter, ReferenceRecord, decode, encode};
    use crate::entry::Pointer;
    use crate::value_log::ValueKind;

    #[test]
    fn golden_bytes() {
        let mut counter = ReferenceCounter::default();
        counter.declare(5, ValueKind::Segment);
        counter.declare(300, ValueKind::Values);
        counter.declare(6, ValueKind::Values);
        let pointer = |file_id, bytes| Pointer { file_id, offset: 0, bytes, digest: 0 };
        let positions = [(300, 100), (5, 7), (300, 100)]
            .map(|(id, bytes)| counter.count(b"key", &pointer(id, bytes)));
        assert_eq!(positions, [0, 1, 0]);
        let encoded = encode(counter.records());
        assert_eq!(encoded, [1, 2, 0xac, 2, 0xd4, 1, 1, 5, 13]);
        let expected = [
            ReferenceRecord { kind: ValueKind::Values, file_id: 300, live_bytes: 212 },
            ReferenceRecord { kind: ValueKind::Segment, file_id: 5, live_bytes: 13 },
        ];
        assert_eq!(decode(&encoded).unwrap(), expected);
    }

    #[test]
    fn malformed_bytes_are_refused() {
        for bytes in [&[][..], &[2], &[1, 3, 1, 1], &[1, 1, 5], &[1, 1, 5, 7, 2, 5, 7]] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
        assert_eq!(decode(&[1]), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
            let mut versioned = vec![1];
            versioned.extend(bytes);
            let _ = decode(&versioned);
        }
    }
}
