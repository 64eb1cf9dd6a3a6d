//! The clients: each asks one thing after the other, remembers what it has seen, and writes everything down.
//!
//! They speak the wire protocol themselves instead of using the SDK: the SDK retries and routes by its own clock, and a
//! harness that shared its code would share its mistakes.
//!
//! 1. [`start`] spawns them; each draws its operations from a stream of chance of its own.
//! 2. They stop when the operations are used up or [`Control::stop`] was called.
//! 3. [`Client::put`] and [`Client::get`] are also what the liveness phase reads everything with; `ask.rs` sends their
//!    requests.

mod ask;
mod session;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use atoll_protocol::ids::{DcIndex, Name, NodeIndex};
use atoll_protocol::keyspace::Conflict;
use atoll_protocol::quorum::Level;
use atoll_protocol::version::Context;
use atoll_protocol::wire::{
    self, ClusterView, Failure, GetRequest, KeyspaceRequest, Reply, Request,
};
use atolldb::env::Env;
use atolldb::net::Link;
use bytes::Bytes;

use crate::exec::{Exec, ProcessId};
use crate::history::{KeyId, Op, OpId, OpKind, Outcome};
use crate::net::Dial;
use crate::plan::Workload;
use crate::prng::Prng;
use crate::record::Recorder;
use ask::{internal, read_cells};

/// What a client waits beyond the time that it gives the node.
const GRACE: Duration = Duration::from_millis(200);

/// How long a client tries to connect, unless told otherwise.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);

/// Requests of 1 000 for which a client goes to another node than its usual one.
const WANDER_PER_MILLE: u32 = 200;

/// Requests of 1 000 that a client in a session asks at `ONE`, where nothing but the session promises anything.
const WEAK_PER_MILLE: u32 = 500;

/// What the clients of one run share.
#[derive(Clone)]
pub struct Control {
    left: Arc<AtomicU32>,
    stopped: Arc<AtomicBool>,
    running: Arc<AtomicU32>,
}

/// One client.
pub struct Client {
    /// Its number.
    pub number: usize,
    /// Time and chance of its machine.
    pub env: Env,
    /// Who writes the history.
    pub recorder: Recorder,
    /// The world's clock, for the wall clocks of the nodes.
    pub exec: Exec,
    /// Connects it.
    pub dial: Arc<dyn Dial>,
    /// Where the nodes are.
    pub nodes: Vec<(NodeIndex, DcIndex)>,
    /// What it draws from.
    pub chance: Prng,
    /// Its patience.
    pub deadline: Duration,
    /// Its patience with a node that it is not connected to.
    pub connect_patience: Duration,
    /// Writes of 1 000 that fallbacks may acknowledge.
    pub sloppy_per_mille: u32,
    link: Option<(usize, Arc<dyn Link>)>,
    requests: u64,
    /// The context of its last answer for each key.
    seen: BTreeMap<KeyId, Context>,
    /// Of a client in a session: what it has seen of each key.
    session: Option<BTreeMap<KeyId, Context>>,
}

/// What a client knows how to draw.
#[derive(Clone)]
pub struct Draw {
    /// The workload.
    pub workload: Workload,
    /// Its levels.
    pub levels: Vec<Level>,
    /// The keys.
    pub keys: Vec<KeyId>,
}

impl Control {
    /// So many operations, all clients together.
    pub fn new(operations: u32) -> Self {
        let left = Arc::new(AtomicU32::new(operations));
        Self { left, stopped: Arc::default(), running: Arc::default() }
    }

    /// No client begins anything any more.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether every client has ended.
    pub fn is_over(&self) -> bool {
        self.running.load(Ordering::Relaxed) == 0
    }

    fn take(&self) -> bool {
        let take = |left: u32| left.checked_sub(1);
        !self.stopped.load(Ordering::Relaxed)
            && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// Has `client` work until nothing is left.
pub fn start(mut client: Client, control: Control, draw: Draw) {
    control.running.fetch_add(1, Ordering::Relaxed);
    let env = client.env.clone();
    env.clone().spawn(
        "client",
        Box::pin(async move {
            while control.take() {
                let think =
                    client.chance.below(draw.workload.think_ms.saturating_mul(1_000).max(1));
                env.sleep(Duration::from_micros(think)).await;
                client.act(&draw).await;
            }
            control.running.fetch_sub(1, Ordering::Relaxed);
        }),
    );
}

impl Client {
    /// A client that is not connected.
    pub fn new(
        number: usize,
        (env, exec, recorder): (Env, Exec, Recorder),
        (dial, nodes): (Arc<dyn Dial>, Vec<(NodeIndex, DcIndex)>),
        chance: Prng,
        deadline: Duration,
    ) -> Self {
        Self {
            number,
            env,
            recorder,
            exec,
            dial,
            nodes,
            chance,
            deadline,
            connect_patience: CONNECT_PATIENCE,
            sloppy_per_mille: 0,
            link: None,
            requests: 0,
            seen: BTreeMap::new(),
            session: None,
        }
    }

    async fn act(&mut self, draw: &Draw) {
        let Some(key) = self.draw_key(draw) else { return };
        let mix = draw.workload.mix;
        let level = self.draw_level(draw);
        match self.chance.weighted(&[mix.get, mix.modify, mix.follow, mix.blind, mix.delete]) {
            0 => drop(self.get(key, level).await),
            1 => {
                let read = self.get(key, level).await;
                if let Some(context) = read {
                    self.draw_put(draw, key, Some(context)).await;
                }
            }
            2 => {
                let context = self.seen.get(&key).cloned();
                self.draw_put(draw, key, context).await;
            }
            3 => self.draw_put(draw, key, None).await,
            _ => {
                let read = self.get(key, level).await;
                let level = self.draw_level(draw);
                if let Some(context) = read {
                    self.delete(key, level, Some(context)).await;
                }
            }
        }
    }

    fn draw_key(&mut self, draw: &Draw) -> Option<KeyId> {
        if self.chance.per_mille(draw.workload.hot_per_mille) {
            return draw.keys.first().copied();
        }
        self.chance.pick(&draw.keys).copied()
    }

    fn draw_level(&mut self, draw: &Draw) -> Level {
        if self.session.is_some() && self.chance.per_mille(WEAK_PER_MILLE) {
            return Level::One;
        }
        self.chance.pick(&draw.levels).copied().unwrap_or(Level::Quorum)
    }

    async fn draw_put(&mut self, draw: &Draw, key: KeyId, context: Option<Context>) {
        let workload = &draw.workload;
        let length = if self.chance.per_mille(workload.oversize_per_mille) {
            // The limit of key and value is 10 KiB: a little below, at, and a little above.
            10_240 - 16 + self.chance.below(32)
        } else {
            self.chance.below(u64::from(workload.value_bytes) + 1)
        };
        let expires = self.chance.per_mille(workload.ttl_per_mille);
        let level = self.draw_level(draw);
        self.put(key, level, context, (usize::try_from(length).unwrap_or(0), expires)).await;
    }

    /// Reads a key; the context of the answer.
    pub async fn get(&mut self, key: KeyId, level: Level) -> Option<Context> {
        let (name, bytes, token) = self.names(key)?;
        let node = self.choose_node().await;
        let at_least = self.at_least(key);
        let request = Request::Get(GetRequest { keyspace: name, key: bytes, level, at_least });
        let op = self.invoke(node, key, level, OpKind::Get);
        let before = self.exec.wall(ProcessId(node));
        let reply = self.ask(node, &request, Bytes::new()).await;
        let wall = (before, self.exec.wall(ProcessId(node)));
        let outcome = match reply {
            None => Outcome::NoAnswer,
            Some((Reply::Get { context, cells, answered }, payload)) => {
                let cells = read_cells(&cells, &payload);
                match Context::decode(&context, token) {
                    Ok(context) => Outcome::Got { context, cells, answered, wall },
                    Err(error) => internal(&error.to_string()),
                }
            }
            Some((Reply::Failed(failure), _)) => Outcome::Failed(failure),
            Some((other, _)) => internal(&format!("{other:?}")),
        };
        let context = match &outcome {
            Outcome::Got { context, cells, .. } => {
                if cells.len() > 1 {
                    self.recorder.reach("siblings read");
                }
                Some(context.clone())
            }
            _ => None,
        };
        self.note_refusal(&outcome);
        self.recorder.complete(op, outcome);
        if let Some(context) = &context {
            self.saw(key, context);
        }
        context
    }

    /// Whether the key's keyspace may be gone for good: the last get did not find it, and a disk forgot. A definition is
    /// acknowledged by the one node that took it.
    pub fn may_be_gone(&self, key: KeyId) -> bool {
        let state = self.recorder.state();
        let last =
            state.history.ops.iter().rev().find(|op| op.client == self.number && op.key == key);
        let unknown = |op: &Op| {
            matches!(
                &op.outcome,
                Outcome::Failed(Failure::Invalid(wire::Invalid::UnknownKeyspace { .. }))
            )
        };
        !state.history.forgettings.is_empty() && last.is_some_and(unknown)
    }

    /// Creates a keyspace; the node that acknowledged it.
    pub async fn create_keyspace(&mut self, name: Name, conflict: Conflict) -> Option<usize> {
        let node = self.choose_node().await;
        let request = Request::CreateKeyspace(KeyspaceRequest {
            name,
            replication_factor: Vec::new(),
            conflict,
            ttl: None,
            record_bytes_max: None,
        });
        match self.ask(node, &request, Bytes::new()).await {
            Some((Reply::KeyspaceCreated { .. }, _)) => Some(node),
            _ => None,
        }
    }

    /// The cluster as a node knows it.
    pub async fn cluster(&mut self, node: usize) -> Option<ClusterView> {
        match self.ask(node, &Request::Cluster, Bytes::new()).await {
            Some((Reply::Cluster(view), _)) => Some(view),
            _ => None,
        }
    }

    fn names(&self, key: KeyId) -> Option<(Name, Bytes, u64)> {
        let state = self.recorder.state();
        let key = state.history.keys.get(key.0)?;
        Some((key.keyspace.clone(), key.key.clone(), key.token))
    }

    fn invoke(&self, node: usize, key: KeyId, level: Level, kind: OpKind) -> OpId {
        let (index, local) = self.nodes.get(node).copied().unwrap_or((NodeIndex(0), DcIndex(0)));
        let start = self.exec.now();
        let (client, outcome) = (self.number, Outcome::Pending);
        self.recorder.invoke(Op {
            client,
            node: index,
            local,
            key,
            kind,
            level,
            in_session: self.session.is_some(),
            start,
            end: None,
            outcome,
        })
    }
}
