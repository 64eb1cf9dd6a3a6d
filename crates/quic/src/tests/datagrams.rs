//! Datagrams: whole, at most once, beside the frames, and bounded where nobody takes them.

use bytes::Bytes;

use crate::tests::pki::Authority;
use crate::tests::{bind, client_config, frame, node_config, pair, within};
use crate::{
    CloseCode, Connection, DATAGRAM_BUFFER_BYTES, DATAGRAM_BYTES_MAX, Endpoint, SendError,
};

async fn setup() -> ([Endpoint; 2], Connection, Connection) {
    let authority = Authority::new();
    let (dialer, listener) = (bind(client_config(&authority)), bind(node_config(&authority)));
    let (ours, theirs) = pair(&dialer, &listener).await;
    ([dialer, listener], ours, theirs)
}

#[tokio::test]
async fn the_longest_and_the_empty_one_arrive_each_way() {
    let (_endpoints, ours, theirs) = setup().await;
    for (from, to) in [(&ours, &theirs), (&theirs, &ours)] {
        for length in [DATAGRAM_BYTES_MAX, 0, 1] {
            let sent = Bytes::from(vec![0x5a; length]);
            from.send_datagram(sent.clone()).unwrap();
            assert_eq!(within(to.recv_datagram()).await, Some(sent));
        }
    }
    let (sent, received) = (ours.path(), theirs.path());
    assert!(sent.sent_packets > 0);
    assert!(sent.sent_bytes > DATAGRAM_BYTES_MAX as u64);
    assert!(received.received_bytes > DATAGRAM_BYTES_MAX as u64);
}

#[tokio::test]
async fn a_longer_one_is_refused() {
    let (_endpoints, ours, _theirs) = setup().await;
    let (got, limit) = (DATAGRAM_BYTES_MAX + 1, DATAGRAM_BYTES_MAX);
    let refused = ours.send_datagram(Bytes::from(vec![0; got]));
    assert_eq!(refused, Err(SendError::TooLarge { part: "datagram", got, limit }));
}

#[tokio::test]
async fn those_that_nobody_takes_are_lost_and_harm_nothing() {
    let (_endpoints, ours, theirs) = setup().await;
    let count = 4 * DATAGRAM_BUFFER_BYTES / DATAGRAM_BYTES_MAX;
    for number in 0..count {
        ours.send_datagram(Bytes::from(vec![0; DATAGRAM_BYTES_MAX])).unwrap();
        ours.send_wait(frame(number as u64, "between")).await.unwrap();
    }
    for _ in 0..count {
        assert!(within(theirs.recv()).await.is_some(), "frames arrive all the same");
    }
    ours.send_datagram(Bytes::from_static(b"last")).unwrap();
    let mut taken = 0;
    while within(theirs.recv_datagram()).await.unwrap() != b"last"[..] {
        taken += 1;
    }
    assert!(taken <= DATAGRAM_BUFFER_BYTES / DATAGRAM_BYTES_MAX, "{taken} had waited");
}

#[tokio::test]
async fn the_end_of_the_connection_ends_them() {
    let (_endpoints, ours, theirs) = setup().await;
    ours.close(CloseCode::Done, "done");
    assert_eq!(within(theirs.recv_datagram()).await, None);
    assert_eq!(theirs.send_datagram(Bytes::new()), Err(SendError::Closed));
}
