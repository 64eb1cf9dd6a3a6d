//! Assertion floor: the crates that decide and keep state their invariants as assertions too.
//!
//! `crates/protocol` and `crates/storage` carry at least one macro of the `assert` family per [`LINES_PER_ASSERTION`]
//! lines of production code. Blank lines and comments do not count, so that documentation never costs an assertion.

use super::Problem;
use crate::repository::Repository;
use crate::source::{Source, find_word};

/// The floor, in lines of code for each assertion. The aim is twice as dense.
const LINES_PER_ASSERTION: usize = 60;

/// The crates with a floor.
const CRATES: [&str; 2] = ["crates/protocol/src/", "crates/storage/src/"];

const FAMILY: [&str; 6] = [
    "assert!(",
    "assert_eq!(",
    "assert_ne!(",
    "debug_assert!(",
    "debug_assert_eq!(",
    "debug_assert_ne!(",
];

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    let of_crate = |folder: &'static str| {
        let sources = repository.sources().iter();
        let sources = sources.filter(move |source| source.path.starts_with(folder));
        problem(folder, sources)
    };
    CRATES.iter().filter_map(|folder| of_crate(folder)).collect()
}

fn problem<'a>(folder: &str, sources: impl Iterator<Item = &'a Source>) -> Option<Problem> {
    let mut lines = 0;
    let mut assertions = 0;
    for line in sources.flat_map(Source::production) {
        lines += usize::from(!line.code.trim().is_empty());
        assertions += FAMILY.iter().map(|name| find_word(line.code, name).count()).sum::<usize>();
    }
    let floor = lines / LINES_PER_ASSERTION;
    (assertions < floor).then(|| {
        let text = format!(
            "{assertions} assertions in {lines} lines of production code, and the floor is {floor} (1 per \
             {LINES_PER_ASSERTION}): assert the invariants that the module headers state"
        );
        Problem::new(&format!("{folder}lib.rs"), 1, text)
    })
}
