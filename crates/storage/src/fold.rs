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
//! - If the operator fails, or a value is damaged, `fold` returns every entry as it was: nothing is lost.
//!
//! Snapshots need no care here: they pin the memtables and tables they read, which are never changed in place.

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::entry::{Entry, Fetch, Payload, Value, digest};
use crate::error::Error;
use crate::merge::{MergeError, MergeOperator};

/// The entries of one key, newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stack {
    entries: Vec<Entry>,
    /// Entries up to this sequence number were dropped with the range that the key lies in.
    floor: u64,
    /// Whether there was such an entry: what is below it was dropped, too.
    reached_floor: bool,
}

/// Whether a fold's result lies on top of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Floor {
    /// Older entries of the key may exist below.
    Maybe,
    /// Nothing older exists anywhere.
    Bottom,
}

/// What a read sees, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// Nothing.
    Absent,
    /// The payload of one entry.
    Lone(Bytes),
    /// Operands that were joined.
    Joined(Join),
}

/// The join of all entries of a key, from the newest down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Join {
    /// The newest entry's sequence number.
    pub(crate) sequence: u64,
    /// What they come to.
    pub(crate) value: Bytes,
    /// The newest alone comes to the same: it knew the others.
    pub(crate) is_newest: bool,
}

/// What a fold leaves to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    /// The key is gone.
    Nothing,
    /// One entry stands for all.
    One(Entry),
    /// The operator failed, or a value is damaged: all entries, newest first.
    Unfolded(Vec<Entry>),
}

impl Stack {
    /// Adds the next older entry. What comes from a file has been asked for by [`accepts`](Stack::accepts) before.
    pub(crate) fn push(&mut self, entry: Entry) {
        debug_assert!(!self.is_settled(), "older entries are hidden by the base");
        debug_assert!(self.accepts(entry.sequence), "entries are pushed from newest to oldest");
        if entry.sequence > self.floor {
            self.entries.push(entry);
        } else {
            self.reached_floor = true;
        }
    }

    /// Whether an entry with this sequence number is older than all that were pushed.
    #[inline]
    pub(crate) fn accepts(&self, sequence: u64) -> bool {
        self.entries.last().is_none_or(|newer| newer.sequence > sequence)
    }

    /// Empties it for a key whose entries up to `floor` were dropped.
    pub(crate) fn begin(&mut self, floor: u64) {
        self.clear();
        self.floor = floor;
    }

    /// Whether a base was pushed, or a dropped entry, so that older entries do not matter.
    pub(crate) fn is_settled(&self) -> bool {
        self.reached_floor || self.entries.last().is_some_and(|oldest| oldest.value.is_base())
    }

    /// Whether nothing was pushed.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && !self.reached_floor
    }

    /// Forgets all entries and the floor, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.floor = 0;
        self.reached_floor = false;
    }

    /// The newest entry, if it is an operand: what it comes to depends on what is below.
    pub(crate) fn newest_operand(&self) -> Option<(u64, &Payload)> {
        match self.entries.first() {
            Some(Entry { sequence, value: Value::Merge(operand) }) => Some((*sequence, operand)),
            _ => None,
        }
    }

    /// The value a read sees, given that nothing older matters.
    pub(crate) fn resolve(
        &self,
        key: &[u8],
        merge: &dyn MergeOperator,
        fetch: &dyn Fetch,
    ) -> Result<Resolved, Error> {
        match self.lone() {
            Lone::Absent => Ok(Resolved::Absent),
            Lone::Payload(payload) => payload.load(fetch).map(Resolved::Lone),
            Lone::Several => {
                let joined = join(&self.entries, key, merge, fetch)??;
                Ok(Resolved::Joined(joined))
            }
        }
    }

    /// The digest of the value a read sees; reads values only where several have to be joined.
    pub(crate) fn resolve_digest(
        &self,
        key: &[u8],
        merge: &dyn MergeOperator,
        fetch: &dyn Fetch,
    ) -> Result<Option<u64>, Error> {
        match self.lone() {
            Lone::Absent => Ok(None),
            Lone::Payload(payload) => Ok(Some(payload.digest())),
            Lone::Several => {
                let joined = join(&self.entries, key, merge, fetch)??;
                Ok(Some(digest(&joined.value)))
            }
        }
    }

    /// The fewest entries with the same meaning; leaves the stack empty.
    ///
    /// Reads values only where operands have to be joined. A damaged one leaves the key's entries as they are: the damage
    /// is reported to who reads the key, and does not keep others from being compacted.
    pub(crate) fn fold(
        &mut self,
        key: &[u8],
        floor: Floor,
        merge: &dyn MergeOperator,
        fetch: &dyn Fetch,
    ) -> Result<Fold, Error> {
        let settled = self.is_settled();
        let Some(newest) = self.entries.first() else {
            self.clear();
            return Ok(Fold::Nothing);
        };
        let sequence = newest.sequence;
        debug_assert!(self.entries.is_sorted_by(|newer, older| newer.sequence > older.sequence));
        let fold = match (self.entries.as_slice(), floor) {
            ([Entry { value: Value::Delete, .. }], Floor::Bottom) => Fold::Nothing,
            ([Entry { value: Value::Put(_) | Value::Delete, .. }], _)
            | ([Entry { value: Value::Merge(_), .. }], Floor::Maybe) => Fold::One(newest.clone()),
            ([Entry { value: Value::Merge(operand), .. }], Floor::Bottom) => {
                // A lone operand is the value (the operator's law of identity).
                Fold::One(Entry { sequence, value: Value::Put(operand.clone()) })
            }
            (
                [Entry { value: Value::Merge(operand), .. }, Entry { value: Value::Delete, .. }],
                _,
            ) => Fold::One(Entry { sequence, value: Value::Put(operand.clone()) }),
            (entries, floor) => match join(entries, key, merge, fetch) {
                Ok(Ok(joined)) => {
                    let base =
                        settled || floor == Floor::Bottom || seeded_bug(Mutant::OperandsBecomePut);
                    let joined = Payload::Inline(joined.value);
                    let value = if base { Value::Put(joined) } else { Value::Merge(joined) };
                    Fold::One(Entry { sequence, value })
                }
                Ok(Err(_)) | Err(Error::Corrupt { .. }) => {
                    Fold::Unfolded(std::mem::take(&mut self.entries))
                }
                Err(error) => return Err(error),
            },
        };
        self.clear();
        Ok(fold)
    }

    fn lone(&self) -> Lone<'_> {
        match self.entries.as_slice() {
            [] | [Entry { value: Value::Delete, .. }] => Lone::Absent,
            [Entry { value: Value::Put(payload) | Value::Merge(payload), .. }]
            | [Entry { value: Value::Merge(payload), .. }, Entry { value: Value::Delete, .. }] => {
                Lone::Payload(payload)
            }
            _ => Lone::Several,
        }
    }
}

/// What a stack without anything below comes to.
enum Lone<'a> {
    /// Nothing, or a delete.
    Absent,
    /// One payload that is the value.
    Payload(&'a Payload),
    /// Operands to be joined.
    Several,
}

/// Joins operands (newest first) onto the base at the end, or onto nothing.
fn join(
    entries: &[Entry],
    key: &[u8],
    merge: &dyn MergeOperator,
    fetch: &dyn Fetch,
) -> Result<Result<Join, MergeError>, Error> {
    let mut existing = None;
    let mut operands = Vec::with_capacity(entries.len());
    for entry in entries {
        match &entry.value {
            Value::Merge(operand) => operands.push(operand.load(fetch)?),
            Value::Put(base) => existing = Some(base.load(fetch)?),
            Value::Delete => existing = None,
        }
    }
    assert!(!operands.is_empty(), "only operands need joining");
    debug_assert!(operands.len() + 1 >= entries.len(), "at most one base, below the operands");
    operands.reverse();
    let sequence = entries.first().map_or(0, |newest| newest.sequence);
    Ok(merge.merge(key, existing.as_ref(), &operands).map(|value| {
        let is_newest = operands.last() == Some(&value);
        Join { sequence, value, is_newest }
    }))
}

impl Resolved {
    /// The value, if there is one.
    pub(crate) fn into_value(self) -> Option<Bytes> {
        match self {
            Resolved::Absent => None,
            Resolved::Lone(value) | Resolved::Joined(Join { value, .. }) => Some(value),
        }
    }
}

#[cfg(test)]
mod tests;
