//! The demo's memory: every write that was acknowledged, and whether what a get finds is it. Pure.
//!
//! Invariants
//! - A key is written with one value only, so that a repeated put cannot change what must be found.
//! - A value that is there twice (a put whose answer was lost, and its repetition) counts as found: nothing is missing.

use std::collections::BTreeMap;

use atoll_client::{Value, Versions};
use bytes::Bytes;

/// The time zones of the world (public domain), see `data/README.md`.
const TIME_ZONES: &str = include_str!("../../data/time-zones.tsv");

/// One record to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: Bytes,
}

/// Acknowledged writes.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: BTreeMap<String, Bytes>,
}

impl Ledger {
    /// Notes acknowledged writes.
    pub(super) fn extend(&mut self, acked: impl IntoIterator<Item = Entry>) {
        for Entry { key, value } in acked {
            let before = self.entries.insert(key, value);
            debug_assert_eq!(before, None, "a key is written with one value only");
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// All of them, by key.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let entry =
            |(key, value): (&String, &Bytes)| Entry { key: key.clone(), value: value.clone() };
        self.entries.iter().map(entry).collect()
    }
}

/// The time zone table: one entry per line after the header.
pub(super) fn time_zones() -> Vec<Entry> {
    let lines = TIME_ZONES.lines().skip(1);
    let entry = |line: &'static str| {
        let (key, value) = line.split_once('\t')?;
        Some(Entry { key: key.to_owned(), value: Bytes::from_static(value.as_bytes()) })
    };
    lines.filter_map(entry).collect()
}

/// What is wrong with `found`, if it is not exactly `expected`.
pub(super) fn discrepancy(found: &Versions, expected: &Bytes) -> Option<String> {
    let values: Vec<&Bytes> = found.values().iter().map(Value::bytes).collect();
    if values.is_empty() {
        Some("it is missing".to_owned())
    } else if values.iter().any(|value| *value != expected) {
        Some(format!("{} value(s), not only the written one", values.len()))
    } else {
        None
    }
}
