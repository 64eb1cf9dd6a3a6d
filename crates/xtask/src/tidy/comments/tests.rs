//! What looks like code and what only ends like it.

use super::is_code;

#[test]
fn code_is_recognised() {
    let table = [
        "let a = b;",
        "use crate::engine;",
        "self.count += 1;",
        "self.flush(table);",
        "assert!(a < b);",
        "engine::open(path, options)?;",
        "return;",
        "mod tests;",
        "if a < b {",
        "} else {",
        "pub fn open() {",
        "Some(x) => {",
    ];
    for text in table {
        assert!(is_code(text), "{text}");
    }
}

#[test]
fn prose_and_drawings_pass() {
    let table = [
        "the data first, then the directory;",
        "let the other side win;",
        "use the lower of the two;",
        "a dot (actor, counter) is unique;",
        "return early when full;",
        "see `flush()`;",
        "when n = 0 nothing was read;",
        "header {",
        "{",
        "a | b | c;",
        "Otherwise (see above) it waits;",
        "plain text.",
    ];
    for text in table {
        assert!(!is_code(text), "{text}");
    }
}
