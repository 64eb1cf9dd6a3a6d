//! An endpoint: one UDP socket that listens, dials, or both.
//!
//! The only way into this crate: a node binds one with an address, the SDK one without.
//!
//! 1. Bind the socket, wrap it in an emulator if there is one, hand it to quinn.
//! 2. If it listens, one task works on first packets (`accept.rs`); [`Endpoint::accept`] takes what it admits.
//! 3. [`Endpoint::connect`] dials and verifies (`connect.rs`).
//! 4. [`Endpoint::set_credentials`] swaps certificates for handshakes to come; live connections keep theirs until
//!    whoever rotates closes them.
//!
//! Invariants
//! - An endpoint never changes its identity: reloaded credentials name the same one.
//! - Dropping the last handle closes the endpoint and all its connections.
//! - No lock is held across an await, except the queue that [`Endpoint::accept`] takes from.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use atoll_protocol::identity::Identity;
use parking_lot::RwLock;
use tokio::sync::{Mutex, mpsc};

use crate::accept::{AcceptError, Listener, READY_MAX, accept_incoming};
use crate::alpn::Alpn;
use crate::close::{CloseCode, clip};
use crate::config::{
    BindError, Dialers, EndpointConfig, bind_error, dialers, open_socket, server_config,
};
use crate::connect::{ConnectError, Dialer, ExpectedPeer, dial};
use crate::connection::{Connection, LaneOptions};
use crate::credentials::Credentials;
use crate::runtime::{Spawner, SpawnerRuntime};
use crate::surroundings::Sources;
use crate::tls::TlsError;
use crate::transport::{LANES_MAX, Profile};

/// A UDP socket with its connections. Cheap to clone; dropping the last handle closes it.
#[derive(Clone)]
pub struct Endpoint {
    inner: Arc<Inner>,
}

/// Why credentials were not replaced; the old ones stay in use.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// They name somebody else.
    #[error("the new certificate is for {offered}, this endpoint is {ours}")]
    Identity {
        /// Whom the endpoint stands for.
        ours: Box<Identity>,
        /// Whom the new certificate names.
        offered: Box<Identity>,
    },
    /// They do not make a TLS configuration.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

struct Inner {
    quinn: quinn::Endpoint,
    identity: Identity,
    alpns: Vec<Alpn>,
    profile: Profile,
    options: LaneOptions,
    spawner: Spawner,
    runtime: Arc<SpawnerRuntime>,
    sources: Sources,
    role: EndpointRole,
    dialers: RwLock<Dialers>,
    ready: Mutex<mpsc::Receiver<Result<Connection, AcceptError>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndpointRole {
    DialsOnly,
    Listens,
}

impl Endpoint {
    /// Binds the socket and starts the endpoint's tasks. Must be called inside of a tokio runtime, unless
    /// `config` has surroundings.
    ///
    /// # Errors
    /// [`BindError`] names the address and the fix.
    pub fn bind(config: EndpointConfig) -> Result<Self, BindError> {
        let (credentials, profile) = (&config.credentials, config.profile);
        let sources = Sources::of(config.surroundings.as_ref());
        let dialers = dialers(credentials, profile, &sources)?;
        let server = match config.listen {
            Some(_) => Some(server_config(credentials, &config.alpns, profile, &sources)?),
            None => None,
        };
        let base = config.surroundings.as_ref().map(|given| Arc::clone(&given.runtime));
        let runtime = Arc::new(SpawnerRuntime::new(Arc::clone(&config.spawner), base));
        let quinn = open_socket(&config, &runtime)
            .and_then(|socket| {
                let (settings, runtime) = (sources.endpoint_config(), runtime.clone());
                quinn::Endpoint::new_with_abstract_socket(settings, server, socket, runtime)
            })
            .map_err(|source| bind_error(config.listen, source))?;
        let options = LaneOptions {
            lanes: config.lanes.clamp(1, LANES_MAX),
            outbox_frames: config.outbox_frames.max(1),
        };
        let identity = config.credentials.identity().clone();
        let (sender, ready) = mpsc::channel(READY_MAX);
        if config.listen.is_some() {
            let cluster = identity.cluster.clone();
            let spawner = Arc::clone(&config.spawner);
            let runtime = Arc::clone(&runtime);
            let listener = Listener { cluster, options, spawner, runtime };
            let acceptor = accept_incoming(quinn.clone(), Arc::new(listener), sender);
            (config.spawner)("quic.acceptor", Box::pin(acceptor));
        }
        let inner = Inner {
            quinn,
            identity,
            role: match config.listen {
                Some(_) => EndpointRole::Listens,
                None => EndpointRole::DialsOnly,
            },
            alpns: config.alpns,
            profile: config.profile,
            options,
            spawner: config.spawner,
            runtime,
            sources,
            dialers: RwLock::new(dialers),
            ready: Mutex::new(ready),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Dials `addr` and establishes a connection to `expected`; at most `CONNECT_DEADLINE`.
    ///
    /// # Errors
    /// [`ConnectError`] tells apart what to fix and whether to try again.
    pub async fn connect(
        &self,
        addr: SocketAddr,
        alpn: Alpn,
        expected: ExpectedPeer,
    ) -> Result<Connection, ConnectError> {
        let inner = &*self.inner;
        let config = inner.dialers.read().get(&alpn).cloned();
        let config = config.ok_or_else(|| ConnectError::Local {
            addr,
            reason: format!("{alpn} is not configured"),
        })?;
        let dialer = Dialer { endpoint: &inner.quinn, config, runtime: &inner.runtime };
        let established = dial(dialer, addr, alpn, &expected).await?;
        Ok(Connection::start(established, inner.options, &inner.spawner))
    }

    /// The next admitted connection, or why one was not admitted; `None` once the endpoint is closed, and at once on an
    /// endpoint that only dials.
    ///
    /// # Cancellation
    /// Loses nothing.
    pub async fn accept(&self) -> Option<Result<Connection, AcceptError>> {
        self.inner.ready.lock().await.recv().await
    }

    /// Uses `credentials` for all handshakes from now on. Live connections are not touched.
    ///
    /// # Errors
    /// [`ReloadError`]; the old credentials then stay in use.
    pub fn set_credentials(&self, credentials: &Credentials) -> Result<(), ReloadError> {
        let inner = &*self.inner;
        if *credentials.identity() != inner.identity {
            return Err(ReloadError::Identity {
                ours: Box::new(inner.identity.clone()),
                offered: Box::new(credentials.identity().clone()),
            });
        }
        let dialers = dialers(credentials, inner.profile, &inner.sources)?;
        if inner.role == EndpointRole::Listens {
            let server = server_config(credentials, &inner.alpns, inner.profile, &inner.sources)?;
            inner.quinn.set_server_config(Some(server));
        }
        *inner.dialers.write() = dialers;
        Ok(())
    }

    /// The address of the socket; the way to learn a port of the system's choice.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.quinn.local_addr()
    }

    /// Closes all connections with `code` and `reason` and accepts no more.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.inner.quinn.close(code.to_varint(), clip(reason).as_bytes());
    }

    /// Waits until all connections have said goodbye; at most three time-outs of the slowest.
    pub async fn wait_idle(&self) {
        self.inner.quinn.wait_idle().await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.quinn.close(CloseCode::Done.to_varint(), b"");
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("identity", &self.inner.identity)
            .field("local", &self.inner.quinn.local_addr().ok())
            .finish_non_exhaustive()
    }
}
