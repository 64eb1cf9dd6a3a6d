//! What follows from a seed. How an endpoint fares on foreign surroundings is tested in the simulator.

use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use atoll_protocol::time::WallTime;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, UdpPoller};

use crate::runtime::BoxFuture;
use crate::surroundings::Sources;
use crate::tests::pki::{Authority, now};
use crate::tests::{CLIENT, NODE, any_node};
use crate::{Alpn, ConnectError, Endpoint, EndpointConfig, Surroundings};

/// A place where nothing moves: no time, no packets.
#[derive(Debug)]
struct Still;

impl Runtime for Still {
    fn new_timer(&self, _: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(Self)
    }

    fn spawn(&self, _: BoxFuture) {
        panic!("tasks come from the spawner");
    }

    fn wrap_udp_socket(&self, _: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        panic!("the socket is given");
    }

    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    fn now(&self) -> Instant {
        Instant::now()
    }
}

impl AsyncTimer for Still {
    fn reset(self: Pin<&mut Self>, _: Instant) {}

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl AsyncUdpSocket for Still {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Self)
    }

    fn try_send(&self, _: &Transmit<'_>) -> io::Result<()> {
        Ok(())
    }

    fn poll_recv(
        &self,
        _: &mut Context<'_>,
        _: &mut [io::IoSliceMut<'_>],
        _: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        Ok(([10, 0, 0, 1], 4_711).into())
    }
}

impl UdpPoller for Still {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn surroundings(seed: u8) -> Surroundings {
    Surroundings {
        runtime: Arc::new(Still),
        socket: Arc::new(Still),
        seed: [seed; 32],
        wall: Arc::new(now),
    }
}

#[test]
fn equal_seeds_draw_equal_ids_and_know_only_their_own() {
    let draw = |seed| {
        let Sources::Given(given) = Sources::of(Some(&surroundings(seed))) else {
            panic!("surroundings were given");
        };
        let first = given.first_id();
        (first, given.own_id([1, 2, 3]))
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1).0, draw(2).0);
    assert_ne!(draw(1).1, draw(2).1, "a successor does not take the ids for its own");
}

#[test]
fn binds_and_dials_without_a_tokio_runtime() {
    let authority = Authority::new();
    let spawner: crate::Spawner = Arc::new(|_name, task| drop(task));
    let listener = EndpointConfig {
        surroundings: Some(surroundings(1)),
        ..EndpointConfig::node(
            ([10, 0, 0, 1], 1).into(),
            authority.credentials(NODE),
            spawner.clone(),
        )
    };
    let listener = Endpoint::bind(listener).unwrap();
    assert_eq!(listener.local_addr().unwrap().port(), 4_711);
    let dialer = EndpointConfig {
        surroundings: Some(surroundings(2)),
        ..EndpointConfig::client(authority.credentials(CLIENT), spawner)
    };
    let dialer = Endpoint::bind(dialer).unwrap();
    let mut dial = Box::pin(dialer.connect(([10, 0, 0, 1], 1).into(), Alpn::Client, any_node()));
    let Poll::Ready(outcome) =
        dial.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()))
    else {
        panic!("an endpoint whose tasks are gone dials nobody");
    };
    assert!(matches!(outcome, Err(ConnectError::Local { .. })), "{outcome:?}");
}

#[test]
fn certificates_are_judged_by_the_given_clock() {
    let wall = WallTime::from_micros(1_700_000_000_000_000);
    let given = Surroundings { wall: Arc::new(move || wall), ..surroundings(1) };
    let provider = Sources::of(Some(&given)).time_provider();
    assert_eq!(provider.current_time().unwrap().as_secs(), 1_700_000_000);
}
