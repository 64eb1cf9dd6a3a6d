//! Every format with a golden-bytes test is described in `docs/formats.md`.
//!
//! The test carries the comment `// format: NAME`; NAME must occur in the page, as a word of its own.

use super::Problem;
use crate::repository::Repository;
use crate::source::{Source, find_word, is_identifier};

/// The page that describes all formats.
const PAGE: &str = "docs/formats.md";

const MARKER: &str = "// format:";

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    let page = repository.text(PAGE).unwrap_or_default();
    repository.sources().iter().flat_map(|source| check_source(source, page)).collect()
}

fn check_source(source: &Source, page: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for line in source.lines() {
        let Some(name) = line.comment.trim().strip_prefix(MARKER).map(str::trim) else {
            continue;
        };
        if name.is_empty() || !describes(page, name) {
            let text = format!("{PAGE} does not mention the format `{name}`: draw its bytes there");
            problems.push(Problem::new(&source.path, line.number, text));
        }
    }
    problems
}

fn describes(page: &str, name: &str) -> bool {
    find_word(page, name).any(|offset| {
        let rest = page.get(offset + name.len()..).unwrap_or_default();
        !rest.starts_with(is_identifier)
    })
}
