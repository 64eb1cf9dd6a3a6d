//! Two scenes whose datagrams are compared: a conversation, and a bad day.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::time::MonoTime;
use atolldb::env::Env;
use atolldb::net::{Link, Protocol};
use xxhash_rust::xxh3::xxh3_64;

use super::lab::{Host, Lab, Sent, Weather, dial, frame};
use super::{APP, N1, N2};

/// Frames per direction and link of an exchange.
const FRAMES: u64 = 150;

/// Sends all frames into `link` while taking as many out of it; checks contents, and that each comes once.
async fn converse(env: Env, link: Arc<dyn Link>) {
    let mut seen = BTreeSet::new();
    for number in 0..FRAMES {
        link.send(frame(number)).unwrap();
        if number % 16 == 0 {
            env.sleep_until(env.mono().after(Duration::from_millis(3))).await;
        }
    }
    for _ in 0..FRAMES {
        let received = link.recv().await.expect("the link holds");
        assert_eq!(received, frame(received.request));
        assert!(seen.insert(received.request), "once");
    }
}

fn converse_as(host: &Host, link: &Arc<dyn Link>) -> impl Future<Output = ()> + Send + use<> {
    converse(host.place.env.clone(), Arc::clone(link))
}

/// Two nodes and a client talk through foul weather; what was sent, and when it was over.
pub(super) fn exchange(seed: u64) -> (Vec<Sent>, MonoTime) {
    let lab = Lab::new(seed, Weather::FOUL);
    let (n1, n2, app) = (lab.start(1, N1), lab.start(2, N2), lab.start(9, APP));
    let (ours, theirs) = lab.connect(&n1, &n2);
    assert_eq!((ours.protocol(), theirs.protocol()), (Protocol::Peer, Protocol::Peer));
    assert_eq!((ours.identity(), theirs.identity()), (&n2.identity, &n1.identity));
    let (client, served) = lab.connect(&app, &n1);
    assert_eq!((client.protocol(), served.protocol()), (Protocol::Client, Protocol::Client));
    assert_eq!(served.identity(), &app.identity);
    n2.place.env.spawn("test", Box::pin(converse_as(&n2, &theirs)));
    n1.place.env.spawn("test", Box::pin(converse_as(&n1, &served)));
    app.place.env.spawn("test", Box::pin(converse_as(&app, &client)));
    lab.block_on(&n1, converse_as(&n1, &ours));
    // The others end, the acknowledgements of the last frames included.
    lab.pass(Duration::from_secs(20));
    assert!([ours, theirs, client, served].iter().all(|link| !link.is_closed()));
    let log = std::mem::take(&mut *lab.wire.log.lock());
    (log, lab.exec.now())
}

/// Clients that dial at the same moment: more than a listener takes without asking for a proof of their addresses.
const CROWD: u8 = 80;

/// A crowd dials a node; another node is killed again and again, and cut off, while the first dials it.
pub(super) fn storm(seed: u64) -> (Vec<Sent>, MonoTime) {
    let lab = Lab::new(seed, Weather::FOUL);
    let (n1, mut n2) = (lab.start(1, N1), lab.start(2, N2));
    echo(&n1);
    let crowd: Vec<Host> =
        (0..CROWD).map(|number| lab.start(100 + number, &format!("{APP}{number}"))).collect();
    for app in &crowd {
        chat(app, &n1);
    }
    for weather in [Weather::FOUL, Weather::CUT, Weather::FOUL] {
        lab.set_weather(weather);
        echo(&n2);
        chat(&n1, &n2);
        lab.pass(Duration::from_millis(1_300));
        lab.kill(n2);
        n2 = lab.start(2, N2);
    }
    lab.pass(Duration::from_secs(6));
    let log = std::mem::take(&mut *lab.wire.log.lock());
    assert!(was_asked_to_retry(&log, n1.place.address), "the crowd is too small");
    (log, lab.exec.now())
}

/// Accepts links for ever and sends back what comes.
fn echo(host: &Host) {
    let (accepting, env) = (Arc::clone(&host.transport), host.place.env.clone());
    let accept = async move {
        while let Some(link) = accepting.accept().await {
            let echo = async move {
                while let Some(frame) = link.recv().await {
                    // Once the link is closed nothing more is received either.
                    let _ = link.send(frame);
                }
            };
            env.spawn("echo", Box::pin(echo));
        }
    };
    host.place.env.spawn("test", Box::pin(accept));
}

/// Dials and sends until the link breaks or enough has come back.
fn chat(host: &Host, to: &Host) {
    let dialing = dial(host, to);
    let chat = async move {
        let Ok(link) = dialing.await else { return };
        for number in 0..10 {
            if link.send(frame(number)).is_err() || link.recv().await.is_none() {
                return;
            }
        }
    };
    host.place.env.spawn("test", Box::pin(chat));
}

/// Whether somebody's first answer of `listener` was a Retry, the only one that is short.
fn was_asked_to_retry(log: &[Sent], listener: SocketAddr) -> bool {
    let mut first = BTreeMap::new();
    for (_, from, to, length) in log {
        if *from == listener {
            first.entry(*to).or_insert(*length);
        }
    }
    first.values().any(|length| *length < 300)
}

/// One number for a scene: all datagrams and its end.
pub(super) fn digest((log, end): &(Vec<Sent>, MonoTime)) -> u64 {
    xxh3_64(format!("{end:?} {log:?}").as_bytes())
}
