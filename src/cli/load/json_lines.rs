//! Rows of JSON Lines files: one object per line, with exactly the members `key` and `value`.
//!
//! A value that is an object is stored as compact JSON with its keys sorted, so that equal objects are equal bytes.
//!
//! Invariants
//! - A malformed line never hides the next one.

use std::io::Read;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::lines::{Line, Lines};
use super::read::{Malformed, ROW_TEXT_BYTES_MAX, Row, RowResult};

/// The rows of one JSON Lines file.
pub(super) struct JsonLines<R> {
    lines: Lines<R>,
}

/// A line as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    key: String,
    value: Value,
}

impl<R: Read> JsonLines<R> {
    /// The rows of `source`.
    pub(super) fn new(source: R) -> Self {
        Self { lines: Lines::new(source) }
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Option<RowResult> {
        loop {
            let Line { number: line, text } = match self.lines.next() {
                Ok(found) => found?,
                Err(error) => return Some(Err(error)),
            };
            let Some(text) = text else {
                let problem = format!("the line is longer than {ROW_TEXT_BYTES_MAX} bytes");
                return Some(Ok(Err(Malformed { line, problem })));
            };
            if !text.trim_ascii().is_empty() {
                return Some(Ok(parse(line, &text)));
            }
        }
    }
}

fn parse(line: u64, text: &[u8]) -> Result<Row, Malformed> {
    let malformed = |problem: String| Malformed { line, problem };
    let row: RawRow = serde_json::from_slice(text).map_err(|error| {
        // The parser counts lines within this one line.
        let place = format!(" at line {} column {}", error.line(), error.column());
        let said = error.to_string().replace(&place, "");
        malformed(format!("{said} (column {})", error.column()))
    })?;
    let value = match row.value {
        Value::String(text) => Bytes::from(text),
        object @ Value::Object(_) => Bytes::from(object.to_string()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            return Err(malformed("`value` must be a string or an object".to_owned()));
        }
    };
    Ok(Row { line, key: Bytes::from(row.key), value })
}
