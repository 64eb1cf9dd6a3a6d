//! A whole table, changed anywhere, with checksums that are right.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    atoll_storage::fuzzing::table(data);
});
