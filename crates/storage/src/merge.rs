//! The merge operator: how the engine joins values it does not understand.
//!
//! Implemented by the node (`src/replica` joins record versions) and called by reads, flush and compaction.
//!
//! 1. A `merge` entry of a batch is stored as an operand, without reading what is there (a blind write).
//! 2. A read gathers the operands of a key down to the newest put or delete and joins them.
//! 3. Flush and compaction join adjacent operands early, so that later reads find fewer of them.
//!
//! Invariants: the operator is deterministic and obeys the laws of [`MergeOperator`]; the engine may join any
//! neighbours at any time, and any number of times.
//!
//! Source: RocksDB's associative merge operator.

use std::fmt;

use bytes::Bytes;

/// Joins operands onto a value; given by the caller at [`Engine::open`](crate::Engine::open).
///
/// Laws, which the engine relies on and does not check:
/// 1. *Associativity*: `merge(e, [a, b])` equals `merge(e, [merge(None, [a, b])])` for every existing value or `None`.
///    The join of some operands is thus itself an operand, and flush stores it as one.
/// 2. *Identity*: `merge(None, [a])` equals `a`. A lone operand is thus its key's value, and is neither joined nor checked.
/// 3. *Determinism*: the result depends on the arguments alone.
pub trait MergeOperator: Send + Sync + 'static {
    /// Returns `existing` (the value below, or `None`) joined with `operands`, oldest first and never empty. An argument that is
    /// the result already may be handed back as it is.
    ///
    /// Must not panic and must not call the engine. Runs on reader, writer and maintenance threads at once.
    ///
    /// # Errors
    /// [`MergeError`] when an argument cannot be understood: reads of the key then fail, and flush and compaction keep
    /// all its entries unjoined, so that nothing is lost.
    fn merge(
        &self,
        key: &[u8],
        existing: Option<&Bytes>,
        operands: &[Bytes],
    ) -> Result<Bytes, MergeError>;
}

/// The operator could not understand a value or an operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeError {
    reason: String,
}

impl MergeError {
    /// An error that says why, for people.
    pub fn new(reason: impl Into<String>) -> MergeError {
        MergeError { reason: reason.into() }
    }
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for MergeError {}

/// For tests in which nothing is joined.
#[cfg(test)]
pub(crate) struct Unused;

#[cfg(test)]
impl MergeOperator for Unused {
    fn merge(&self, _: &[u8], _: Option<&Bytes>, _: &[Bytes]) -> Result<Bytes, MergeError> {
        Err(MergeError::new("nothing is joined here"))
    }
}
