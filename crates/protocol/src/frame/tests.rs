//! Frame headers: golden bytes, limits, budgets, and every small damage.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::{Frame, FrameError, FrameHeader, HEADER_BYTES};
use crate::ids::Epoch;
use crate::limits::{META_BYTES_MAX, PAYLOAD_BYTES_MAX};

fn frame(budget: Option<Duration>) -> Frame {
    Frame {
        kind: 3,
        budget,
        request: 0x0102_0304_0506_0708,
        epoch: Epoch(0x11),
        meta: Bytes::from_static(b"meta"),
        payload: Bytes::from_static(b"value!"),
    }
}

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut out = BytesMut::new();
    frame.encode_into(&mut out);
    assert_eq!(out.len(), frame.encoded_len());
    out.to_vec()
}

/// What a reader of a stream does.
fn decode(bytes: &[u8]) -> Result<Option<(Frame, usize)>, FrameError> {
    let Some((head, body)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let header = FrameHeader::decode(head)?;
    let Some(body) = body.get(..header.body_length()) else {
        return Ok(None);
    };
    let used = HEADER_BYTES + body.len();
    Ok(Some((Frame::from_parts(header, Bytes::copy_from_slice(body)), used)))
}

// format: frame v1
#[test]
fn golden_bytes() {
    let expected = [
        "01",
        "03",
        "0000", // version, kind, flags
        "04000000",
        "06000000",         // meta and payload lengths
        "02000000",         // budget in microseconds
        "0807060504030201", // request
        "1100000000000000", // epoch
        "6d657461",         // meta
        "76616c756521",     // payload
    ];
    let bytes = encoded(&frame(Some(Duration::from_micros(2))));
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected.concat());
}

#[test]
fn budgets_on_the_wire() {
    let longest = Duration::from_micros(u64::from(u32::MAX));
    let table = [
        (None, None),
        (Some(Duration::ZERO), Some(Duration::from_micros(1))),
        (Some(Duration::from_nanos(999)), Some(Duration::from_micros(1))),
        (Some(Duration::from_nanos(1_999)), Some(Duration::from_micros(1))),
        (Some(Duration::from_secs(3)), Some(Duration::from_secs(3))),
        (Some(longest), Some(longest)),
        (Some(Duration::MAX), Some(longest)),
    ];
    for (sent, received) in table {
        let header = FrameHeader::decode(&frame(sent).encode_header()).unwrap();
        assert_eq!(header.budget, received, "{sent:?}");
    }
}

#[test]
fn every_truncation_waits_for_more() {
    let bytes = encoded(&frame(None));
    for length in 0..bytes.len() {
        assert_eq!(decode(&bytes[..length]), Ok(None), "cut at {length}");
    }
    let longer = [&bytes[..], &[7]].concat();
    assert_eq!(
        decode(&longer),
        Ok(Some((frame(None), bytes.len()))),
        "the next frame's byte stays"
    );
}

#[test]
fn bad_headers_are_refused() {
    let good = frame(None).encode_header();
    let with = |offset: usize, bytes: &[u8]| {
        let mut header = good;
        header[offset..offset + bytes.len()].copy_from_slice(bytes);
        FrameHeader::decode(&header)
    };
    for version in [0, 2, 255] {
        assert_eq!(with(0, &[version]), Err(FrameError::Version { got: version }));
    }
    for bit in 0..16 {
        let got = 1u16 << bit;
        assert_eq!(with(2, &got.to_le_bytes()), Err(FrameError::Flags { got }));
    }
    for (part, offset, limit) in [("meta", 4, META_BYTES_MAX), ("payload", 8, PAYLOAD_BYTES_MAX)] {
        let length = |length: usize| u32::try_from(length).unwrap().to_le_bytes();
        assert!(with(offset, &length(limit)).is_ok(), "{part} at its limit");
        for got in [limit + 1, u32::MAX as usize] {
            let error = FrameError::TooLarge { part, got, limit };
            assert_eq!(with(offset, &length(got)), Err(error));
        }
    }
    assert_eq!(with(1, &[200]).unwrap().kind, 200, "kinds are the business of `wire`");
}

#[test]
#[should_panic(expected = "payload is bounded before it is framed")]
fn a_payload_beyond_its_limit_is_not_framed() {
    let payload = Bytes::from(vec![0; PAYLOAD_BYTES_MAX + 1]);
    let _ = Frame { payload, ..frame(None) }.encode_header();
}

#[test]
#[should_panic(expected = "the reader cuts bodies by the header")]
fn a_body_of_another_length_is_the_readers_mistake() {
    let header = FrameHeader::decode(&frame(None).encode_header()).unwrap();
    drop(Frame::from_parts(header, Bytes::from_static(b"short")));
}

proptest! {
    #[test]
    fn round_trip(
        kind in any::<u8>(),
        micros in prop::option::of(1u32..),
        request in any::<u64>(),
        epoch in any::<u64>(),
        meta in prop::collection::vec(any::<u8>(), 0..50),
        payload in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        let budget = micros.map(|micros| Duration::from_micros(micros.into()));
        let (meta, payload) = (Bytes::from(meta), Bytes::from(payload));
        let frame = Frame { kind, budget, request, epoch: Epoch(epoch), meta, payload };
        let bytes = encoded(&frame);
        let length = bytes.len();
        prop_assert_eq!(decode(&bytes), Ok(Some((frame, length))));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        drop(decode(&bytes));
        let mut framed = bytes;
        if let Some(first) = framed.first_mut() {
            *first = 1;
        }
        drop(decode(&framed));
    }
}
