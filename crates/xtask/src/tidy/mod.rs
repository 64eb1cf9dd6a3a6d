//! `cargo xtask tidy`: the rules of the project that compilers and linters do not know.
//!
//! 1. `repository.rs` reads every text file once; Rust files are split into code and comments (`source.rs`).
//! 2. Each check is a pure function over paths and texts, in a module of its own, and returns its problems.
//! 3. All problems are printed at once, ordered by place, each with its mending. Any problem makes the exit code 1.
//!
//! The report depends on the files alone: no clock, no order of a directory, no absolute path.
//!
//! Absent on purpose: a way to silence a rule in place. What is really needed stands with its reason in
//! `tidy-allow.txt` (lengths) or in an `#[expect]` (clocks, spawns).

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use crate::repository::Repository;
use crate::say;

mod assertions;
mod comments;
mod essay;
mod forbidden;
mod formats;
mod layers;
mod leaks;
mod length;
mod lockfile;
mod markdown;
mod topology;
mod units;

#[cfg(test)]
mod tests;

/// A broken rule: where, and in words what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    path: String,
    line: usize,
    text: String,
}

impl Problem {
    fn new(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

/// Every rule, in the order of this folder.
const CHECKS: [fn(&Repository) -> Vec<Problem>; 12] = [
    assertions::check,
    comments::check,
    essay::check,
    forbidden::check,
    formats::check,
    layers::check,
    leaks::check,
    length::check,
    lockfile::check,
    markdown::check,
    topology::check,
    units::check,
];

/// The command: reports, and fails if there is anything to report.
pub(crate) fn run(root: &Path) -> ExitCode {
    if report(root) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints every problem of the repository and returns their number. Files that cannot be read count as one.
pub(crate) fn report(root: &Path) -> usize {
    let repository = match Repository::read(root) {
        Ok(repository) => repository,
        Err(error) => {
            eprintln!("tidy: cannot read the repository: {error}");
            return 1;
        }
    };
    let problems = problems(&repository);
    for problem in &problems {
        say(&problem.to_string());
    }
    match problems.len() {
        0 => say(&format!("tidy: {} files, nothing to mend", repository.files().len())),
        count => say(&format!("tidy: {count} to mend")),
    }
    problems.len()
}

fn problems(repository: &Repository) -> Vec<Problem> {
    let mut problems: Vec<Problem> = CHECKS.iter().flat_map(|check| check(repository)).collect();
    problems.sort();
    problems.dedup();
    problems
}
