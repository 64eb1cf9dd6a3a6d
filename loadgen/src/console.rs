//! What a command prints: data on stdout, talk on stderr, tables without borders or colour.

use std::io::{self, Write};

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

use crate::error::Error;

/// Data for people: a text with a newline behind it.
pub(crate) fn data(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Error::Output)
}

/// Data for programs: one JSON document.
pub(crate) fn json(document: &impl Serialize) -> Result<(), Error> {
    let text =
        serde_json::to_string_pretty(document).map_err(|error| Error::Output(error.into()))?;
    data(&text)
}

/// A line for whoever watches.
pub(crate) fn talk(text: &str) {
    // Nobody can be told that nobody can be told.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A table: a header and rows; columns are aligned right, but for the first `words`.
pub(crate) fn table(words: usize, header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty();
    let cells = |texts: &mut dyn Iterator<Item = String>| -> Vec<Cell> {
        let align = |place: usize| {
            if place < words { CellAlignment::Left } else { CellAlignment::Right }
        };
        let cell =
            |(place, text): (usize, String)| Cell::new_owned(text).set_alignment(align(place));
        texts.enumerate().map(cell).collect()
    };
    table.set_header(cells(&mut header.iter().map(|text| (*text).to_owned())));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for row in rows {
        table.add_row(cells(&mut row.iter().map(|text| printable(text))));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// `text` with its control characters escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            out.extend(letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    out
}
