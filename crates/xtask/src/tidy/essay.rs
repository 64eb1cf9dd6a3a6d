//! Every production file begins with its essay: a `//!` header on the first line.

use super::Problem;
use crate::repository::Repository;
use crate::source::{Kind, Source};

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    let production = repository.sources().iter().filter(|source| source.kind == Kind::Production);
    production.filter_map(check_source).collect()
}

fn check_source(source: &Source) -> Option<Problem> {
    let first = source.lines().map(|line| line.raw.trim()).find(|line| !line.is_empty());
    let text = first.and_then(|line| line.strip_prefix("//!")).map(str::trim);
    text.is_none_or(str::is_empty).then(|| {
        let mending = "begin the file with a `//!` essay: what it is, where it sits, its steps and invariants";
        Problem::new(&source.path, 1, mending)
    })
}
