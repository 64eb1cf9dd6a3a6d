//! A canonical hash of a definition, so that two nodes can compare theirs by one number.
//!
//! Independent of serde and of the wire's codec: a change of the encoding must not make nodes of one cluster differ.
//!
//! ```text
//! number   8 bytes, little-endian
//! text     length as a number, then its UTF-8 bytes
//! absent   the number 0;  present: the number 1, then the value
//! list     length as a number, then the items
//! ```
//!
//! The digest is xxh3_64 (seed 0) over these bytes. It finds differences; it does not authenticate.

use xxhash_rust::xxh3::Xxh3;

/// Collects fields in canonical form.
pub(crate) struct Canonical(Xxh3);

impl Canonical {
    pub(crate) fn new() -> Self {
        Self(Xxh3::new())
    }

    /// Adds a number, or the length of the list that follows.
    pub(crate) fn number(&mut self, number: u64) -> &mut Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    /// Adds a text.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
        self
    }

    /// Adds a text that may be absent.
    pub(crate) fn maybe_text(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            None => self.number(0),
            Some(text) => self.number(1).text(text),
        }
    }

    /// Adds a number that may be absent.
    pub(crate) fn maybe_number(&mut self, number: Option<u64>) -> &mut Self {
        match number {
            None => self.number(0),
            Some(number) => self.number(1).number(number),
        }
    }

    pub(crate) fn finish(&self) -> u64 {
        self.0.digest()
    }
}
