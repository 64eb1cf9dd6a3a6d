//! `atoll dev`: from the command line to Ctrl-C.
//!
//! 1. Start the cluster, wait until it is ready, print the banner.
//! 2. Print what happens to nodes, until a signal comes.
//! 3. Stop all nodes. A second signal kills them.
//!
//! Invariants
//! - However it ends, short of SIGKILL, no node is left; after SIGKILL the nodes see their stdin close and end too.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::banner::banner;
use super::cluster::{DevCluster, DevOptions};
use super::layout::Layout;
use super::life::Verb;
use super::names::expand;
use super::prepare::remembered_topology;
use super::roster::Roster;
use super::supervisor::{Event, NodeState};
use super::{DevError, access, control, ready};
use crate::env::RealEnv;

/// The signals that end it.
pub struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interrupts {
    /// Listens from now on: these signals do not end the process by themselves any more.
    ///
    /// # Errors
    /// [`DevError::Output`] with what the system says.
    pub fn listen() -> Result<Self, DevError> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Resolves at the next one, with its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}

/// Runs a local cluster until SIGINT or SIGTERM. Must be called in a tokio runtime.
///
/// # Errors
/// [`DevError`]; no node is left then.
pub async fn run(options: &DevOptions, out: &mut dyn Write) -> Result<(), DevError> {
    let env = RealEnv::create();
    let mut interrupts = Interrupts::listen()?;
    let binary = own_binary()?;
    let (cluster, mut events) = DevCluster::start(&env, options, &binary).await?;
    let lived = live(&cluster, options, &mut events, (&mut interrupts, out)).await;
    let stopped = stop(&cluster, &mut interrupts).await;
    lived.and(stopped)
}

async fn live(
    cluster: &DevCluster,
    options: &DevOptions,
    events: &mut mpsc::Receiver<Event>,
    (interrupts, out): (&mut Interrupts, &mut dyn Write),
) -> Result<(), DevError> {
    let nodes = cluster.topology().nodes().len();
    writeln!(out, "starting {nodes} node(s) in {}", cluster.layout().root().display())?;
    out.flush()?;
    tokio::select! {
        ready = cluster.wait_ready() => ready?,
        signal = interrupts.next() => return Err(DevError::Interrupted { signal }),
    }
    cluster.publish().await?;
    // What happened until now is in the banner.
    while events.try_recv().is_ok() {}
    write!(out, "{}", banner(cluster, options.wan, options.faults))?;
    out.flush()?;
    loop {
        tokio::select! {
            _ = interrupts.next() => break,
            event = events.recv() => {
                let Some(Event { node, text }) = event else { break };
                writeln!(out, "{node}: {text}")?;
                out.flush()?;
            }
        }
    }
    writeln!(out, "stopping {nodes} node(s)")?;
    Ok(())
}

async fn stop(cluster: &DevCluster, interrupts: &mut Interrupts) -> Result<(), DevError> {
    let stopping = cluster.stop();
    tokio::pin!(stopping);
    tokio::select! {
        stopped = &mut stopping => return stopped,
        _ = interrupts.next() => {}
    }
    let (_, stopped) = tokio::join!(cluster.kill_all(), stopping);
    stopped
}

/// `atoll dev kill|stop|start NODE|DC`: asks the `atoll dev` in `dir` and waits for the effect. After a start it waits
/// until the started nodes are connected to all that run.
///
/// # Errors
/// [`DevError::UnknownName`], [`DevError::NotRunning`], [`DevError::Control`], [`DevError::NotReady`].
pub async fn steer(dir: &Path, verb: Verb, target: &str) -> Result<Vec<NodeState>, DevError> {
    let env = RealEnv::create();
    let layout = Layout::at(dir);
    let not_running = || DevError::NotRunning { dir: dir.to_path_buf() };
    let topology = remembered_topology(&layout)?.ok_or_else(not_running)?;
    expand(&topology, target)?;
    let states = control::steer(&env, &layout, verb, target).await?;
    if verb == Verb::Start {
        let profile = access::profile(&layout, &topology, None);
        let running = Roster::running(&layout.roster())?;
        ready::wait(&env, (&layout, &profile), &running, || false).await?;
    }
    Ok(states)
}

/// Prints states for people, a line each.
///
/// # Errors
/// What the writer says.
pub fn print_states(states: &[NodeState], out: &mut dyn Write) -> io::Result<()> {
    for NodeState { id, state, pid, .. } in states {
        match pid {
            Some(pid) => writeln!(out, "{id}: {state} (pid {pid})")?,
            None => writeln!(out, "{id}: {state}")?,
        }
    }
    out.flush()
}

/// The program that nodes are processes of: this one.
///
/// # Errors
/// [`DevError::Io`].
pub(crate) fn own_binary() -> Result<PathBuf, DevError> {
    std::env::current_exe().map_err(DevError::io("find", Path::new("this program")))
}
