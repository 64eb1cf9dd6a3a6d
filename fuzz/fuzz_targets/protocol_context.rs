//! A context of a client: with the checksum that it should have.

#![no_main]

use atoll_protocol::version::Context;
use libfuzzer_sys::fuzz_target;
use xxhash_rust::xxh3::xxh3_64;

fuzz_target!(|data: &[u8]| {
    let token = data
        .get(1..9)
        .map_or(0, |bytes| bytes.iter().rev().fold(0, |token, byte| token << 8 | u64::from(*byte)));
    let _ = Context::decode(data, token);
    let mut patched = data.to_vec();
    let sum = xxh3_64(data).to_le_bytes();
    patched.extend_from_slice(&sum[..4]);
    if let Ok(context) = Context::decode(&patched, token) {
        assert_eq!(context.encode(), patched, "a context has one encoding");
    }
});
