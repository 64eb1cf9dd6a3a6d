//! Nodes and clients on real QUIC in virtual time; determinism above all.

mod lab;
mod scenes;

use std::io::IoSliceMut;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use atoll_protocol::ids::Name;
use atoll_quic::{CONNECT_DEADLINE, IDLE_TIMEOUT, KEEP_ALIVE};
use atolldb::net::LinkClose;
use quinn::AsyncUdpSocket;
use quinn::udp::{RecvMeta, Transmit};

use crate::quic::{Authority, SimUdp, UdpNet, Wire, client_transport};
use lab::{Lab, Weather, dial, frame};
use scenes::{digest, exchange, storm};

const N1: &str = "atoll://reef/node/eu/a/n1";
const N2: &str = "atoll://reef/node/eu/b/n2";
const APP: &str = "atoll://reef/client/app";
const OPS: &str = "atoll://reef/admin/ops";

#[test]
fn a_seed_gives_one_sequence_of_datagrams_and_another_seed_another_one() {
    for scene in [exchange, storm] {
        let (first, second) = (scene(7), scene(7));
        let differs = first.0.iter().zip(&second.0).position(|(a, b)| a != b);
        assert_eq!(differs.map(|at| (at, first.0[at], second.0[at])), None);
        assert_eq!(first, second);
        assert!(first.0.len() > 1_000, "{} datagrams", first.0.len());
        assert_ne!(first.0, scene(8).0);
        // For the test below, in another process.
        eprintln!("digest {:016x}", digest(&first));
    }
}

#[test]
fn another_process_sees_the_same_sequence() {
    let test = "quic::tests::a_seed_gives_one_sequence_of_datagrams_and_another_seed_another_one";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let told: Vec<&str> = told.lines().filter(|line| line.starts_with("digest ")).collect();
    let expected = [exchange(7), storm(7)].map(|scene| format!("digest {:016x}", digest(&scene)));
    assert_eq!(told, expected);
}

#[test]
fn a_cut_wire_ends_in_the_idle_time_out_on_both_sides() {
    let lab = Lab::new(3, Weather::FAIR);
    let (n1, n2) = (lab.start(1, N1), lab.start(2, N2));
    let (ours, theirs) = lab.connect(&n1, &n2);
    lab.pass(Duration::from_secs(30));
    assert!(!ours.is_closed() && !theirs.is_closed(), "keep-alives hold a silent link");
    lab.set_weather(Weather::CUT);
    let cut = lab.exec.now();
    let why = lab.block_on(&n1, async move { ours.closed().await });
    assert!(why.contains("timed out"), "{why}");
    let waited = lab.exec.now().since(cut);
    let heard_last = KEEP_ALIVE + Duration::from_millis(100);
    assert!(waited > IDLE_TIMEOUT - heard_last && waited < IDLE_TIMEOUT + heard_last, "{waited:?}");
    lab.pass(heard_last * 2);
    assert!(theirs.is_closed());

    let begun = lab.exec.now();
    let refused = lab.block_on(&n1, dial(&n1, &n2)).err().unwrap();
    assert!(refused.contains("does not answer"), "{refused}");
    assert!(lab.exec.now().since(begun) <= CONNECT_DEADLINE + Duration::from_millis(1));

    lab.set_weather(Weather::FAIR);
    lab.connect(&n1, &n2);
}

#[test]
fn a_killed_peer_falls_silent_and_its_successor_answers() {
    let lab = Lab::new(4, Weather::FAIR);
    let (n1, n2, app) = (lab.start(1, N1), lab.start(2, N2), lab.start(9, APP));
    let (ours, theirs) = lab.connect(&n1, &n2);
    let (client, served) = lab.connect(&app, &n2);
    for number in 0..150 {
        ours.send(frame(number)).unwrap();
        theirs.send(frame(number)).unwrap();
    }
    lab.pass(Duration::from_millis(50));
    let (killed, address) = (lab.exec.now(), n2.place.address);
    lab.kill(n2);
    drop((theirs, served));
    let sent_by_the_dead =
        |lab: &Lab| lab.wire.log.lock().iter().filter(|sent| sent.1 == address).count();
    let sent = sent_by_the_dead(&lab);
    // It comes back at once: it knows nothing of the old connections and does not answer for them.
    let n2 = lab.start(2, N2);
    let why = lab.block_on(&n1, async move { ours.closed().await });
    assert!(why.contains("timed out"), "{why}");
    let waited = lab.exec.now().since(killed);
    assert!(waited <= IDLE_TIMEOUT + Duration::from_millis(200), "{waited:?}");
    lab.pass(IDLE_TIMEOUT);
    assert!(client.is_closed());
    assert_eq!(sent_by_the_dead(&lab), sent, "the dead do not talk");
    lab.connect(&n1, &n2);
    lab.connect(&app, &n2);
}

#[test]
fn a_paused_process_loses_what_does_not_fit_and_its_links_and_goes_on() {
    let lab = Lab::new(9, Weather::FAIR);
    let (n1, n2) = (lab.start(1, N1), lab.start(2, N2));
    let (ours, theirs) = lab.connect(&n1, &n2);
    lab.exec.pause(n2.owner.process);
    while ours.send(frame(1)).is_ok() {}
    lab.pass(IDLE_TIMEOUT * 2);
    assert!(ours.is_closed() && !theirs.is_closed(), "a paused process notices nothing");
    lab.exec.resume(n2.owner.process);
    lab.pass(Duration::from_secs(1));
    assert!(theirs.is_closed());
    lab.connect(&n1, &n2);
}

#[test]
fn processes_vanish_in_the_midst_of_anything() {
    for millis in (0..400).step_by(13) {
        let lab = Lab::new(millis, Weather::FOUL);
        let (n1, n2) = (lab.start(1, N1), lab.start(2, N2));
        let dialing = dial(&n1, &n2);
        n1.place.env.spawn(
            "test",
            Box::pin(async move {
                if let Ok(link) = dialing.await {
                    while link.send(frame(5)).is_ok() && link.recv().await.is_some() {}
                }
            }),
        );
        let accepting = Arc::clone(&n2.transport);
        n2.place.env.spawn(
            "test",
            Box::pin(async move {
                while let Some(link) = accepting.accept().await {
                    while let Some(frame) = link.recv().await {
                        let _ = link.send(frame);
                    }
                }
            }),
        );
        lab.pass(Duration::from_millis(millis));
        // Tasks first, while the socket is still bound and handles are still held: the other order is `kill`.
        lab.exec.kill(n2.owner.process);
        drop(n2);
        lab.pass(Duration::from_secs(5));
        lab.kill(n1);
        assert!(lab.exec.take_deaths().is_empty());
        lab.net.bind(([10, 0, 0, 1], 7_400).into()).expect("the address is free again");
    }
}

#[test]
fn a_link_closed_with_a_reason_says_so_at_the_other_end() {
    let lab = Lab::new(5, Weather::FAIR);
    let (n1, ops) = (lab.start(1, N1), lab.start(8, OPS));
    let (client, served) = lab.connect(&ops, &n1);
    served.close(LinkClose::Shutdown);
    let why = lab.block_on(&ops, async move { client.closed().await });
    assert!(why.contains("shutting down"), "{why}");
    let closing = Arc::clone(&n1.transport);
    lab.block_on(&n1, async move { closing.close().await });
    let refused = lab.block_on(&ops, dial(&ops, &n1)).err().unwrap();
    assert!(!refused.is_empty());
}

#[test]
fn certificates_follow_from_the_seed_and_judge_roles() {
    let authority = |seed| Authority::new(seed, Name::new("reef").unwrap()).unwrap();
    let named = |uri: &str| authority(1).credentials(&uri.parse().unwrap()).unwrap();
    for uri in [N1, APP, OPS] {
        assert_eq!(named(uri).identity().to_string(), uri);
    }
    let lab = Lab::new(6, Weather::FAIR);
    let (n1, mut stranger) = (lab.start(1, N1), lab.start(9, APP));
    stranger.place.address.set_port(1);
    stranger.place.credentials = authority(1).credentials(&stranger.identity).unwrap();
    stranger.transport = client_transport(&stranger.place).unwrap();
    let refused = lab.block_on(&stranger, dial(&stranger, &n1)).err().unwrap();
    assert!(refused.contains("not trusted") || refused.contains("is not signed by"), "{refused}");
    assert!(client_transport(&stranger.place).is_err(), "the address is taken");
}

/// A wire that delivers at once.
struct Bare;

impl Wire for Bare {
    fn carry(
        &self,
        _: std::net::SocketAddr,
        _: std::net::SocketAddr,
        _: usize,
        arrive: Arc<dyn Fn() + Send + Sync>,
    ) {
        arrive();
    }
}

fn send(socket: &SimUdp, to: u8, contents: &[u8], segment_size: Option<usize>) {
    let destination = ([10, 0, 0, to], 1).into();
    let transmit = Transmit { destination, ecn: None, contents, segment_size, src_ip: None };
    socket.try_send(&transmit).unwrap();
}

/// Takes everything out of a socket: contents, and sizes of batches.
fn drain(socket: &SimUdp) -> (Vec<Vec<u8>>, Vec<usize>) {
    let (mut contents, mut batches) = (Vec::new(), Vec::new());
    let mut idle = 0;
    while idle < 32 {
        let mut buffers = vec![[0; 1_500]; 8];
        let mut slices: Vec<IoSliceMut<'_>> =
            buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        let mut meta = [RecvMeta::default(); 8];
        match socket.poll_recv(&mut Context::from_waker(Waker::noop()), &mut slices, &mut meta) {
            Poll::Ready(count) => {
                let count = count.unwrap();
                batches.push(count);
                let taken = buffers.iter().zip(&meta).take(count);
                contents.extend(taken.map(|(buffer, meta)| buffer[..meta.len].to_vec()));
                idle = 0;
            }
            Poll::Pending => idle += 1,
        }
    }
    (contents, batches)
}

#[test]
fn datagrams_keep_their_bounds_and_come_in_batches_of_any_size() {
    let net = UdpNet::new(Arc::new(Bare), 1);
    let bind = |host: u8| net.bind(([10, 0, 0, host], 1).into()).unwrap();
    let (a, b) = (bind(1), bind(2));
    for number in 0..200 {
        send(&a, 2, &[number; 10], None);
    }
    send(&a, 2, &[7; 25], Some(10));
    let (contents, batches) = drain(&b);
    assert!(contents.iter().zip(0..200).all(|(one, number)| *one == [number; 10]));
    assert_eq!(contents[200..].iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
    let sizes: std::collections::BTreeSet<usize> = batches.into_iter().collect();
    assert!(sizes.len() > 5 && sizes.last() == Some(&8), "{sizes:?}");

    for _ in 0..300 {
        send(&a, 2, &[0; 1_000], None);
    }
    send(&a, 3, &[0; 10], None);
    let counts = net.counts();
    assert_eq!((counts.sent, counts.received, counts.unheard), (504, 203, 1));
    assert_eq!(counts.overflowed, 300 - 212);
    assert_eq!(drain(&b).0.len(), 212);

    net.unbind(([10, 0, 0, 2], 1).into());
    let successor = bind(2);
    send(&b, 1, b"from the dead", None);
    send(&a, 2, b"to the living", None);
    drop(b);
    assert!(drain(&a).0.is_empty());
    assert_eq!(drain(&successor).0, [b"to the living"]);
    drop(successor);
    bind(2);
}
