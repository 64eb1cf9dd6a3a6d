//! A local cluster under its supervisor, as a handle: for `atoll dev`, which waits for signals, and for `atoll demo`,
//! which kills datacenters.
//!
//! 1. [`DevCluster::start`] prepares the folder, starts the supervisor and one process per node.
//! 2. [`DevCluster::wait_ready`] waits until the nodes have found each other; [`DevCluster::publish`] tells the world.
//! 3. [`DevCluster::steer`] kills, stops and starts.
//! 4. [`DevCluster::stop`] stops all nodes, waits for them, and takes `nodes.json` and the control socket away.
//!
//! Invariants
//! - After `stop` no process of the cluster is left.
//! - A handle that is dropped without `stop` leaves nodes that end by themselves when this process does.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atoll_client::{Client, ClientBuilder, ProfileFile, Role};
use atoll_protocol::ids::Name;
use atoll_protocol::topology::Topology;
use tokio::sync::{mpsc, watch};

use super::layout::{Layout, remove_if_present};
use super::life::{Restart, RunState, Verb};
use super::names::expand;
use super::prepare::{PlannedNode, Prepared, prepare};
use super::process::Launch;
use super::roster::Roster;
use super::supervisor::{Event, Message, NodeState, Supervisor, Surroundings, order};
use super::{DevError, access, control, ready};
use crate::env::{Env, spare_processors};
use crate::net::FaultPolicy;
use crate::node::Wan;
use crate::tasks::Tasks;

/// Messages that may wait for the supervisor: an exit and an order per node, many times over.
const INBOX_MAX: usize = 256;

/// Events that may wait to be printed; more are dropped.
const EVENTS_MAX: usize = 256;

/// Longest wait for ports: nodes whose supervisor died drain for two seconds before they end.
const PORTS_MAX: Duration = Duration::from_secs(5);

/// Pause between two looks at the ports.
const PORTS_POLL: Duration = Duration::from_millis(200);

/// Deaths while the nodes are waited for after which waiting is hopeless: one may be an accident.
const DEATHS_MAX: u32 = 2;

/// How to run a local cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevOptions {
    /// The topology file; `None` takes the folder's own, or three datacenters of three nodes.
    pub topology: Option<PathBuf>,
    /// The folder that holds everything.
    pub dir: PathBuf,
    /// Whether the topology's round-trip times are emulated.
    pub wan: Wan,
    /// Whether nodes that die are started again.
    pub restart: Restart,
    /// Whether `atoll fault` works.
    pub faults: FaultPolicy,
}

/// A running local cluster.
#[derive(Debug)]
pub struct DevCluster {
    env: Env,
    tasks: Tasks,
    layout: Layout,
    topology: Arc<Topology>,
    nodes: Vec<PlannedNode>,
    profile: ProfileFile,
    supervisor: mpsc::Sender<Message>,
    states: watch::Receiver<Vec<NodeState>>,
    /// Held until the end.
    _lock: File,
}

impl DevCluster {
    /// Starts every node of `options`; they are processes of `binary`. Blocks on disk for the first start's keys.
    ///
    /// # Errors
    /// [`DevError`]; nothing runs then.
    pub async fn start(
        env: &Env,
        options: &DevOptions,
        binary: &Path,
    ) -> Result<(Self, mpsc::Receiver<Event>), DevError> {
        let prepared = prepare_patiently(env, options).await?;
        let layout = prepared.layout;
        // What an earlier run left behind must not be taken for this one's.
        remove_if_present(&layout.roster())?;
        remove_if_present(&layout.profile())?;
        let topology = Arc::new(prepared.topology);
        let tasks = Tasks::new(env.clone());
        let (supervisor, inbox) = mpsc::channel(INBOX_MAX);
        let (events, printed) = mpsc::channel(EVENTS_MAX);
        let (publisher, states) = watch::channel(Vec::new());
        let surroundings = Surroundings {
            env: env.clone(),
            tasks: tasks.clone(),
            inbox,
            outbox: supervisor.clone(),
            states: publisher,
            events,
        };
        let control = control::Control {
            env: env.clone(),
            tasks: tasks.clone(),
            topology: Arc::clone(&topology),
            supervisor: supervisor.clone(),
        };
        control::serve(control, &layout)?;
        let workers = spare_processors(prepared.nodes.len());
        let launches = prepared
            .nodes
            .iter()
            .map(|node| (node.clone(), launch_of((node, workers), options, binary)));
        let runs = Supervisor::new(surroundings, launches, options.restart).run();
        tasks.spawn("supervisor", runs);
        let cluster = Self {
            env: env.clone(),
            tasks,
            profile: access::profile(&layout, &topology, None),
            layout,
            topology,
            nodes: prepared.nodes,
            supervisor,
            states,
            _lock: prepared.lock,
        };
        let states = cluster.order(Verb::Start, cluster.names()).await?;
        match states.iter().find(|state| state.pid.is_none()) {
            None => Ok((cluster, printed)),
            Some(state) => {
                let failed =
                    DevError::Spawn { node: state.id.to_string(), program: binary.to_path_buf() };
                cluster.stop().await?;
                Err(failed)
            }
        }
    }

    /// Waits until every node that is not meant to be down is connected to every other.
    ///
    /// # Errors
    /// [`DevError::NotReady`] names who is missing, with the end of their logs.
    pub async fn wait_ready(&self) -> Result<(), DevError> {
        let states = self.states();
        let is_expected = |state: &&NodeState| state.state != RunState::Down;
        let expected = states.iter().filter(is_expected);
        let expected: Vec<Name> = expected.map(|state| state.id.clone()).collect();
        let deaths_max = deaths(&states).saturating_add(DEATHS_MAX);
        let is_hopeless = || {
            let now = self.states.borrow();
            let is_lost =
                |state: &NodeState| state.state == RunState::Down && expected.contains(&state.id);
            now.iter().any(is_lost) || deaths(&now) >= deaths_max
        };
        let place = (&self.layout, &self.profile);
        ready::wait(&self.env, place, &expected, is_hopeless).await
    }

    /// Writes `client.toml`, then `nodes.json`, which follows every change from now on.
    ///
    /// # Errors
    /// [`DevError::Io`].
    pub async fn publish(&self) -> Result<(), DevError> {
        access::write_profile(&self.layout, &self.topology)?;
        let roster = Arc::new(Roster::new(self.layout.roster(), self.nodes.clone()));
        roster.write(&self.states())?;
        let publish = Message::Publish(roster);
        self.supervisor.send(publish).await.map_err(|_| self.stopped())
    }

    /// Kills, stops or starts a node or a datacenter, and waits for the effect.
    ///
    /// # Errors
    /// [`DevError::UnknownName`].
    pub async fn steer(&self, verb: Verb, target: &str) -> Result<Vec<NodeState>, DevError> {
        self.order(verb, expand(&self.topology, target)?).await
    }

    /// Stops all nodes and waits until they have ended; those that do not are killed after ten seconds.
    ///
    /// # Errors
    /// [`DevError::Io`] when `nodes.json` or the socket cannot be removed.
    pub async fn stop(&self) -> Result<(), DevError> {
        self.order(Verb::Stop, self.names()).await?;
        self.tasks.stop().await;
        remove_if_present(&self.layout.roster())?;
        remove_if_present(&self.layout.control_socket())
    }

    /// Kills all nodes at once; [`Self::stop`] then returns soon.
    ///
    /// # Errors
    /// [`DevError::Control`] when the supervisor has stopped already.
    pub async fn kill_all(&self) -> Result<(), DevError> {
        self.order(Verb::Kill, self.names()).await.map(drop)
    }

    /// How the nodes are.
    pub fn states(&self) -> Vec<NodeState> {
        self.states.borrow().clone()
    }

    /// The topology, with addresses.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The folder's paths.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// A builder of clients of this cluster that live in `dc`.
    pub fn client(&self, dc: &Name) -> Result<ClientBuilder, DevError> {
        let profile = access::profile(&self.layout, &self.topology, Some(dc));
        Client::from_profile(&profile, Role::Client).map_err(|error| self.failed(error.to_string()))
    }

    async fn order(&self, verb: Verb, nodes: Vec<Name>) -> Result<Vec<NodeState>, DevError> {
        let done = order(&self.supervisor, verb, nodes).await;
        done.ok_or_else(|| self.stopped())
    }

    fn names(&self) -> Vec<Name> {
        self.nodes.iter().map(|node| node.name.clone()).collect()
    }

    fn stopped(&self) -> DevError {
        self.failed("the supervisor has stopped".to_owned())
    }

    fn failed(&self, detail: String) -> DevError {
        DevError::Control { dir: self.layout.root().to_path_buf(), detail }
    }
}

/// Prepares the folder; ports may still be held by the nodes of a supervisor that was killed a moment ago.
async fn prepare_patiently(env: &Env, options: &DevOptions) -> Result<Prepared, DevError> {
    let deadline = env.mono().after(PORTS_MAX);
    loop {
        let surroundings = (env.wall(), env.random_u64());
        match prepare(&options.dir, options.topology.as_deref(), surroundings) {
            Err(DevError::PortTaken { .. }) if env.mono() < deadline => {
                env.sleep(PORTS_POLL).await;
            }
            prepared => return prepared,
        }
    }
}

fn deaths(states: &[NodeState]) -> u32 {
    states.iter().map(|state| state.deaths).sum()
}

/// The command line of a node with so many threads for requests.
fn launch_of(
    (node, workers): (&PlannedNode, usize),
    options: &DevOptions,
    binary: &Path,
) -> Launch {
    let mut arguments = vec![
        "node".to_owned(),
        "--config".to_owned(),
        node.config.to_string_lossy().into_owned(),
        "--watch-stdin".to_owned(),
        "--workers".to_owned(),
        workers.to_string(),
    ];
    if options.wan == Wan::Emulated {
        arguments.push("--wan".to_owned());
    }
    if options.faults == FaultPolicy::Allowed {
        arguments.push("--allow-faults".to_owned());
    }
    Launch { binary: binary.to_path_buf(), arguments, log: node.log.clone() }
}
