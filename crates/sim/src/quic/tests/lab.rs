//! A few processes on one wire, for tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::frame::Frame;
use atoll_protocol::identity::Identity;
use atoll_protocol::ids::{Epoch, Name};
use atolldb::net::{Link, PeerAddress, Transport};
use bytes::Bytes;
use parking_lot::Mutex;

use crate::exec::{ClockSetting, Exec, Owner, Trace};
use crate::prng::Prng;
use crate::quic::{Authority, Place, UdpNet, Wire, client_transport, node_transport};

/// Longest virtual time of one step of a test: turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the wire does to datagrams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    pub(super) latency: Duration,
    /// Longest extra delay: more than the gap between datagrams, so that they overtake each other.
    pub(super) jitter: Duration,
    pub(super) loss_per_mille: u32,
    pub(super) duplicate_per_mille: u32,
}

/// A datagram that was handed to the wire: virtual nanoseconds, sender, receiver, length.
pub(super) type Sent = (u64, SocketAddr, SocketAddr, usize);

pub(super) struct LabWire {
    exec: Exec,
    weather: Mutex<Weather>,
    chance: Mutex<Prng>,
    pub(super) log: Mutex<Vec<Sent>>,
}

pub(super) struct Lab {
    pub(super) exec: Exec,
    pub(super) net: UdpNet,
    pub(super) wire: Arc<LabWire>,
    seed: u64,
    authority: Authority,
}

/// A running process.
pub(super) struct Host {
    pub(super) owner: Owner,
    pub(super) place: Place,
    pub(super) identity: Identity,
    pub(super) transport: Arc<dyn Transport>,
}

impl Weather {
    pub(super) const FAIR: Self = Self {
        latency: Duration::from_millis(20),
        jitter: Duration::ZERO,
        loss_per_mille: 0,
        duplicate_per_mille: 0,
    };

    pub(super) const FOUL: Self = Self {
        jitter: Duration::from_millis(15),
        loss_per_mille: 100,
        duplicate_per_mille: 100,
        ..Self::FAIR
    };

    pub(super) const CUT: Self = Self { loss_per_mille: 1_000, ..Self::FAIR };
}

impl Wire for LabWire {
    fn carry(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        length: usize,
        arrive: Arc<dyn Fn() + Send + Sync>,
    ) {
        self.log.lock().push((self.exec.now().as_nanos(), from, to, length));
        let weather = *self.weather.lock();
        let mut chance = self.chance.lock();
        if chance.per_mille(weather.loss_per_mille) {
            return;
        }
        let copies = 1 + u32::from(chance.per_mille(weather.duplicate_per_mille));
        for _ in 0..copies {
            let jitter = u64::try_from(weather.jitter.as_nanos()).unwrap();
            let delay = weather.latency + Duration::from_nanos(chance.below(jitter));
            let arrive = Arc::clone(&arrive);
            self.exec.after(delay, None, move || arrive());
        }
    }
}

impl Lab {
    pub(super) fn new(seed: u64, weather: Weather) -> Self {
        let exec = Exec::new(seed, Trace::Hash);
        let wire = Arc::new(LabWire {
            exec: exec.clone(),
            weather: Mutex::new(weather),
            chance: Mutex::new(Prng::stream(seed, "wire")),
            log: Mutex::default(),
        });
        let net = UdpNet::new(Arc::clone(&wire) as Arc<dyn Wire>, seed);
        let authority = Authority::new(seed, Name::new("reef").unwrap()).unwrap();
        Self { exec, net, wire, seed, authority }
    }

    pub(super) fn set_weather(&self, weather: Weather) {
        *self.wire.weather.lock() = weather;
    }

    /// Starts a process with the identity `uri` at `10.0.0.number`.
    pub(super) fn start(&self, number: u8, uri: &str) -> Host {
        let chance = Prng::stream(self.seed, &format!("process/{number}"));
        let process = self.exec.add_process(ClockSetting::default(), chance);
        let (owner, env) = self.exec.start_process(process);
        let identity: Identity = uri.parse().unwrap();
        let place = Place {
            env,
            net: self.net.clone(),
            address: ([10, 0, 0, number], 7_400).into(),
            credentials: self.authority.credentials(&identity).unwrap(),
            seed: Prng::stream(self.seed, &format!("life/{}", process.0)).bits(),
        };
        let transport = match identity.is_node() {
            true => node_transport(&place),
            false => client_transport(&place),
        };
        Host { owner, place, identity, transport: transport.unwrap() }
    }

    /// Kills a process as the world does: the socket first, then tasks, then handles.
    pub(super) fn kill(&self, host: Host) {
        self.net.unbind(host.place.address);
        self.exec.kill(host.owner.process);
    }

    /// Runs `work` as a task of `host`, and the world with it, until it is done.
    pub(super) fn block_on<T: Send + 'static>(
        &self,
        host: &Host,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let done = Arc::new(Mutex::new(None));
        let told = Arc::clone(&done);
        let task = async move {
            let value = work.await;
            *told.lock() = Some(value);
        };
        host.place.env.spawn("test", Box::pin(task));
        let deadline = self.exec.now().after(PATIENCE);
        loop {
            if let Some(value) = done.lock().take() {
                return value;
            }
            assert!(self.exec.now() < deadline && self.exec.step(), "the test hangs");
            let deaths = self.exec.take_deaths();
            assert!(deaths.is_empty(), "{deaths:?}");
        }
    }

    /// Lets `span` pass.
    pub(super) fn pass(&self, span: Duration) {
        let until = self.exec.now().after(span);
        while self.exec.now() < until && self.exec.step() {}
        let deaths = self.exec.take_deaths();
        assert!(deaths.is_empty(), "{deaths:?}");
    }

    /// Connects `dialer` to `listener`: both ends.
    pub(super) fn connect(&self, dialer: &Host, listener: &Host) -> (Arc<dyn Link>, Arc<dyn Link>) {
        let accepting = Arc::clone(&listener.transport);
        let accepted = Arc::new(Mutex::new(None));
        let told = Arc::clone(&accepted);
        let accept = async move { *told.lock() = accepting.accept().await };
        listener.place.env.spawn("test", Box::pin(accept));
        let ours = self.block_on(dialer, dial(dialer, listener)).unwrap();
        while accepted.lock().is_none() {
            assert!(self.exec.step());
        }
        let theirs = accepted.lock().take().unwrap();
        (ours, theirs)
    }
}

/// `dialer` dials `listener`; an error is told in words.
pub(super) fn dial(
    dialer: &Host,
    listener: &Host,
) -> impl Future<Output = Result<Arc<dyn Link>, String>> + Send + use<> {
    let transport = Arc::clone(&dialer.transport);
    let (address, identity) = (listener.place.address.to_string(), listener.identity.clone());
    async move {
        let to = PeerAddress { address, identity };
        transport.connect(to).await.map_err(|failure| failure.to_string())
    }
}

/// A frame whose payload follows from its number.
pub(super) fn frame(number: u64) -> Frame {
    let mut chance = Prng::stream(number, "payload");
    let mut payload = vec![0; chance.index(6_000)];
    chance.fill(&mut payload);
    Frame {
        kind: 7,
        budget: Some(Duration::from_millis(250)),
        request: number,
        epoch: Epoch(3),
        meta: Bytes::from(number.to_le_bytes().to_vec()),
        payload: payload.into(),
    }
}
