//! `CURRENT`, the file that names the manifest.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    atoll_storage::fuzzing::current(data);
});
