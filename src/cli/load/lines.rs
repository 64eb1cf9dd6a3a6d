//! Physical lines of a file, bounded and numbered.
//!
//! Invariants
//! - A line longer than [`ROW_TEXT_BYTES_MAX`] is read away, not kept.
//! - A byte order mark at the beginning of the file is no part of its first line.

use std::io::{self, BufRead, BufReader, Read};

use super::read::ROW_TEXT_BYTES_MAX;

/// What some editors put at the beginning of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The lines of one source.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    number: u64,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: u64,
    /// Without its newline; `None` if it was too long to keep.
    pub(super) text: Option<Vec<u8>>,
}

impl<R: Read> Lines<R> {
    /// The lines of `source`.
    pub(super) fn new(source: R) -> Self {
        Self { reader: BufReader::new(source), number: 0 }
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut text = Vec::new();
        let most = u64::try_from(ROW_TEXT_BYTES_MAX).unwrap_or(u64::MAX);
        let read = self.reader.by_ref().take(most + 1).read_until(b'\n', &mut text)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let number = self.number;
        if text.last() == Some(&b'\n') {
            text.pop();
        } else if text.len() > ROW_TEXT_BYTES_MAX {
            self.skip()?;
            return Ok(Some(Line { number, text: None }));
        }
        if number == 1 && text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(Some(Line { number, text: Some(text) }))
    }

    /// Reads the rest of a line away.
    fn skip(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(());
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let count = end.map_or(buffer.len(), |end| end + 1);
            self.reader.consume(count);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}
