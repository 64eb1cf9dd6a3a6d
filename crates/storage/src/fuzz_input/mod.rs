//! What harnesses share: the fuzzer's bytes as values, and a disk that only holds.
//!
//! Compiled with the feature `fuzzing` only.

mod disk;

mod source;

pub(crate) use disk::FlatDisk;
pub(crate) use source::Source;

/// Shows the file of this name to the harness of dumps.
pub(crate) type Show<'a> = &'a dyn Fn(&FlatDisk, &str);
