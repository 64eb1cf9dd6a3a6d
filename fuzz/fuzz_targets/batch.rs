//! Operations of a batch, and a batch read back.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    atoll_storage::fuzzing::batch(data);
});
