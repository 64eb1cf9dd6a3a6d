//! Rows of CSV and TSV files.
//!
//! 1. The first record must be the header `key,value`; after another one nothing more is read.
//! 2. Every further record has two fields, taken as bytes; blank lines between records mean nothing.
//! 3. CSV only: a field may be quoted; then it may hold separators and newlines, and a quote is written twice. A quote
//!    anywhere else is a mistake, and not guessed at: a lenient reader takes an open quote as one value that goes on to
//!    the end of the file.
//!
//! Invariants
//! - A record's line is the one that it begins on.
//! - After a quote that is never closed, or not within the longest row, nothing more is read.
//!
//! Source: RFC 4180 §2, with LF or CRLF at the end of a line. Own code: readers that are lenient, or count lines by the
//! newlines that they have consumed, cannot say where a mistake is.

use std::io::{self, Read};

use bytes::Bytes;

use super::lines::Lines;
use super::read::{Malformed, ROW_TEXT_BYTES_MAX, Row, RowResult};

/// The header.
const HEADER: [&[u8]; 2] = [b"key", b"value"];

/// What is written between fields, and what else that means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Csv,
    Tsv,
}

/// What is read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Header,
    Rows,
    Done,
}

/// The rows of one CSV or TSV file.
pub(super) struct Separated<R> {
    lines: Lines<R>,
    dialect: Dialect,
    stage: Stage,
}

/// One record, or what is wrong with it.
struct Record {
    line: u64,
    fields: Result<Vec<Vec<u8>>, String>,
}

impl<R: Read> Separated<R> {
    /// Comma-separated rows.
    pub(super) fn csv(source: R) -> Self {
        Self { lines: Lines::new(source), dialect: Dialect::Csv, stage: Stage::Header }
    }

    /// Tab-separated rows.
    pub(super) fn tsv(source: R) -> Self {
        Self { lines: Lines::new(source), dialect: Dialect::Tsv, stage: Stage::Header }
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Option<RowResult> {
        if self.stage == Stage::Header {
            self.stage = Stage::Rows;
            if let Some(problem) = self.take_header() {
                self.stage = Stage::Done;
                return Some(problem);
            }
        }
        let record = match self.record() {
            Ok(record) => record?,
            Err(error) => return Some(Err(error)),
        };
        Some(Ok(row(record)))
    }

    /// Reads the header; what is wrong with it, if anything.
    fn take_header(&mut self) -> Option<RowResult> {
        let record = match self.record() {
            Ok(record) => record,
            Err(error) => return Some(Err(error)),
        };
        let Some(Record { line, fields }) = record else {
            let problem = "the file is empty, expected a header and rows".to_owned();
            return Some(Ok(Err(Malformed { line: 1, problem })));
        };
        let separator = self.dialect.separator();
        let problem = match fields {
            Ok(fields) if fields == HEADER => return None,
            Ok(fields) => {
                let found = fields.join(&separator);
                let found: String = String::from_utf8_lossy(&found).chars().take(60).collect();
                let header = HEADER.join(&separator);
                let header = String::from_utf8_lossy(&header).into_owned();
                format!(
                    "the header is `{}`, expected `{}`",
                    found.escape_debug(),
                    header.escape_debug()
                )
            }
            Err(problem) => problem,
        };
        Some(Ok(Err(Malformed { line, problem })))
    }

    /// The next record; `None` at the end.
    fn record(&mut self) -> io::Result<Option<Record>> {
        if self.stage == Stage::Done {
            return Ok(None);
        }
        let mut parser = Parser::new(self.dialect);
        let mut begun = None;
        loop {
            let Some(found) = self.lines.next()? else {
                self.stage = Stage::Done;
                let open = "a quote is opened and never closed".to_owned();
                return Ok(begun.map(|line| Record { line, fields: Err(open) }));
            };
            let line = begun.unwrap_or(found.number);
            let text = found.text.filter(|text| parser.length + text.len() <= ROW_TEXT_BYTES_MAX);
            let Some(text) = text else {
                self.stage = Stage::Done;
                let problem = format!(
                    "the row is longer than {ROW_TEXT_BYTES_MAX} bytes; is a quote left open?"
                );
                return Ok(Some(Record { line, fields: Err(problem) }));
            };
            if begun.is_none() && matches!(text.as_slice(), b"" | b"\r") {
                continue;
            }
            match parser.take_line(&text) {
                Ok(LineEnd::InRecord) => begun = Some(line),
                Ok(LineEnd::OfRecord) => {
                    return Ok(Some(Record { line, fields: Ok(parser.fields) }));
                }
                Err(problem) => {
                    return Ok(Some(Record { line, fields: Err(problem.to_owned()) }));
                }
            }
        }
    }
}

impl Dialect {
    fn separator(self) -> u8 {
        match self {
            Self::Csv => b',',
            Self::Tsv => b'\t',
        }
    }
}

fn row(Record { line, fields }: Record) -> Result<Row, Malformed> {
    let fields = fields.map_err(|problem| Malformed { line, problem })?;
    let got = fields.len();
    match <[Vec<u8>; 2]>::try_from(fields) {
        Ok([key, value]) => Ok(Row { line, key: Bytes::from(key), value: Bytes::from(value) }),
        Err(_) => {
            Err(Malformed { line, problem: format!("{got} field(s), expected 2: key and value") })
        }
    }
}

/// Where a parser is within a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before its first byte.
    Begin,
    /// In a field without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind a quote that ends the field, unless another one follows.
    Closing,
}

/// What the end of a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    /// The record.
    OfRecord,
    /// A line of a quoted field.
    InRecord,
}

/// Takes one record apart, line by line.
struct Parser {
    dialect: Dialect,
    place: Place,
    field: Vec<u8>,
    fields: Vec<Vec<u8>>,
    /// Bytes taken so far.
    length: usize,
}

impl Parser {
    fn new(dialect: Dialect) -> Self {
        Self { dialect, place: Place::Begin, field: Vec::new(), fields: Vec::new(), length: 0 }
    }

    /// Takes a line without its newline.
    fn take_line(&mut self, text: &[u8]) -> Result<LineEnd, &'static str> {
        self.length += text.len() + 1;
        let (body, carriage_return) = match text.strip_suffix(b"\r") {
            Some(body) => (body, &b"\r"[..]),
            None => (text, &b""[..]),
        };
        for &byte in body {
            self.take(byte)?;
        }
        if self.place == Place::Quoted {
            self.field.extend_from_slice(carriage_return);
            self.field.push(b'\n');
            return Ok(LineEnd::InRecord);
        }
        self.end_field();
        Ok(LineEnd::OfRecord)
    }

    fn take(&mut self, byte: u8) -> Result<(), &'static str> {
        let is_separator = byte == self.dialect.separator();
        let is_quote = byte == b'"' && self.dialect == Dialect::Csv;
        match self.place {
            Place::Begin if is_quote => self.place = Place::Quoted,
            Place::Quoted if is_quote => self.place = Place::Closing,
            Place::Closing if is_quote => {
                self.field.push(b'"');
                self.place = Place::Quoted;
            }
            Place::Plain if is_quote => {
                return Err(
                    "a quote inside a field; quote the whole field and write the quote twice",
                );
            }
            Place::Begin | Place::Plain | Place::Closing if is_separator => self.end_field(),
            Place::Closing => {
                return Err("text behind a closing quote; write a quote inside a field twice");
            }
            Place::Begin | Place::Plain => {
                self.field.push(byte);
                self.place = Place::Plain;
            }
            Place::Quoted => self.field.push(byte),
        }
        Ok(())
    }

    fn end_field(&mut self) {
        self.fields.push(std::mem::take(&mut self.field));
        self.place = Place::Begin;
    }
}
