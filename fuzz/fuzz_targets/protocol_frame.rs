//! The header of a frame, and a frame encoded again.

#![no_main]

use atoll_protocol::frame::{Frame, FrameHeader, HEADER_BYTES};
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((head, body)) = data.split_first_chunk::<HEADER_BYTES>() else { return };
    let Ok(header) = FrameHeader::decode(head) else { return };
    if header.body_length() > body.len() {
        return;
    }
    let body = Bytes::copy_from_slice(&body[..header.body_length()]);
    let mut encoded = BytesMut::new();
    Frame::from_parts(header, body).encode_into(&mut encoded);
    assert_eq!(encoded, data[..encoded.len()]);
});
