//! Frames over lanes: all of them, intact, once, bounded.

use std::collections::BTreeSet;

use atoll_protocol::frame::{Frame, HEADER_BYTES};
use atoll_protocol::limits::{META_BYTES_MAX, PAYLOAD_BYTES_MAX};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;

use crate::lanes::{COLLECTED_BYTES_MAX, LANE_VERSION};
use crate::tests::pki::Authority;
use crate::tests::{
    CLIENT, addr_of, bind, client_config, echo, frame, node_config, pair, raw, within,
};
use crate::{CloseCode, ClosedBy, Connection, Endpoint, EndpointConfig, SendError};

/// Both endpoints live as long as the connection is used.
struct Setup {
    _dialer: Endpoint,
    _listener: Endpoint,
    ours: Connection,
    theirs: Connection,
}

async fn setup() -> Setup {
    let authority = Authority::new();
    let (dialer, listener) = (bind(client_config(&authority)), bind(node_config(&authority)));
    let (ours, theirs) = pair(&dialer, &listener).await;
    Setup { _dialer: dialer, _listener: listener, ours, theirs }
}

async fn echoes(count: u64, connection: &Connection, make: impl Fn(u64) -> Frame) {
    let sending = async {
        for request in 0..count {
            connection.send_wait(make(request)).await.unwrap();
        }
    };
    let receiving = async {
        let mut seen = vec![0; usize::try_from(count).unwrap()];
        for _ in 0..count {
            let received = connection.recv().await.unwrap();
            seen[usize::try_from(received.request).unwrap()] += 1;
            let sent = make(received.request);
            assert!(received == sent, "frame {} was altered", sent.request);
        }
        assert!(seen.iter().all(|times| *times == 1), "each frame comes back once");
    };
    within(async { tokio::join!(sending, receiving) }).await;
}

#[tokio::test]
async fn ten_thousand_small_frames_each_way() {
    let setup = setup().await;
    echo(&setup.theirs);
    echoes(10_000, &setup.ours, |request| {
        let size = usize::try_from(request % 200).unwrap();
        frame(request, vec![request.to_le_bytes()[0]; size])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_frames_each_way_from_either_side() {
    let setup = setup().await;
    let megabyte = Bytes::from(vec![0xa5; 1_024 * 1_024]);
    echo(&setup.theirs);
    echoes(24, &setup.ours, |request| frame(request, megabyte.clone())).await;
    let largest = Bytes::from(vec![0x5a; PAYLOAD_BYTES_MAX]);
    let meta = Bytes::from(vec![0x11; META_BYTES_MAX]);
    echoes(3, &setup.ours, |request| Frame {
        meta: meta.clone(),
        ..frame(request, largest.clone())
    })
    .await;
}

#[tokio::test]
async fn the_listener_may_speak_first() {
    let setup = setup().await;
    echo(&setup.ours);
    echoes(500, &setup.theirs, |request| frame(request, "hello")).await;
    assert!(setup.ours.rtt() > std::time::Duration::ZERO);
}

#[tokio::test]
async fn frames_come_by_the_burst_and_no_more_than_are_asked_for() {
    let setup = setup().await;
    for request in 0..1_000 {
        setup.ours.send(frame(request, Bytes::new())).unwrap();
    }
    let mut batch = Vec::new();
    let mut received = BTreeSet::new();
    while received.len() < 1_000 {
        let count = within(setup.theirs.recv_many(&mut batch, 7)).await;
        assert!(count == batch.len() && (1..=7).contains(&count));
        for frame in batch.drain(..) {
            assert!(received.insert(frame.request), "once");
        }
    }
}

#[tokio::test]
async fn giving_up_waiting_loses_no_frame() {
    let setup = setup().await;
    let payload = Bytes::from(vec![3; 20_000]);
    for request in 0..50 {
        setup.ours.send(frame(request, payload.clone())).unwrap();
    }
    let mut received = BTreeSet::new();
    while received.len() < 50 {
        // Given up before anything came, most of the time.
        let next = setup.theirs.recv().now_or_never().flatten();
        match next {
            Some(next) => assert!(next.payload == payload && received.insert(next.request)),
            None => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn small_frames_pass_a_large_one_that_nobody_can_take_yet() {
    let setup = setup().await;
    // Larger than the window of a stream: its lane stands still until it is read.
    let large = Bytes::from(vec![1; PAYLOAD_BYTES_MAX]);
    setup.ours.send(frame(0, large)).unwrap();
    let mut small = 0;
    while small < 100 {
        setup.ours.send(frame(1, "small")).unwrap();
        let received = within(setup.theirs.recv()).await.unwrap();
        assert!(received.request == 1 || small > 0, "the large one takes its time");
        small += received.request;
    }
}

#[tokio::test]
async fn full_outbox_is_an_answer() {
    let authority = Authority::new();
    let listener = bind(node_config(&authority));
    let config = EndpointConfig { outbox_frames: 5, lanes: 1, ..client_config(&authority) };
    let dialer = bind(config);
    let (ours, theirs) = pair(&dialer, &listener).await;
    // The runtime has one thread: no writer runs between these sends.
    for request in 0..5 {
        ours.send(frame(request, "x")).unwrap();
    }
    assert_eq!(ours.send(frame(5, "x")), Err(SendError::Full { limit: 5 }));
    for request in 0..5 {
        assert_eq!(within(theirs.recv()).await.unwrap().request, request);
    }
    within(ours.send_wait(frame(6, "x"))).await.unwrap();
    assert_eq!(within(theirs.recv()).await.unwrap().request, 6);
}

#[tokio::test]
async fn outbox_is_bounded_in_bytes_too() {
    let setup = setup().await;
    let payload = Bytes::from(vec![0; PAYLOAD_BYTES_MAX]);
    setup.ours.send(frame(0, payload.clone())).unwrap();
    let refused = setup.ours.send(frame(1, payload.clone()));
    assert_eq!(refused, Err(SendError::FullBytes { limit: crate::OUTBOX_BYTES_MAX }));
    let payload = Bytes::from(vec![0; PAYLOAD_BYTES_MAX + 1]);
    let refused = setup.ours.send(frame(2, payload));
    assert!(matches!(refused, Err(SendError::TooLarge { part: "payload", .. })), "{refused:?}");
}

#[tokio::test]
async fn slow_receiver_fills_the_sender_and_loses_nothing() {
    let setup = setup().await;
    let payload = Bytes::from(vec![1; 256 * 1_024]);
    // 16 MiB of QUIC's window, 32 MiB of outbox and what QUIC buffers; then it is full.
    let mut sent = 0;
    while let Ok(Ok(())) = tokio::time::timeout(
        std::time::Duration::from_millis(500),
        setup.ours.send_wait(frame(sent, payload.clone())),
    )
    .await
    {
        sent += 1;
        assert!(sent < 1_000, "250 MiB are not bounded");
    }
    for _ in 0..sent {
        assert_eq!(within(setup.theirs.recv()).await.unwrap().payload.len(), payload.len());
    }
}

#[tokio::test]
async fn dropping_the_last_handle_closes() {
    let setup = setup().await;
    let second = setup.ours.clone();
    drop(setup.ours);
    second.send(frame(1, "x")).unwrap();
    assert_eq!(within(setup.theirs.recv()).await.unwrap().request, 1);
    drop(second);
    let ended = within(setup.theirs.closed()).await;
    assert_eq!((ended.code, ended.by), (Some(CloseCode::Done), ClosedBy::Peer));
    assert!(within(setup.theirs.recv()).await.is_none());
    assert!(setup.theirs.is_closed());
    assert_eq!(setup.theirs.send(frame(2, "x")), Err(SendError::Closed));
    assert_eq!(setup.theirs.send_wait(frame(2, "x")).await, Err(SendError::Closed));
}

#[tokio::test]
async fn both_sides_learn_code_and_reason_of_a_close() {
    let setup = setup().await;
    setup.ours.close(CloseCode::Credentials, "too old");
    setup.ours.close(CloseCode::Internal, "second thoughts");
    for (connection, by) in [(&setup.ours, ClosedBy::Local), (&setup.theirs, ClosedBy::Peer)] {
        let ended = within(connection.closed()).await;
        assert_eq!((ended.code, ended.by), (Some(CloseCode::Credentials), by));
        assert_eq!(ended.reason, "too old");
    }
    assert_eq!(setup.ours.send(frame(1, "x")), Err(SendError::Closed));
}

/// What ends a connection whose lane carries `bytes`; another connection must not notice.
async fn malformed(bytes: &[u8]) -> String {
    let authority = Authority::new();
    let (dialer, listener) = (bind(client_config(&authority)), bind(node_config(&authority)));
    let (bystander, theirs) = pair(&dialer, &listener).await;
    echo(&theirs);

    let credentials = authority.credentials(CLIENT);
    let dialing = raw::dial(addr_of(&listener), &credentials);
    let (bad, accepted) = within(async { tokio::join!(dialing, listener.accept()) }).await;
    let accepted = accepted.unwrap().unwrap();
    let mut lane = bad.open_uni().await.unwrap();
    lane.write_all(bytes).await.unwrap();
    lane.finish().unwrap();
    assert!(within(accepted.recv()).await.is_none());

    let quinn::ConnectionError::ApplicationClosed(close) = within(bad.closed()).await else {
        panic!("not closed by the application")
    };
    assert_eq!(close.error_code.into_inner(), CloseCode::Frame.number());
    let ended = within(accepted.closed()).await;
    assert_eq!((ended.code, ended.by), (Some(CloseCode::Frame), ClosedBy::Local));
    assert_eq!(ended.reason.as_bytes(), &close.reason[..]);

    bystander.send(frame(9, "unaffected")).unwrap();
    assert_eq!(within(bystander.recv()).await.unwrap().request, 9);
    ended.reason
}

#[tokio::test]
async fn garbage_closes_that_connection_with_the_reason() {
    assert_eq!(
        malformed(b"GET / HTTP/1.1").await,
        "lane version 71 is not supported (this side speaks 1)"
    );
    let mut garbage = vec![LANE_VERSION];
    garbage.extend([0xff; 64]);
    let reason = malformed(&garbage).await;
    assert_eq!(reason, "frame version 255 is not supported (this side speaks 1)");
}

#[tokio::test]
async fn oversized_length_closes_that_connection_with_the_reason() {
    let mut bytes = vec![LANE_VERSION];
    let mut header = frame(1, "").encode_header();
    header[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    bytes.extend(header);
    let reason = malformed(&bytes).await;
    assert_eq!(reason, "frame payload of 4294967295 bytes exceeds the limit of 16777216");
}

#[tokio::test]
async fn lane_that_ends_within_a_frame_closes_the_connection() {
    let mut bytes = vec![LANE_VERSION];
    bytes.extend(frame(1, "").encode_header());
    assert_eq!(bytes.len(), 1 + HEADER_BYTES);
    assert_eq!(malformed(&bytes).await, "a lane ended within a frame");
}

/// A connection with two lanes that have begun frames of the largest size, for which there is no room at once, and a third with a
/// small frame, which has been received; and the rest of the large ones.
async fn crowded() -> (Endpoint, quinn::Connection, Connection, Vec<quinn::SendStream>, Bytes) {
    let authority = Authority::new();
    let listener = bind(node_config(&authority));
    let credentials = authority.credentials(CLIENT);
    let dialing = raw::dial(addr_of(&listener), &credentials);
    let (dialer, accepted) = within(async { tokio::join!(dialing, listener.accept()) }).await;
    let accepted = accepted.unwrap().unwrap();
    let largest = Frame {
        meta: Bytes::from(vec![1; META_BYTES_MAX]),
        ..frame(7, Bytes::from(vec![2; PAYLOAD_BYTES_MAX]))
    };
    let mut encoded = BytesMut::new();
    largest.encode_into(&mut encoded);
    let rest = encoded.split_off(1_000).freeze();
    assert!(2 * (encoded.len() + rest.len()) > COLLECTED_BYTES_MAX);
    let begun = encoded.freeze();
    let mut small = BytesMut::new();
    frame(1, "small").encode_into(&mut small);
    let mut lanes = Vec::new();
    for beginning in [&begun, &begun, &small.freeze()] {
        let mut lane = dialer.open_uni().await.unwrap();
        lane.write_all(&[LANE_VERSION]).await.unwrap();
        lane.write_all(beginning).await.unwrap();
        lanes.push(lane);
    }
    assert_eq!(within(accepted.recv()).await.unwrap().request, 1);
    (listener, dialer, accepted, lanes, rest)
}

#[tokio::test]
async fn a_lane_without_room_goes_on_when_another_has_finished() {
    let (_listener, _dialer, accepted, mut lanes, rest) = crowded().await;
    let sending = async {
        for lane in lanes.iter_mut().take(2) {
            lane.write_all(&rest).await.unwrap();
        }
    };
    let receiving = async {
        for _ in 0..2 {
            assert_eq!(accepted.recv().await.unwrap().payload.len(), PAYLOAD_BYTES_MAX);
        }
    };
    within(async { tokio::join!(sending, receiving) }).await;
}

#[tokio::test]
async fn a_lane_without_room_ends_with_the_connection() {
    let (_listener, dialer, accepted, _lanes, _) = crowded().await;
    dialer.close(0u32.into(), b"");
    assert!(within(accepted.recv()).await.is_none());
}
