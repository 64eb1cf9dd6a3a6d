//! Emulated links under real connections.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::tests::pki::Authority;
use crate::tests::{
    addr_of, any_node, bind, client_config, echo, frame, node_config, pair, within,
};
use crate::{Alpn, ClosedBy, ConnectError, EndpointConfig, LinkEmulator, LinkRule};

const SEED: u64 = 0x000a_7011;

#[tokio::test]
async fn delayed_link_takes_at_least_its_delay() {
    let authority = Authority::new();
    let emulator = Arc::new(LinkEmulator::new(SEED));
    let config =
        EndpointConfig { emulator: Some(Arc::clone(&emulator)), ..client_config(&authority) };
    let (dialer, listener) = (bind(config), bind(node_config(&authority)));
    let (ours, theirs) = pair(&dialer, &listener).await;
    echo(&theirs);
    assert_eq!(emulator.counts().delayed, 0, "without a rule nothing waits");

    let delay = Duration::from_millis(40);
    emulator.set_rule(addr_of(&listener), LinkRule::delayed(delay));
    assert_eq!(emulator.rules(), vec![(addr_of(&listener), LinkRule::delayed(delay))]);
    for request in 0..5 {
        let start = Instant::now();
        ours.send(frame(request, "x")).unwrap();
        assert_eq!(within(ours.recv()).await.unwrap().request, request);
        assert!(start.elapsed() >= delay, "{:?}", start.elapsed());
    }
    assert!(emulator.counts().delayed >= 5);

    emulator.clear_rule(addr_of(&listener));
    ours.send(frame(9, "x")).unwrap();
    assert_eq!(within(ours.recv()).await.unwrap().request, 9);
}

#[tokio::test]
async fn delay_on_both_sides_adds_up_and_bulk_passes() {
    let authority = Authority::new();
    let (east, west) = (Arc::new(LinkEmulator::new(1)), Arc::new(LinkEmulator::new(2)));
    let dialer =
        bind(EndpointConfig { emulator: Some(Arc::clone(&east)), ..client_config(&authority) });
    let listener =
        bind(EndpointConfig { emulator: Some(Arc::clone(&west)), ..node_config(&authority) });
    let delay = Duration::from_millis(15);
    let client_port = addr_of(&dialer).port();
    east.set_rule(addr_of(&listener), LinkRule::delayed(delay));
    west.set_rule(([127, 0, 0, 1], client_port).into(), LinkRule::delayed(delay));
    let (ours, theirs) = pair(&dialer, &listener).await;
    echo(&theirs);
    let start = Instant::now();
    ours.send(frame(0, "x")).unwrap();
    within(ours.recv()).await.unwrap();
    assert!(start.elapsed() >= 2 * delay, "{:?}", start.elapsed());
    let payload = Bytes::from(vec![7; 512 * 1_024]);
    for request in 0..8 {
        ours.send_wait(frame(request, payload.clone())).await.unwrap();
    }
    for _ in 0..8 {
        assert!(within(ours.recv()).await.unwrap().payload == payload);
    }
    assert_eq!((east.counts().overflowed, west.counts().overflowed), (0, 0));
}

#[tokio::test]
async fn lossy_link_loses_packets_and_no_frames() {
    let authority = Authority::new();
    let emulator = Arc::new(LinkEmulator::new(SEED));
    let config =
        EndpointConfig { emulator: Some(Arc::clone(&emulator)), ..client_config(&authority) };
    let (dialer, listener) = (bind(config), bind(node_config(&authority)));
    let (ours, theirs) = pair(&dialer, &listener).await;
    echo(&theirs);
    let rule = LinkRule { loss_per_mille: 50, ..LinkRule::default() };
    emulator.set_rule(addr_of(&listener), rule);
    for request in 0..2_000 {
        ours.send_wait(frame(request, vec![3; 500])).await.unwrap();
    }
    for _ in 0..2_000 {
        within(ours.recv()).await.unwrap();
    }
    assert!(emulator.counts().lost > 0, "{:?}", emulator.counts());
}

#[tokio::test]
async fn blocked_link_times_out_and_heals() {
    let authority = Authority::new();
    let emulator = Arc::new(LinkEmulator::new(SEED));
    // Only the listener has an emulator: a partition works from one side, in both directions.
    let config =
        EndpointConfig { emulator: Some(Arc::clone(&emulator)), ..node_config(&authority) };
    let (dialer, listener) = (bind(client_config(&authority)), bind(config));
    let (ours, theirs) = pair(&dialer, &listener).await;

    emulator.set_rule(theirs.remote_addr(), LinkRule::blocked());
    ours.send(frame(1, "lost")).unwrap();
    for connection in [&ours, &theirs] {
        let ended = within(connection.closed()).await;
        assert_eq!((ended.code, ended.by), (None, ClosedBy::Timeout), "{ended}");
    }
    assert!(within(theirs.recv()).await.is_none(), "the frame did not pass");
    assert!(emulator.counts().blocked > 0);
    let dialing = dialer.connect(addr_of(&listener), Alpn::Client, any_node());
    let error = within(dialing).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");

    emulator.clear();
    let (ours, theirs) = pair(&dialer, &listener).await;
    echo(&theirs);
    ours.send(frame(2, "healed")).unwrap();
    assert_eq!(within(ours.recv()).await.unwrap().request, 2);
}
