//! No commented-out code: git remembers.
//!
//! A guess, and a careful one: only whole-line `//` comments (never `///` or `//!`) that end as a statement or a block
//! does *and* look like code before that. Prose that happens to end in a semicolon passes.

use super::Problem;
use crate::repository::Repository;
use crate::source::{Source, identifier};

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    repository.sources().iter().flat_map(check_source).collect()
}

fn check_source(source: &Source) -> Vec<Problem> {
    let whole_line = source.lines().filter(|line| line.code.trim().is_empty());
    let suspects = whole_line.filter(|line| plain_comment(line.comment).is_some_and(is_code));
    suspects
        .map(|line| {
            Problem::new(&source.path, line.number, "commented-out code: delete it, git remembers")
        })
        .collect()
}

/// The text of a `//` comment that is not documentation.
fn plain_comment(comment: &str) -> Option<&str> {
    let text = comment.trim().strip_prefix("//")?;
    (!text.starts_with(['/', '!'])).then(|| text.trim())
}

fn is_code(text: &str) -> bool {
    if let Some(head) = text.strip_suffix('{') {
        return is_block_head(head.trim());
    }
    text.strip_suffix(';').is_some_and(|statement| is_statement(statement.trim()))
}

/// What stands before a `{` in code. A lone name before it is a drawing, not code.
fn is_block_head(head: &str) -> bool {
    const KEYWORDS: [&str; 15] = [
        "if", "for", "while", "loop", "match", "fn", "pub", "impl", "struct", "enum", "unsafe",
        "async", "mod", "let", "else",
    ];
    head.starts_with('}') || head.ends_with("=>") || KEYWORDS.contains(&identifier(head))
}

fn is_statement(statement: &str) -> bool {
    let mut words = statement.split_whitespace();
    let first = words.next().unwrap_or_default();
    let second = words.next().unwrap_or_default();
    let declares = match first {
        "let" | "const" | "static" | "type" => statement.contains('='),
        "use" | "pub" => statement.contains("::"),
        "mod" | "break" | "continue" | "return" => {
            second.is_empty() || words.next().is_none() && first == "mod"
        }
        _ => false,
    };
    let assigns = matches!(second, "=" | "+=" | "-=" | "*=" | "|=" | "&=") && is_place(first);
    let ends_in_call = statement.ends_with(')') && call_begins(first);
    declares
        || assigns
        || ends_in_call
        || statement.ends_with(".await")
        || statement.ends_with(")?")
}

/// `a`, `self.a`, `*a`, `a[b]`.
fn is_place(word: &str) -> bool {
    let extra = |c: char| matches!(c, '.' | '*' | '[' | ']' | ':');
    word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || extra(c))
        && word.contains(|c: char| c.is_ascii_lowercase())
        && (word.contains(extra) || word.len() > 1)
}

/// True when a first word such as `self.flush(a,` or `assert!(b` begins a call.
fn call_begins(word: &str) -> bool {
    word.find('(').is_some_and(|open| {
        let callee = word.get(..open).unwrap_or_default().trim_end_matches('!');
        !callee.is_empty()
            && callee.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':'))
    })
}

#[cfg(test)]
mod tests;
