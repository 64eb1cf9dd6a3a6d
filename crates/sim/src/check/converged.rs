//! I3/P7: in the end all owners of a key hold byte-identical records, and all can be read.
//!
//! Holding nothing is holding the empty record. A history without any final record is of a run that did not reach its
//! end; its findings say why.

use bytes::Bytes;

use super::promise;
use super::view::KeyView;
use crate::history::{Final, Violation};

pub(super) fn diverged(view: &KeyView<'_>) -> Vec<Violation> {
    if view.history.finals.is_empty() {
        return Vec::new();
    }
    let blame = |detail: String| view.violation(promise::APART, &[], detail);
    let unreadable = view.key.owners.iter().filter_map(|&(node, _)| {
        match view.history.finals.get(&(view.id, node)) {
            Some(Final::Record(_) | Final::Absent) => None,
            Some(Final::Unreadable(reason)) => {
                Some(format!("n{} cannot be read: {reason}", node.0))
            }
            None => Some(format!("what n{} stores was not recorded", node.0)),
        }
    });
    unreadable.chain(difference(view)).map(blame).collect()
}

/// Two owners that differ, in words.
fn difference(view: &KeyView<'_>) -> Option<String> {
    let mut records = view.final_records().map(|(node, record)| {
        let bytes = record.filter(|record| !record.is_empty()).map(|record| record.encode());
        (node, bytes.unwrap_or_else(Bytes::new))
    });
    let (first, bytes) = records.next()?;
    let (other, _) = records.find(|(_, others)| *others != bytes)?;
    Some(format!("n{} and n{} hold different records", first.0, other.0))
}
