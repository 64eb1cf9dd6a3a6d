//! What harnesses are made of: files in memory, and a fuzzer's bytes taken apart.
//!
//! Compiled for tests, and with the feature `fuzzing`; below the decoders, so that the doors beside them may use it.

mod disk;

mod source;

pub(crate) use disk::FlatDisk;
pub(crate) use source::Source;

/// Shows a file with the functions of `inspect`, which lie above the decoders.
pub(crate) type Show = fn(&FlatDisk, &str);
