//! Gathers the entries of one key, newest first, and joins them.
//!
//! Used alike by reads ([`Stack::resolve`]) and by flush and compaction ([`Stack::fold`]).
//!
//! 1. The caller pushes entries from newest to oldest until the stack is settled (a put or delete was pushed) or there
//!    are no older ones.
//! 2. `resolve` answers a read: the base joined with the operands above it.
//! 3. `fold` makes the fewest entries that mean the same to whatever lies below.
//!
//! Invariants
//! - Nothing is pushed on a settled stack: older entries are hidden.
//! - Without a base, and with possible entries below, operands fold into one operand (associativity).
//! - At the bottom there is nothing below: a delete disappears and operands become a put.
//! - If the operator fails, `fold` returns every entry as it was: nothing is lost.
//!
//! Snapshots need no care here: they pin the memtables and tables they read, which are never changed in place.

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::entry::{Entry, Value};
use crate::merge::{MergeError, MergeOperator};

/// The entries of one key, newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stack {
    entries: Vec<Entry>,
}

/// Whether a fold's result lies on top of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Floor {
    /// Older entries of the key may exist below.
    Maybe,
    /// Nothing older exists anywhere.
    Bottom,
}

/// What a fold leaves to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    /// The key is gone.
    Nothing,
    /// One entry stands for all.
    One(Entry),
    /// The operator failed: all entries, newest first.
    Unfolded(Vec<Entry>),
}

impl Stack {
    /// Adds the next older entry.
    pub(crate) fn push(&mut self, entry: Entry) {
        debug_assert!(!self.is_settled(), "older entries are hidden by the base");
        debug_assert!(self.entries.last().is_none_or(|newer| newer.sequence > entry.sequence));
        self.entries.push(entry);
    }

    /// Whether a base was pushed, so that older entries do not matter.
    pub(crate) fn is_settled(&self) -> bool {
        self.entries.last().is_some_and(|oldest| oldest.value.is_base())
    }

    /// Whether nothing was pushed.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops all entries, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// The value a read sees, given that nothing older matters.
    pub(crate) fn resolve(
        &self,
        key: &[u8],
        merge: &dyn MergeOperator,
    ) -> Result<Option<Bytes>, MergeError> {
        match self.entries.as_slice() {
            [] | [Entry { value: Value::Delete, .. }] => Ok(None),
            [Entry { value: Value::Put(bytes), .. }] => Ok(Some(bytes.clone())),
            entries => join(entries, key, merge).map(Some),
        }
    }

    /// The fewest entries with the same meaning; leaves the stack empty.
    pub(crate) fn fold(&mut self, key: &[u8], merge: &dyn MergeOperator, floor: Floor) -> Fold {
        let settled = self.is_settled();
        let entries = std::mem::take(&mut self.entries);
        let Some(newest) = entries.first() else {
            return Fold::Nothing;
        };
        let sequence = newest.sequence;
        debug_assert!(entries.is_sorted_by(|newer, older| newer.sequence > older.sequence));
        match (entries.as_slice(), floor) {
            ([Entry { value: Value::Delete, .. }], Floor::Bottom) => Fold::Nothing,
            ([Entry { value: Value::Put(_) | Value::Delete, .. }], _)
            | ([Entry { value: Value::Merge(_), .. }], Floor::Maybe) => Fold::One(newest.clone()),
            (_, floor) => match join(&entries, key, merge) {
                Ok(joined)
                    if settled
                        || floor == Floor::Bottom
                        || seeded_bug(Mutant::OperandsBecomePut) =>
                {
                    Fold::One(Entry { sequence, value: Value::Put(joined) })
                }
                Ok(joined) => Fold::One(Entry { sequence, value: Value::Merge(joined) }),
                Err(_) => Fold::Unfolded(entries),
            },
        }
    }
}

/// Joins operands (newest first) onto the base at the end, or onto nothing.
fn join(entries: &[Entry], key: &[u8], merge: &dyn MergeOperator) -> Result<Bytes, MergeError> {
    let mut existing = None;
    let mut operands = Vec::with_capacity(entries.len());
    for entry in entries {
        match &entry.value {
            Value::Merge(operand) => operands.push(operand.as_ref()),
            Value::Put(base) => existing = Some(base.as_ref()),
            Value::Delete => existing = None,
        }
    }
    assert!(!operands.is_empty(), "only operands need joining");
    debug_assert!(operands.len() + 1 >= entries.len(), "at most one base, below the operands");
    operands.reverse();
    merge.merge(key, existing, &operands).map(Bytes::from)
}

#[cfg(test)]
mod tests;
