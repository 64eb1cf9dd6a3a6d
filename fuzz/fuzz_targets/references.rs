//! The references of a table to value files.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    atoll_storage::fuzzing::references(data);
});
