//! Problems of a definition that a person wrote: all of them at once, each with its place, its values and its fix.
//!
//! Used by the topology file and by keyspace definitions; the command line prints them as they are.
//!
//! Invariants
//! - A [`Problems`] that is returned as an error holds at least one problem.
//! - `found` quotes what was written and what it collides with; `fix` says what to write instead.

use std::fmt;

/// One problem, or one warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: a path such as `node[3].dc` (positions count from 0, as in the file), or `line 7`.
    pub path: String,
    /// What was found there, with every value that matters.
    pub found: String,
    /// What to do about it.
    pub fix: String,
}

/// Every problem of one definition, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// The problems.
    pub problems: Vec<Problem>,
}

impl Problems {
    /// Notes one problem.
    pub(crate) fn add(
        &mut self,
        path: impl Into<String>,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.problems.push(Problem { path: path.into(), found: found.into(), fix: fix.into() });
    }

    /// `value` if nothing was noted, the problems otherwise.
    pub(crate) fn or<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => {
                assert!(!self.problems.is_empty(), "nothing is refused without a reason");
                Err(self)
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  fix: {}", self.path, self.found, self.fix)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.problems.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(problem, f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The known name that `text` was probably meant to be: at most a third of its letters differ.
pub(crate) fn did_you_mean<'a>(
    text: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let tolerated = text.chars().count().div_ceil(3);
    known
        .into_iter()
        .map(|name| (edit_distance(text, name), name))
        .filter(|(distance, _)| *distance <= tolerated)
        .min()
        .map(|(_, name)| name)
}

/// Fix for an unknown name: the likely one, or the list of known ones.
pub(crate) fn fix_for_unknown<'a>(
    text: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    if let Some(name) = did_you_mean(text, known.clone()) {
        return format!("did you mean `{name}`?");
    }
    let known: Vec<String> = known.into_iter().map(|name| format!("`{name}`")).collect();
    if known.is_empty() {
        "there is none yet: add it".to_owned()
    } else {
        format!("use one of {}, or add it", known.join(", "))
    }
}

/// Levenshtein distance: letters to insert, delete or replace. Names are short, so the square is small.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut costs: Vec<usize> = (0..=b.len()).collect();
    for (row, letter) in a.chars().take(64).enumerate() {
        let mut diagonal = row;
        let mut left = row + 1;
        for (cost, other) in costs.iter_mut().skip(1).zip(&b) {
            let above = *cost;
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = above;
            *cost = replaced.min(above + 1).min(left + 1);
            left = *cost;
        }
        if let Some(first) = costs.first_mut() {
            *first = row + 1;
        }
    }
    costs.last().copied().unwrap_or(0)
}
