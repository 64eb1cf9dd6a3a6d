//! From a file to rows: CSV, TSV and JSON Lines, with the line of everything that is wrong.
//!
//! ```text
//! CSV    header `key,value`, RFC 4180 quoting         value: the field            separated.rs
//! TSV    header `key<TAB>value`, no quoting           value: the field            separated.rs
//! JSONL  {"key": "…", "value": "…" or {…}} per line   value: the string, or the   json_lines.rs
//!                                                     object compact, keys sorted
//! ```
//!
//! Read twice: the first time to find every malformed row before anything is written ([`survey`]), the second time to
//! write. Both times as a stream; a file need not fit in memory.
//!
//! Invariants
//! - A row is either well formed or has a line number and a problem; none is skipped but blank lines.
//! - No row takes more memory than [`ROW_TEXT_BYTES_MAX`] and a buffer, whatever the file holds.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use atoll_protocol::limits::{KEY_BYTES_MAX, RECORD_BYTES_MAX_CEILING};
use bytes::Bytes;
use clap::ValueEnum;

use super::json_lines::JsonLines;
use super::separated::Separated;

/// Longest text of one row, in bytes. The largest record is 1 MiB; JSON may write each of its bytes as six.
pub(super) const ROW_TEXT_BYTES_MAX: usize = 6 * RECORD_BYTES_MAX_CEILING + 6 * KEY_BYTES_MAX + 64;

/// Malformed rows that are listed; the rest are counted.
const MALFORMED_LISTED_MAX: usize = 20;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileFormat {
    /// Comma-separated, quoted as in RFC 4180, header `key,value`.
    Csv,
    /// Tab-separated, not quoted, header `key<TAB>value`.
    Tsv,
    /// One JSON object per line: {"key": "…", "value": "…" or {…}}.
    Jsonl,
}

/// One record of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The line that it begins on, from 1.
    pub(super) line: u64,
    /// Its key.
    pub(super) key: Bytes,
    /// Its value.
    pub(super) value: Bytes,
}

/// A row that cannot be loaded, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// The line that it begins on, from 1.
    pub(super) line: u64,
    /// What is wrong with it.
    pub(super) problem: String,
}

/// A row or what is wrong with it; outside of that, what the system said.
pub(super) type RowResult = io::Result<Result<Row, Malformed>>;

/// The rows of one file, in order.
pub(super) enum Rows<R> {
    /// CSV and TSV.
    Separated(Box<Separated<R>>),
    /// JSON Lines.
    Json(JsonLines<R>),
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// Rows that can be loaded.
    pub(super) rows: u64,
    /// The first malformed rows.
    pub(super) listed: Vec<Malformed>,
    /// All malformed rows.
    pub(super) malformed: u64,
}

impl FileFormat {
    /// The format that a file's name says.
    pub(super) fn of_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

impl Rows<File> {
    /// Opens `path`.
    pub(super) fn open(path: &Path, format: FileFormat) -> io::Result<Self> {
        File::open(path).map(|file| Self::new(file, format))
    }
}

impl<R: Read> Rows<R> {
    /// The rows of any source.
    pub(super) fn new(source: R, format: FileFormat) -> Self {
        match format {
            FileFormat::Csv => Self::Separated(Box::new(Separated::csv(source))),
            FileFormat::Tsv => Self::Separated(Box::new(Separated::tsv(source))),
            FileFormat::Jsonl => Self::Json(JsonLines::new(source)),
        }
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = RowResult;

    fn next(&mut self) -> Option<RowResult> {
        match self {
            Self::Separated(rows) => rows.next(),
            Self::Json(rows) => rows.next(),
        }
    }
}

/// Reads all `rows` and checks them against the limits of keys and of a keyspace's records.
///
/// # Errors
/// What the system says.
pub(super) fn survey(
    rows: impl Iterator<Item = RowResult>,
    record_bytes_max: u32,
) -> io::Result<Survey> {
    let mut survey = Survey::default();
    for row in rows {
        match row?.and_then(|row| check(row, record_bytes_max)) {
            Ok(_) => survey.rows += 1,
            Err(malformed) => {
                survey.malformed += 1;
                if survey.listed.len() < MALFORMED_LISTED_MAX {
                    survey.listed.push(malformed);
                }
            }
        }
    }
    Ok(survey)
}

/// Checks the sizes of a row.
fn check(row: Row, record_bytes_max: u32) -> Result<Row, Malformed> {
    let (line, total) = (row.line, row.key.len() + row.value.len());
    let malformed = |problem: String| Err(Malformed { line, problem });
    if row.key.is_empty() {
        return malformed(format!("the key is empty; keys are 1 to {KEY_BYTES_MAX} bytes"));
    }
    if row.key.len() > KEY_BYTES_MAX {
        let got = row.key.len();
        return malformed(format!(
            "the key has {got} bytes; keys are at most {KEY_BYTES_MAX} bytes"
        ));
    }
    if u64::try_from(total).unwrap_or(u64::MAX) > u64::from(record_bytes_max) {
        return malformed(format!(
            "key and value have {total} bytes together; the keyspace takes {record_bytes_max} (record_bytes_max)"
        ));
    }
    Ok(row)
}

#[cfg(test)]
mod tests;
