//! What is stored for a key: a put, a merge operand or a delete, with its sequence number.
//!
//! The unit that flows from memtable and SSTables through runs into folds.
//!
//! Invariants
//! - Within a source, entries are ordered by key, then by sequence number, newest first.
//! - A put or a delete is a *base*: nothing older than it can be seen through it.

use bytes::Bytes;

/// One operation on a key, without the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Replaces whatever is below.
    Put(Bytes),
    /// Joins with whatever is below.
    Merge(Bytes),
    /// Hides whatever is below.
    Delete,
}

impl Value {
    /// The byte that stands for this kind in every format.
    pub(crate) fn tag(&self) -> u8 {
        match self {
            Value::Put(_) => 1,
            Value::Merge(_) => 2,
            Value::Delete => 3,
        }
    }

    /// The value behind a tag; `None` for an unknown tag or a delete that carries bytes.
    pub(crate) fn from_tag(tag: u8, payload: Bytes) -> Option<Value> {
        match tag {
            1 => Some(Value::Put(payload)),
            2 => Some(Value::Merge(payload)),
            3 if payload.is_empty() => Some(Value::Delete),
            _ => None,
        }
    }

    /// The bytes carried; empty for a delete.
    pub(crate) fn payload(&self) -> &[u8] {
        match self {
            Value::Put(bytes) | Value::Merge(bytes) => bytes,
            Value::Delete => &[],
        }
    }

    /// Whether nothing older can be seen through it.
    pub(crate) fn is_base(&self) -> bool {
        !matches!(self, Value::Merge(_))
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

/// An entry with its key, as runs carry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyedEntry {
    /// The user key.
    pub(crate) key: Bytes,
    /// What is stored for it.
    pub(crate) entry: Entry,
}
