//! Foreign surroundings: an endpoint on somebody else's clock, socket, executor and chance.
//!
//! The simulator runs the shipped endpoint on virtual time. Everything that an ordinary endpoint takes from the machine
//! then comes from a [`Surroundings`]; `config.rs` and `tls.rs` ask [`Sources`], which knows both cases.
//!
//! ```text
//! what                                     machine               surroundings
//! timers, monotonic time                   tokio                 runtime
//! datagrams                                a kernel socket       socket
//! wall time (certificates, retry tokens)   the system's clock    wall
//! quinn's generator, connection ids        the system            seed
//! keys of stateless resets, retry tokens   the system            seed
//! TLS: key exchange, hello randoms         the system            the system
//! BBR: the phase in which it probes        the system            the system
//! ```
//!
//! Invariants
//! - With surroundings no tokio runtime is needed, and none is used if there happens to be one.
//! - What TLS draws changes no length and no decision, as long as certificates are of one size and signed with Ed25519.
//!   What BBR draws does: whoever needs repeatable runs uses `Profile::Lan`.
//! - Equal seeds give equal keys: for tests only. A seed that somebody can guess lets them reset connections.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use atoll_protocol::time::WallTime;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{AsyncUdpSocket, ConnectionId, ConnectionIdGenerator, TimeSource};
use quinn_proto::InvalidCid;
use rustls::pki_types::UnixTime;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};

use crate::chance::{Chance, mix};
use crate::crypto;

/// Bytes of a connection id that are drawn.
const NONCE_BYTES: usize = 3;

/// Bytes of a connection id: 3 drawn, 5 that show that we made it. The shape of quinn's own ids.
const CONNECTION_ID_BYTES: usize = 8;

/// Bytes of the id that a dialer gives the listener for its first packets: the longest there is, as quinn does.
const FIRST_ID_BYTES: usize = 20;

/// A wall clock.
pub type WallClock = Arc<dyn Fn() -> WallTime + Send + Sync>;

/// Where an endpoint runs, if not on the machine itself.
#[derive(Clone)]
pub struct Surroundings {
    /// Timers and monotonic time. Tasks come from the endpoint's spawner all the same.
    pub runtime: Arc<dyn quinn::Runtime>,
    /// The bound socket.
    pub socket: Arc<dyn AsyncUdpSocket>,
    /// What everything that quinn draws follows from. Two endpoints, and two lives of one, need two seeds.
    pub seed: [u8; 32],
    /// The clock that judges certificates.
    pub wall: WallClock,
}

/// Where chance and wall time come from. Cheap to clone; clones share their stream of connection ids.
#[derive(Clone)]
pub(crate) enum Sources {
    Machine,
    Given(Arc<Given>),
}

/// Chance and wall time that the owner of the endpoint gave.
pub(crate) struct Given {
    seed: [u8; 32],
    wall: WallClock,
    /// Draws connection ids.
    ids: Chance,
    /// Marks our own connection ids.
    id_key: u64,
}

impl Sources {
    /// The sources of an endpoint.
    pub(crate) fn of(surroundings: Option<&Surroundings>) -> Self {
        let Some(given) = surroundings else { return Self::Machine };
        let Surroundings { seed, wall, .. } = given.clone();
        let [ids, id_key] = ["connection ids", "connection id key"].map(|label| {
            let [a, b, c, d, e, f, g, h, ..] = derive(&seed, label);
            u64::from_le_bytes([a, b, c, d, e, f, g, h])
        });
        Self::Given(Arc::new(Given { seed, wall, ids: Chance::new(ids), id_key }))
    }

    /// quinn's settings of the endpoint itself.
    pub(crate) fn endpoint_config(&self) -> quinn::EndpointConfig {
        let Self::Given(given) = self else { return quinn::EndpointConfig::default() };
        let mut config = quinn::EndpointConfig::new(crypto::reset_key(&given.derive("reset key")));
        let given = Arc::clone(given);
        config
            .rng_seed(Some(given.derive("quinn")))
            .cid_generator(move || Box::new(ConnectionIds { given: Arc::clone(&given) }));
        config
    }

    /// quinn's settings of a listener with `crypto`.
    pub(crate) fn server_config(&self, crypto: QuicServerConfig) -> quinn::ServerConfig {
        let crypto = Arc::new(crypto);
        let Self::Given(given) = self else { return quinn::ServerConfig::with_crypto(crypto) };
        let token_key = crypto::token_key(&given.derive("token key"));
        let mut config = quinn::ServerConfig::new(crypto, token_key);
        config.time_source(Arc::new(GivenTime { wall: Arc::clone(&given.wall) }));
        config
    }

    /// quinn's settings of a dialer with `crypto`.
    pub(crate) fn client_config(&self, crypto: QuicClientConfig) -> quinn::ClientConfig {
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        if let Self::Given(given) = self {
            let given = Arc::clone(given);
            config.initial_dst_cid_provider(Arc::new(move || given.first_id()));
        }
        config
    }

    /// The clock by which TLS judges certificates.
    pub(crate) fn time_provider(&self) -> Arc<dyn TimeProvider> {
        match self {
            Self::Machine => Arc::new(DefaultTimeProvider),
            Self::Given(given) => Arc::new(GivenTime { wall: Arc::clone(&given.wall) }),
        }
    }
}

impl Given {
    fn derive(&self, label: &str) -> [u8; 32] {
        derive(&self.seed, label)
    }

    /// An id that stands for a listener until it has named its own.
    pub(crate) fn first_id(&self) -> ConnectionId {
        let mut bytes = [0; FIRST_ID_BYTES];
        for part in bytes.chunks_mut(size_of::<u64>()) {
            for (to, from) in part.iter_mut().zip(self.ids.draw().to_le_bytes()) {
                *to = from;
            }
        }
        ConnectionId::new(&bytes)
    }

    /// An id of ours: what was drawn, and a mark that only the key can make.
    pub(crate) fn own_id(&self, nonce: [u8; NONCE_BYTES]) -> [u8; CONNECTION_ID_BYTES] {
        let [a, b, c] = nonce;
        let drawn = u64::from_le_bytes([a, b, c, 0, 0, 0, 0, 0]);
        let [d, e, f, g, h, ..] = mix(self.id_key ^ mix(drawn)).to_le_bytes();
        [a, b, c, d, e, f, g, h]
    }
}

/// A key of its own for every purpose.
fn derive(seed: &[u8; 32], label: &str) -> [u8; 32] {
    crypto::digest(&[seed, label.as_bytes()].concat())
}

/// Connection ids from the seed. An id of another life is told apart by its mark and ignored, as quinn's own generator
/// does: a process that was killed does not answer for its successor.
struct ConnectionIds {
    given: Arc<Given>,
}

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let [a, b, c, ..] = self.given.ids.draw().to_le_bytes();
        ConnectionId::new(&self.given.own_id([a, b, c]))
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        match **id {
            [a, b, c, ..] if self.given.own_id([a, b, c]) == **id => Ok(()),
            _ => Err(InvalidCid),
        }
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// The given wall clock, for quinn and for rustls.
struct GivenTime {
    wall: WallClock,
}

impl GivenTime {
    fn since_epoch(&self) -> Duration {
        Duration::from_micros((self.wall)().as_micros())
    }
}

impl TimeSource for GivenTime {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH.checked_add(self.since_epoch()).unwrap_or(UNIX_EPOCH)
    }
}

impl TimeProvider for GivenTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.since_epoch()))
    }
}

impl fmt::Debug for GivenTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GivenTime")
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("runtime", &self.runtime)
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}
