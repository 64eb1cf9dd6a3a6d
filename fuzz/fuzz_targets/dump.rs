//! Any bytes as any file of a store, shown.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    atoll_storage::fuzzing::dump(data);
});
