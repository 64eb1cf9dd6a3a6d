//! Cutting and joining frames, without a network.

use atoll_protocol::frame::{Frame, FrameError};
use atoll_protocol::ids::Epoch;
use bytes::{Bytes, BytesMut};

use crate::lanes::assemble::{Assembler, Progress};
use crate::lanes::writer::encode;

fn frame(request: u64, meta: usize, payload: usize) -> Frame {
    Frame {
        kind: 1,
        budget: None,
        request,
        epoch: Epoch(1),
        meta: Bytes::from(vec![1; meta]),
        payload: Bytes::from(vec![2; payload]),
    }
}

fn sample() -> Vec<Frame> {
    let sizes = [(0, 0), (1, 0), (0, 1), (17, 4_096), (0, 4_097), (300, 70_000), (0, 0), (5, 5)];
    (0..).zip(sizes).map(|(request, (meta, payload))| frame(request, meta, payload)).collect()
}

fn cut(bytes: &Bytes, size: usize) -> Vec<Frame> {
    let mut assembler = Assembler::default();
    let mut frames = Vec::new();
    for chunk in bytes.chunks(size) {
        let mut chunk = Bytes::copy_from_slice(chunk);
        loop {
            match assembler.advance(&mut chunk).unwrap() {
                Progress::Hungry => break,
                Progress::Announced(_) => {}
                Progress::Complete(frame) => frames.push(frame),
            }
        }
        assert!(chunk.is_empty(), "a hungry assembler has used up its chunk");
    }
    assert!(assembler.is_between_frames());
    frames
}

#[test]
fn frames_survive_any_cutting() {
    let mut encoded = BytesMut::new();
    sample().iter().for_each(|frame| frame.encode_into(&mut encoded));
    let encoded = encoded.freeze();
    for size in [1, 2, 31, 32, 33, 63, 64, 65, 1_452, 4_096, encoded.len()] {
        assert_eq!(cut(&encoded, size), sample(), "chunks of {size}");
    }
}

#[test]
fn coalescing_changes_no_byte_and_copies_no_large_payload() {
    let mut plain = BytesMut::new();
    sample().iter().for_each(|frame| frame.encode_into(&mut plain));
    let mut frames: Vec<_> = sample().into_iter().map(Box::new).collect();
    let large = frames[5].payload.as_ptr();
    let mut chunks = Vec::new();
    encode(&mut frames, &mut chunks);
    assert!(frames.is_empty());
    assert_eq!(chunks.concat(), plain);
    assert_eq!(
        chunks.len(),
        5,
        "four small frames and a header; a payload; a header; a payload; two small frames"
    );
    assert!(chunks.iter().any(|chunk| chunk.as_ptr() == large));
}

#[test]
fn room_is_asked_for_before_the_body_is_read() {
    let mut bytes = BytesMut::new();
    frame(1, 10, 20).encode_into(&mut bytes);
    let mut bytes = bytes.freeze();
    let mut assembler = Assembler::default();
    assert_eq!(assembler.advance(&mut bytes), Ok(Progress::Announced(30)));
    assert_eq!(bytes.len(), 30, "the body has not been touched");
    assert!(!assembler.is_between_frames());
    assert_eq!(assembler.advance(&mut bytes), Ok(Progress::Complete(frame(1, 10, 20))));
}

#[test]
fn lengths_are_refused_before_anything_is_announced() {
    for (field, part) in [(4, "meta"), (8, "payload")] {
        let mut header = frame(1, 0, 0).encode_header();
        header[field..field + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        let refused = Assembler::default().advance(&mut Bytes::copy_from_slice(&header));
        assert!(
            matches!(refused, Err(FrameError::TooLarge { part: seen, .. }) if seen == part),
            "{refused:?}"
        );
    }
}

#[test]
fn a_frame_keeps_no_packet_alive() {
    let mut bytes = BytesMut::new();
    frame(1, 4, 4).encode_into(&mut bytes);
    let packet = bytes.freeze();
    let frames = cut(&packet, packet.len());
    let body = frames[0].payload.as_ptr() as usize;
    let range = packet.as_ptr() as usize..packet.as_ptr() as usize + packet.len();
    assert!(!range.contains(&body));
}
