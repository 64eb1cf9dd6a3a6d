//! Length budgets: files and functions of production code.
//!
//! A file has at most [`FILE_LINES_SOFT_MAX`] production lines. `tidy-allow.txt` lifts that for single files, each with
//! its own limit and reason, and works as a ratchet: a file never grows past its limit, and an entry that is not needed
//! any more must go. Nothing lifts [`FILE_LINES_HARD_MAX`] or [`FUNCTION_LINES_MAX`].

use super::Problem;
use crate::repository::Repository;
use crate::source::{Kind, Source, find_word, is_identifier, item_end};

/// Production lines of a file, comments included; more needs a reason.
const FILE_LINES_SOFT_MAX: usize = 400;

/// Production lines of a file that no reason lifts.
const FILE_LINES_HARD_MAX: usize = 700;

/// Lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

/// The ratchet: `path limit reason` on each line, `#` begins a comment.
const ALLOW: &str = "crates/xtask/tidy-allow.txt";

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    let (entries, mut problems) = parse(repository.text(ALLOW).unwrap_or_default());
    let production =
        || repository.sources().iter().filter(|source| source.kind == Kind::Production);
    for source in production() {
        let entry = entries.iter().find(|entry| entry.path == source.path);
        problems.extend(check_file(source, entry));
        problems.extend(check_functions(source));
    }
    for entry in &entries {
        let needed = production()
            .any(|s| s.path == entry.path && s.production().count() > FILE_LINES_SOFT_MAX);
        if !needed {
            let text = format!("{} needs no exception any more: delete this line", entry.path);
            problems.push(Problem::new(ALLOW, entry.line, text));
        }
    }
    problems
}

/// One line of the ratchet.
#[derive(Debug)]
struct Entry<'a> {
    line: usize,
    path: &'a str,
    limit: usize,
}

fn parse(text: &str) -> (Vec<Entry<'_>>, Vec<Problem>) {
    let mut entries = Vec::new();
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match parse_line(index + 1, line) {
            Some(entry) => entries.push(entry),
            None => {
                let text = format!(
                    "expected `path limit reason`, with a limit up to {FILE_LINES_HARD_MAX}"
                );
                problems.push(Problem::new(ALLOW, index + 1, text));
            }
        }
    }
    (entries, problems)
}

fn parse_line(number: usize, line: &str) -> Option<Entry<'_>> {
    let mut words = line.split_whitespace();
    let path = words.next()?;
    let limit: usize = words.next()?.parse().ok()?;
    let has_reason = words.next().is_some();
    (has_reason && limit <= FILE_LINES_HARD_MAX).then_some(Entry { line: number, path, limit })
}

fn check_file(source: &Source, entry: Option<&Entry<'_>>) -> Option<Problem> {
    let count = source.production().count();
    let limit = entry.map_or(FILE_LINES_SOFT_MAX, |entry| entry.limit);
    (count > limit).then(|| {
        let text = format!(
            "{count} production lines, and the limit is {limit}: split the file by what it decides (a reason in {ALLOW} \
             lifts the limit up to {FILE_LINES_HARD_MAX})"
        );
        Problem::new(&source.path, 1, text)
    })
}

fn check_functions(source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    for start in find_word(&source.code, "fn ") {
        let rest = source.code.get(start + "fn ".len()..).unwrap_or_default();
        let first = source.line_at(start);
        if !rest.starts_with(is_identifier) || source.kind_at(first) == Kind::Test {
            continue;
        }
        let count = source.line_at(item_end(&source.code, start)) - first + 1;
        if count > FUNCTION_LINES_MAX {
            let name = crate::source::identifier(rest);
            let text = format!(
                "function `{name}` has {count} lines, and the limit is {FUNCTION_LINES_MAX}: keep the switch here and \
                 move straight-line work into functions named after it"
            );
            problems.push(Problem::new(&source.path, first, text));
        }
    }
    problems
}
