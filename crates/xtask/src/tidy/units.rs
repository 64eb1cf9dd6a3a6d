//! Every constant with a unit says where its number comes from: a `///` line above, or a comment beside it.

use super::Problem;
use crate::repository::Repository;
use crate::source::{Line, Source, find_word, identifier};

/// Name endings that carry a unit or a bound.
const SUFFIXES: [&str; 16] = [
    "_BYTES",
    "_MAX",
    "_MIN",
    "_NS",
    "_US",
    "_MS",
    "_MICROS",
    "_MILLIS",
    "_SECS",
    "_SECONDS",
    "_BITS",
    "_PERCENT",
    "_LINES",
    "_TIMEOUT",
    "_INTERVAL",
    "_LIMIT",
];

/// Types of numbers and of time.
const NUMERIC: [&str; 15] = [
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "f32",
    "f64", "Duration",
];

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    repository.sources().iter().flat_map(check_source).collect()
}

fn check_source(source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    for line in source.production() {
        let Some(name) = constant_with_unit(line.code) else {
            continue;
        };
        if !is_explained(source, &line) {
            let text = format!(
                "`{name}` has a unit but no doc line: say what it bounds and show its arithmetic"
            );
            problems.push(Problem::new(&source.path, line.number, text));
        }
    }
    problems
}

/// The name in `const NAME_BYTES: usize`, if its ending is a unit and its type a number.
fn constant_with_unit(code: &str) -> Option<&str> {
    let start = find_word(code, "const ").next()? + "const ".len();
    let name = identifier(code.get(start..)?);
    let kind = code.get(start + name.len()..)?.strip_prefix(':')?;
    let kind = kind.split('=').next()?.trim().trim_end_matches(';');
    let kind = kind.rsplit("::").next()?;
    let has_unit = SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    (has_unit && NUMERIC.contains(&kind)).then_some(name)
}

fn is_explained(source: &Source, line: &Line<'_>) -> bool {
    let above = source.above(line.number, usize::MAX).map(str::trim);
    let nearest = above.into_iter().find(|line| !line.starts_with("#["));
    !line.comment.trim().is_empty() || nearest.is_some_and(|line| line.starts_with("///"))
}
