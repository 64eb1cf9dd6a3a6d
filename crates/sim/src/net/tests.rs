//! Links between two processes, through cuts and deaths.

use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::frame::Frame;
use atoll_protocol::identity::{Identity, Role};
use atoll_protocol::ids::{Epoch, Name};
use atoll_protocol::wire::{self, Envelope, Gossip, PeerNotice};
use atolldb::env::Env;
use atolldb::net::{Link, PeerAddress, Transport};
use bytes::Bytes;
use parking_lot::Mutex;

use super::{Effect, FaultId, Net, Trouble};
use crate::exec::{ClockSetting, Exec, Owner, ProcessId, Trace};
use crate::prng::Prng;

fn identity(node: &str) -> Identity {
    let name = |text| Name::new(text).unwrap();
    let role = Role::Node { dc: name("a"), rack: name("r"), node: name(node) };
    Identity { cluster: name("test"), role }
}

fn frame(number: u64) -> Frame {
    let notice =
        PeerNotice::Gossip(Gossip { boot: number, topology: 0, keyspaces: 0, silent: vec![] });
    let envelope = Envelope { request: number, epoch: Epoch(1), budget: None };
    wire::to_frame(&notice, Bytes::new(), envelope).unwrap()
}

struct World {
    exec: Exec,
    net: Net,
    processes: Vec<(Owner, Env)>,
    heard: Arc<Mutex<Vec<u64>>>,
    ended: Arc<Mutex<Option<String>>>,
    sender: Arc<Mutex<Option<Arc<dyn Link>>>>,
}

impl World {
    /// Process 1 listens and writes down what it hears; process 0 has dialled it.
    fn connected() -> Self {
        let exec = Exec::new(1, Trace::Hash);
        let net = Net::new(exec.clone(), 1, vec![0, 0], Duration::from_millis(80));
        let start = |_| {
            let id = exec.add_process(ClockSetting::default(), Prng::stream(1, "p"));
            exec.start_process(id)
        };
        let processes: Vec<(Owner, Env)> = (0..2).map(start).collect();
        let world = Self {
            exec,
            net,
            processes,
            heard: Arc::default(),
            ended: Arc::default(),
            sender: Arc::default(),
        };
        let listening = Arc::new(world.net.listen(world.processes[1].0, identity("n1")));
        let (heard, ended) = (world.heard.clone(), world.ended.clone());
        world.processes[1].1.spawn(
            "listen",
            Box::pin(async move {
                let Some(link) = listening.accept().await else { return };
                while let Some(frame) = link.recv().await {
                    heard.lock().push(frame.request);
                }
                *ended.lock() = Some(link.closed().await);
            }),
        );
        let dialling = Arc::new(world.net.listen(world.processes[0].0, identity("n0")));
        let sender = world.sender.clone();
        world.processes[0].1.spawn(
            "dial",
            Box::pin(async move {
                let address = Net::address(ProcessId(1));
                let peer = PeerAddress { address, identity: identity("n1") };
                *sender.lock() = Some(dialling.connect(peer).await.unwrap());
            }),
        );
        world.run(Duration::from_millis(100));
        assert!(world.sender.lock().is_some(), "connected within a few round trips");
        world
    }

    fn run(&self, span: Duration) {
        let end = self.exec.now().after(span);
        while self.exec.now() < end && self.exec.step() {}
    }

    fn send(&self, number: u64) -> bool {
        self.sender.lock().as_ref().is_some_and(|link| link.send(frame(number)).is_ok())
    }

    fn cut(&self) {
        let (from, to) = (vec![ProcessId(0)], vec![ProcessId(1)]);
        self.net.set(FaultId(1), Trouble { from, to, effect: Effect::Cut });
    }
}

#[test]
fn frames_arrive_once_and_overtake_each_other() {
    let world = World::connected();
    (1..=40).for_each(|number| assert!(world.send(number)));
    world.run(Duration::from_secs(1));
    let heard = world.heard.lock().clone();
    let mut sorted = heard.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=40).collect::<Vec<_>>());
    assert!(heard.windows(2).any(|pair| pair[0] > pair[1]), "{heard:?}");
}

#[test]
fn frames_wait_for_a_short_cut_and_a_long_one_ends_the_link() {
    let world = World::connected();
    world.cut();
    assert!(world.send(1));
    world.run(Duration::from_secs(2));
    assert!(world.heard.lock().is_empty());
    world.net.clear(FaultId(1));
    world.run(Duration::from_secs(2));
    assert_eq!(*world.heard.lock(), [1]);
    world.cut();
    assert!(world.send(2));
    world.run(Duration::from_secs(10));
    assert_eq!(world.ended.lock().as_deref(), Some("timed out"));
    world.net.heal();
    world.run(Duration::from_secs(10));
    assert_eq!(*world.heard.lock(), [1], "a link that is over delivers nothing");
    assert!(!world.send(3), "the other end has noticed too");
}

#[test]
fn the_dead_fall_silent_and_the_closed_say_goodbye() {
    let world = World::connected();
    world.exec.kill(ProcessId(0));
    world.net.forget(ProcessId(0));
    world.run(Duration::from_secs(1));
    assert_eq!(*world.ended.lock(), None);
    world.run(Duration::from_secs(10));
    assert_eq!(world.ended.lock().as_deref(), Some("timed out"));
    let world = World::connected();
    *world.sender.lock() = None;
    world.run(Duration::from_secs(1));
    assert_eq!(world.ended.lock().as_deref(), Some("closed by the peer: dropped"));
}
