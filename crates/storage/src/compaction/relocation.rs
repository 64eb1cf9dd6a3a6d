//! Decides which value files to empty: a pure function of their sizes.
//!
//! Asked when no compaction is due; table-tested.
//!
//! 1. Garbage is what a value file holds beyond what a copy of its live values, with their keys, would take.
//! 2. When all garbage exceeds a share of all bytes, the files with the greatest share of garbage are to be emptied, until
//!    what would be left is below half of that. The share is small while nobody writes, and larger while somebody does: a
//!    file that waits gathers more garbage, so that less has to be copied.
//! 3. Emptying means to rewrite every table below level 0 that points into them; values are copied in key order. Level 0
//!    is left alone: it is merged down soon enough.
//!
//! Invariant: a file is chosen only if emptying it gains at least [`GARBAGE_PERCENT_OF_FILE`] of its bytes.
//!
//! Source: the cost-benefit cleaning of Rosenblum and Ousterhout, "The Design and Implementation of a Log-Structured File
//! System", 1992, reduced to the benefit: all files are about equally old in a store of hashed keys.

use std::collections::{BTreeMap, BTreeSet};

/// Garbage at which emptying begins while nobody writes. With it and the tables (about 4 % at 1 KiB), disk use at rest
/// stays below 1.2 times the live bytes.
const GARBAGE_PERCENT_CALM: u64 = 12;

/// Garbage at which emptying begins while somebody writes: disk use stays below about 1.5 times the live bytes.
const GARBAGE_PERCENT_BUSY: u64 = 30;

/// Least share of garbage of a file that is worth copying the rest: at 10 % ten bytes are copied to gain one.
const GARBAGE_PERCENT_OF_FILE: u64 = 10;

/// Bytes of a file that no copy could save: its header, and that of a record.
const FILE_OVERHEAD_BYTES: u64 = 64;

/// What the decision needs to know of a value file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileShape {
    /// Bytes of the file.
    pub(crate) bytes: u64,
    /// Bytes that a copy of what tables point to would take.
    pub(crate) live_bytes: u64,
}

impl FileShape {
    fn garbage(self) -> u64 {
        self.bytes.saturating_sub(self.live_bytes + FILE_OVERHEAD_BYTES)
    }
}

/// Whether writers are at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// They are: background work that can wait should.
    Busy,
    /// Nothing was written for a while.
    Calm,
}

/// The files to empty; none if there is little garbage.
pub(crate) fn choose_files(files: &BTreeMap<u64, FileShape>, demand: Demand) -> BTreeSet<u64> {
    let percent_start = match demand {
        Demand::Busy => GARBAGE_PERCENT_BUSY,
        Demand::Calm => GARBAGE_PERCENT_CALM,
    };
    let all: u64 = files.values().map(|file| file.bytes).sum();
    let mut garbage: u64 = files.values().map(|file| file.garbage()).sum();
    let mut chosen = BTreeSet::new();
    if garbage * 100 <= all * percent_start {
        return chosen;
    }
    let mut by_share: Vec<_> = files.iter().filter(|(_, file)| file.bytes > 0).collect();
    by_share.sort_by_key(|(id, file)| {
        (std::cmp::Reverse(u128::from(file.garbage()) * 1_000 / u128::from(file.bytes)), **id)
    });
    for (file_id, file) in by_share {
        let worth_it = file.garbage() * 100 >= file.bytes * GARBAGE_PERCENT_OF_FILE;
        if garbage * 200 <= all * percent_start || !worth_it {
            break;
        }
        garbage -= file.garbage();
        chosen.insert(*file_id);
    }
    debug_assert!(chosen.len() <= files.len());
    chosen
}

#[cfg(test)]
mod tests {
    use super::{Demand, FileShape, choose_files};

    /// (bytes, live bytes) in KiB, by id from 1.
    fn choose(files: &[(u64, u64)], demand: Demand) -> Vec<u64> {
        let shapes = files
            .iter()
            .map(|(bytes, live)| FileShape { bytes: *bytes * 1_024, live_bytes: *live * 1_024 });
        choose_files(&(1..).zip(shapes).collect(), demand).into_iter().collect()
    }

    /// A name, files, and the ids of those that are chosen.
    type Case = (&'static str, &'static [(u64, u64)], &'static [u64]);

    #[test]
    fn table_of_choices() {
        let cases: [Case; 7] = [
            ("no file", &[], &[]),
            ("no garbage", &[(100, 100), (100, 99)], &[]),
            ("just below the start", &[(100, 88), (100, 88)], &[]),
            ("the worst first, until little is left", &[(100, 90), (100, 20), (100, 95)], &[2]),
            ("counted twice while a table is trimmed", &[(100, 150), (100, 10)], &[2]),
            ("all, if all are bad", &[(100, 50), (100, 40)], &[1, 2]),
            ("the last bytes are not worth a copy", &[(100, 89), (100, 91), (100, 81)], &[1, 3]),
        ];
        for (name, files, expected) in cases {
            assert_eq!(choose(files, Demand::Calm), expected, "{name}");
        }
    }
    #[test]
    fn under_load_files_wait_until_copying_them_gains_more() {
        let files = [(100, 75), (100, 80)];
        assert_eq!(choose(&files, Demand::Calm), [1, 2]);
        assert_eq!(choose(&files, Demand::Busy), []);
        assert_eq!(choose(&[(100, 30), (100, 80)], Demand::Busy), [1]);
    }
}
