//! A datagram between nodes, and the same encoded again.

#![no_main]

use atoll_protocol::wire::Datagram;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(datagram) = Datagram::decode(Bytes::copy_from_slice(data)) {
        assert_eq!(datagram.encode(), data);
    }
});
