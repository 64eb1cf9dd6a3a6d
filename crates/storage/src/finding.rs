//! What inspections say: [`Damage`], [`KeyRange`] for keys, [`Note`], and [`Item`] for one structure of a file.
//!
//! Made by the scrub, by [`verify_store`](crate::verify_store) and by [`dump_file`](crate::dump_file); data, not errors,
//! because an inspection goes on behind what it finds.
//!
//! Invariant: a file that cannot be read is damaged, whatever the reason; only what concerns no file in particular stays
//! an error.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::error::Error;

/// Something in a file is not what was written, or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file, relative to the disk's root.
    pub file: String,
    /// Byte offset of the damaged structure; 0 if it is not known.
    pub offset: u64,
    /// What is wrong with it.
    pub what: String,
}

impl Damage {
    pub(crate) fn new(file: &str, offset: u64, what: impl Into<String>) -> Damage {
        Damage { file: file.to_owned(), offset, what: what.into() }
    }

    /// The damage that `error` tells of.
    ///
    /// # Errors
    /// The error itself, if it concerns no file.
    pub(crate) fn of(error: Error) -> Result<Damage, Error> {
        match error {
            Error::Corrupt { file, offset, what } => Ok(Damage::new(&file, offset, what)),
            Error::Disk { action, file, source } => {
                let what = format!("the disk refuses to {action} it: {source}");
                Ok(Damage::new(&file, 0, what))
            }
            other => Err(other),
        }
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at offset {}: {}", self.file, self.offset, self.what)
    }
}

/// Keys from `first` to `last`, both inclusive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyRange {
    /// The lowest key.
    pub first: Bytes,
    /// The highest key.
    pub last: Bytes,
}

impl KeyRange {
    /// Whether one of `ranges`, which ascend without overlap, has all of this one.
    pub(crate) fn is_within(&self, ranges: &[KeyRange]) -> bool {
        let at = ranges.partition_point(|range| range.last < self.last);
        ranges.get(at).is_some_and(|range| range.first <= self.first)
    }
}

/// Something about a file that is no damage, but that an operator may wonder about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file, relative to the disk's root.
    pub file: String,
    /// What there is to say.
    pub what: String,
}

impl Note {
    pub(crate) fn new(file: &str, what: impl Into<String>) -> Note {
        Note { file: file.to_owned(), what: what.into() }
    }
}

/// One structure of a file, as [`dump_file`](crate::dump_file) shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Byte offset of its first byte; of an entry, of the block that it lies in.
    pub offset: u64,
    /// What it is; `"damaged"` for bytes that do not check.
    pub part: &'static str,
    /// What it says, by name.
    pub fields: Vec<(&'static str, Field)>,
}

impl Item {
    pub(crate) fn new(offset: u64, part: &'static str) -> Item {
        Item { offset, part, fields: Vec::new() }
    }

    /// Bytes that are not what they should be.
    pub(crate) fn damaged(offset: u64, bytes: u64, what: impl Into<String>) -> Item {
        Item::new(offset, "damaged").number("bytes", bytes).text("what", what)
    }

    /// An error that was met on the way.
    pub(crate) fn failed(offset: u64, error: Error) -> Item {
        match Damage::of(error) {
            Ok(damage) => {
                let offset = if damage.offset == 0 { offset } else { damage.offset };
                Item::new(offset, "damaged").text("what", damage.what)
            }
            Err(error) => Item::new(offset, "damaged").text("what", error.to_string()),
        }
    }

    pub(crate) fn number(self, name: &'static str, number: impl Into<u64>) -> Item {
        self.with(name, Field::Number(number.into()))
    }

    pub(crate) fn text(self, name: &'static str, text: impl Into<String>) -> Item {
        self.with(name, Field::Text(text.into()))
    }

    pub(crate) fn digest(self, name: &'static str, digest: u64) -> Item {
        self.with(name, Field::Digest(digest))
    }

    pub(crate) fn key(self, name: &'static str, key: &[u8]) -> Item {
        self.with(name, Field::Key(Bytes::copy_from_slice(key)))
    }

    fn with(mut self, name: &'static str, field: Field) -> Item {
        debug_assert!(self.fields.iter().all(|(other, _)| *other != name), "names are unique");
        self.fields.push((name, field));
        self
    }
}

/// What an [`Item`] says under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// A count, a length, an offset, a sequence number.
    Number(u64),
    /// An XXH3-64 of a value.
    Digest(u64),
    /// Words.
    Text(String),
    /// A key.
    Key(Bytes),
}

/// Takes items, and says when it has enough.
pub(crate) type Sink<'a> = dyn FnMut(Item) -> ControlFlow<()> + 'a;
