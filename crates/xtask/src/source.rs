//! A Rust source file seen in three ways at once: as written, as code only, as comments only.
//!
//! Checks that look for a pattern must not be fooled by a string or a comment that mentions it, so a small lexer blanks
//! everything else with spaces, line by line. It knows strings (raw, byte, C), characters, lifetimes and nested block
//! comments; it does not expand macros and does not need to.
//!
//! Invariants
//! - `code` and `comments` have as many lines as the text, in the same order.
//! - A character of the text stands in at most one of them; literals stand in neither, but for their quotes.
//! - Line numbers begin at 1, as editors count.

mod lexer;

#[cfg(test)]
mod tests;

/// Whether a rule for shipped code or one for tests applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Shipped, or run by developers.
    Production,
    /// In a test, bench or fuzz file, or below `#[cfg(test)]`.
    Test,
}

/// A Rust source file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the root of the repository, with `/`.
    pub(crate) path: String,
    /// What the whole file is.
    pub(crate) kind: Kind,
    /// The code without comments and literals, lines joined by `\n`.
    pub(crate) code: String,
    raw: Vec<String>,
    comments: Vec<String>,
    kinds: Vec<Kind>,
}

/// One line of a [`Source`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// Counted from 1.
    pub(crate) number: usize,
    /// As written.
    pub(crate) raw: &'a str,
    /// Only its code.
    pub(crate) code: &'a str,
    /// Only its comment, with the slashes.
    pub(crate) comment: &'a str,
    /// What the line is.
    pub(crate) kind: Kind,
}

impl Source {
    /// Reads `text` as the content of the file at `path`.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (code, comments) = lexer::split(text);
        let kind = kind_of(path);
        let raw: Vec<String> = text.split('\n').map(str::to_owned).collect();
        let kinds = line_kinds(&code, kind, raw.len());
        let comments: Vec<String> = comments.split('\n').map(str::to_owned).collect();
        assert_eq!(raw.len(), comments.len(), "the lexer keeps every line of {path}");
        Self { path: path.to_owned(), kind, code, raw, comments, kinds }
    }

    /// The lines from top to bottom. A final newline does not begin another line.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let last_is_empty = self.raw.last().is_some_and(String::is_empty);
        let count = self.raw.len() - usize::from(last_is_empty);
        let parts = self.raw.iter().zip(self.code.split('\n')).zip(&self.comments).zip(&self.kinds);
        parts.take(count).enumerate().map(|(index, (((raw, code), comment), kind))| Line {
            number: index + 1,
            raw,
            code,
            comment,
            kind: *kind,
        })
    }

    /// The lines that production rules apply to.
    pub(crate) fn production(&self) -> impl Iterator<Item = Line<'_>> {
        self.lines().filter(|line| line.kind == Kind::Production)
    }

    /// Up to `count` raw lines that stand above line `number`, the nearest first.
    pub(crate) fn above(&self, number: usize, count: usize) -> impl Iterator<Item = &str> {
        let before = self.raw.get(..number.saturating_sub(1)).unwrap_or_default();
        before.iter().rev().take(count).map(String::as_str)
    }

    /// The number of the line that holds byte `offset` of `code`.
    pub(crate) fn line_at(&self, offset: usize) -> usize {
        let before = self.code.as_bytes().get(..offset).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// What line `number` is.
    pub(crate) fn kind_at(&self, number: usize) -> Kind {
        self.kinds.get(number.wrapping_sub(1)).copied().unwrap_or(self.kind)
    }
}

/// Byte offsets in `code` where `word` stands and does not continue an identifier to its left.
pub(crate) fn find_word<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(offset, _)| offset).filter(|offset| {
        let before = code.get(..*offset).and_then(|text| text.chars().next_back());
        !before.is_some_and(is_identifier)
    })
}

/// The identifier that `text` begins with; empty if there is none.
pub(crate) fn identifier(text: &str) -> &str {
    let end = text.find(|c| !is_identifier(c)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// True for characters that continue an identifier.
pub(crate) fn is_identifier(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Byte offset of the last character of the item that begins at `start`: its closing brace, or its semicolon.
pub(crate) fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0i32;
    for (offset, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth -= 1;
                if depth < 0 || (depth == 0 && byte == b'}') {
                    return offset;
                }
            }
            b';' if depth == 0 => return offset,
            _ => {}
        }
    }
    code.len()
}

fn kind_of(path: &str) -> Kind {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let test_folder = |folder: &str| matches!(folder, "tests" | "benches" | "fuzz" | "examples");
    if name == "tests.rs" || folders.split('/').any(test_folder) {
        Kind::Test
    } else {
        Kind::Production
    }
}

/// Marks the lines of items below `#[cfg(test)]` as tests.
fn line_kinds(code: &str, file: Kind, count: usize) -> Vec<Kind> {
    let mut kinds = vec![file; count];
    for attribute in ["#[cfg(test)]", "#[cfg(all(test,"] {
        for (start, _) in code.match_indices(attribute) {
            let lines_before =
                |offset: usize| code.bytes().take(offset).filter(|b| *b == b'\n').count();
            let first = lines_before(start);
            let last = lines_before(item_end(code, start));
            for kind in kinds.iter_mut().take(last + 1).skip(first) {
                *kind = Kind::Test;
            }
        }
    }
    kinds
}
