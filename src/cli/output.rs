//! What a command prints: data on stdout, talk on stderr.
//!
//! Every command gets a [`Console`] and writes through it, so that tests can read what people would.
//!
//! 1. `data` and `bytes` go to stdout, as tables, as JSON, or as the bytes of a value alone.
//! 2. `talk` goes to stderr: progress, warnings, advice. It never fails a command.
//! 3. `flush` at the end makes a full disk or a closed pipe known.
//!
//! Invariants
//! - There is no colour and no wrapping, so that a table can be cut and searched wherever it goes.
//! - A control character of a value or a name never reaches the terminal through a table.
//! - What a command prints does not depend on whether stdout is a terminal.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

use super::exit::Error;

#[cfg(test)]
mod tests;

/// Longest value shown in a table, in characters: with its facts beside it, it still fits a wide terminal.
const VALUE_CHARS_MAX: usize = 60;

/// Bytes of a value that is no text shown in a table: each takes two characters.
const VALUE_HEX_BYTES_MAX: usize = 16;

/// What stands where there is nothing.
pub(super) const NOTHING: &str = "-";

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people: columns, long values cut.
    Table,
    /// For programs: one JSON document.
    Json,
    /// The bytes of the value alone; of a put or delete, the context.
    Raw,
    /// The context alone, for the --context of the write that follows.
    Context,
}

/// How lists and reports are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// For people.
    Table,
    /// For programs: one JSON document.
    Json,
}

/// Where a command prints.
pub(super) struct Console {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
}

impl Console {
    /// The process's own stdout and stderr.
    pub(super) fn of_process() -> Self {
        Self::new(Box::new(io::BufWriter::new(io::stdout())), Box::new(io::stderr()))
    }

    /// Any two writers.
    pub(super) fn new(out: Box<dyn Write>, err: Box<dyn Write>) -> Self {
        Self { out, err }
    }

    /// Data for people: a text with a newline behind it.
    pub(super) fn data(&mut self, text: impl AsRef<str>) -> Result<(), Error> {
        writeln!(self.out, "{}", text.as_ref()).map_err(Error::Output)
    }

    /// Data as it is, without a newline.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(Error::Output)
    }

    /// Data for programs: one JSON document with a newline behind it.
    pub(super) fn json(&mut self, document: &impl Serialize) -> Result<(), Error> {
        let written = serde_json::to_writer_pretty(&mut self.out, document);
        written.map_err(|error| Error::Output(error.into()))?;
        self.data("")
    }

    /// A line for whoever watches.
    pub(super) fn talk(&mut self, text: impl AsRef<str>) {
        // Nobody can be told that nobody can be told.
        let _ = writeln!(self.err, "{}", text.as_ref());
    }

    /// Both writers, data first, for what prints by itself.
    pub(super) fn writers(&mut self) -> (&mut dyn Write, &mut dyn Write) {
        (&mut self.out, &mut self.err)
    }

    /// Makes sure that all data has left the process.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.out.flush().map_err(Error::Output)
    }
}

/// Which way a column leans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table without borders: a header, rows, two spaces between the columns, no space at the end of a line.
pub(super) struct Columns {
    table: Table,
    alignments: Vec<Align>,
}

impl Columns {
    /// A table with these columns.
    pub(super) fn new(columns: &[(&str, Align)]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).force_no_tty();
        let alignments: Vec<Align> = columns.iter().map(|(_, align)| *align).collect();
        let header = columns.iter().map(|(name, _)| (*name).to_owned());
        table.set_header(cells(&alignments, header));
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Self { table, alignments }
    }

    /// Adds a row; control characters in it are escaped.
    pub(super) fn row<T: AsRef<str>>(&mut self, row: impl IntoIterator<Item = T>) {
        let texts = row.into_iter().map(|text| escape(text.as_ref()));
        self.table.add_row(cells(&self.alignments, texts));
    }

    /// The header and each row as a line, behind `indent` spaces.
    pub(super) fn lines(&self, indent: usize) -> impl Iterator<Item = String> {
        self.table.lines().map(move |line| format!("{:indent$}{}", "", line.trim_end()))
    }

    /// The table without a newline at the end.
    pub(super) fn render(&self, indent: usize) -> String {
        self.lines(indent).collect::<Vec<_>>().join("\n")
    }
}

fn cells(alignments: &[Align], texts: impl Iterator<Item = String>) -> Vec<Cell> {
    let cell = |(align, text): (&Align, String)| {
        Cell::new_owned(text).set_alignment(match align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        })
    };
    alignments.iter().zip(texts).map(cell).collect()
}

/// A text without control characters; each is written as Rust would.
pub(super) fn escape(text: &str) -> String {
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

/// A value as a table shows it: text up to a length, anything else as the beginning of its bytes.
pub(super) fn brief(value: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(value) else {
        let head = value.iter().take(VALUE_HEX_BYTES_MAX);
        let mut out = String::from("0x");
        for byte in head {
            // Writing to a string cannot fail.
            let _ = write!(out, "{byte:02x}");
        }
        if value.len() > VALUE_HEX_BYTES_MAX {
            out.push('…');
        }
        return out;
    };
    let text = escape(text);
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text;
    }
    let mut cut: String = text.chars().take(VALUE_CHARS_MAX).collect();
    cut.push('…');
    cut
}

/// True if a table does not show all of `value`, or shows it in another form.
pub(super) fn is_cut(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_err() || brief(value).as_bytes() != value
}

/// Bytes as people say them: powers of 1 024, one decimal.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = "B";
    for larger in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths = (tenths + 512) / 1_024;
        unit = larger;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// A span as people say it: its two largest units.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    if days > 0 {
        format!("{days}d{}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h{}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m{}s", seconds % 60)
    } else {
        format!("{seconds}s")
    }
}

/// A round-trip time: milliseconds with one decimal, or microseconds below one.
pub(super) fn round_trip(rtt: Duration) -> String {
    let micros = rtt.as_micros();
    if micros < 1_000 {
        return format!("{micros}µs");
    }
    let tenths = (micros + 50) / 100;
    format!("{}.{}ms", tenths / 10, tenths % 10)
}

/// A moment as RFC 3339 in UTC with milliseconds.
pub(super) fn moment(at: SystemTime) -> String {
    // The formatter knows years up to 9999 and panics beyond.
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    if at > last {
        return "after the year 9999".to_owned();
    }
    humantime::format_rfc3339_millis(at.max(UNIX_EPOCH)).to_string()
}
