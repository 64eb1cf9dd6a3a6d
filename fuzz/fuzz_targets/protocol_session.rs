//! The token of a session: as it is, and with the checksum that it should have.

#![no_main]

use atoll_protocol::session::SessionPast;
use libfuzzer_sys::fuzz_target;
use xxhash_rust::xxh3::xxh3_64;

fuzz_target!(|data: &[u8]| {
    let _ = SessionPast::decode(data);
    let mut patched = data.to_vec();
    patched.extend_from_slice(&xxh3_64(data).to_le_bytes());
    if let Ok(past) = SessionPast::decode(&patched) {
        assert_eq!(past.encode(), patched, "a session has one token");
    }
});
