//! The supervisor: one task that owns what is wanted and what is, and makes the two meet.
//!
//! ```text
//!  orders (run.rs, control.rs, demo) ─┐               ┌─▶ processes (process.rs)
//!  ends of processes (keepers) ───────┼─▶ supervisor ─┼─▶ nodes.json (roster.rs)
//!  time (rest is over) ───────────────┘   life.rs     └─▶ states (watch), events (for people)
//! ```
//!
//! 1. Take one input, or the end of a rest.
//! 2. Let the node's [`NodeLife`] decide, and carry out its deed.
//! 3. Publish the new states; answer the orders that are fulfilled.
//!
//! Invariants
//! - Every order is answered when none of its nodes is leaving any more; the answer says how they are, not how they were
//!   wished to be.
//! - `nodes.json` follows every change once it has been published, and names only processes that were started here.

use std::process::ExitStatus;
use std::sync::Arc;

use atoll_protocol::ids::Name;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::life::{Deed, Input, NodeLife, Restart, RunState, Verb};
use super::prepare::PlannedNode;
use super::process::{End, Launch, Running, launch};
use super::roster::Roster;
use crate::env::Env;
use crate::tasks::Tasks;

/// A node as the supervisor sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// The node.
    pub id: Name,
    /// How it is.
    pub state: RunState,
    /// Its process, if it has one.
    pub pid: Option<u32>,
    /// Times that it died without being asked to.
    pub deaths: u32,
}

/// Something that people want to know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The node.
    pub node: Name,
    /// What happened.
    pub text: String,
}

/// What the supervisor is told.
#[derive(Debug)]
pub(super) enum Message {
    /// Somebody asks.
    Order { verb: Verb, nodes: Vec<Name>, answer: oneshot::Sender<Vec<NodeState>> },
    /// From now on `nodes.json` exists.
    Publish(Arc<Roster>),
    /// A process ended.
    Exited { node: usize, status: ExitStatus },
}

/// Asks the supervisor for `verb` on `nodes`, and waits for the effect; `None` if it has stopped.
pub(super) async fn order(
    supervisor: &mpsc::Sender<Message>,
    verb: Verb,
    nodes: Vec<Name>,
) -> Option<Vec<NodeState>> {
    let (answer, states) = oneshot::channel();
    let order = Message::Order { verb, nodes, answer };
    supervisor.send(order).await.ok()?;
    states.await.ok()
}

/// What the supervisor works with.
pub(super) struct Surroundings {
    pub(super) env: Env,
    pub(super) tasks: Tasks,
    pub(super) inbox: mpsc::Receiver<Message>,
    /// For the keepers of the processes.
    pub(super) outbox: mpsc::Sender<Message>,
    pub(super) states: watch::Sender<Vec<NodeState>>,
    pub(super) events: mpsc::Sender<Event>,
}

/// The supervisor of one local cluster.
pub(super) struct Supervisor {
    surroundings: Surroundings,
    nodes: Vec<Managed>,
    roster: Option<Arc<Roster>>,
    /// What `nodes.json` says.
    written: Vec<NodeState>,
    waiting: Vec<Waiting>,
}

/// A node and its process.
struct Managed {
    name: Name,
    launch: Launch,
    life: NodeLife,
    running: Option<Running>,
}

/// An order that is being carried out.
struct Waiting {
    nodes: Vec<usize>,
    answer: oneshot::Sender<Vec<NodeState>>,
}

impl Supervisor {
    /// A supervisor of `nodes`, all down.
    pub(super) fn new(
        surroundings: Surroundings,
        nodes: impl IntoIterator<Item = (PlannedNode, Launch)>,
        restart: Restart,
    ) -> Self {
        let managed = |(planned, launch): (PlannedNode, Launch)| Managed {
            name: planned.name,
            launch,
            life: NodeLife::new(restart),
            running: None,
        };
        let nodes = nodes.into_iter().map(managed).collect();
        Self { surroundings, nodes, roster: None, written: Vec::new(), waiting: Vec::new() }
    }

    /// Works until the tasks are stopped; whoever stops them has stopped the nodes before.
    pub(super) async fn run(mut self) {
        loop {
            let wakes_at = self.nodes.iter().filter_map(|node| node.life.wakes_at()).min();
            let rest = match wakes_at {
                Some(at) => self.surroundings.env.sleep_until(at),
                None => Box::pin(std::future::pending()),
            };
            tokio::select! {
                biased;
                () = self.surroundings.tasks.cancelled() => return,
                message = self.surroundings.inbox.recv() => match message {
                    Some(message) => self.handle_message(message),
                    None => return,
                },
                () = rest => {
                    for node in 0..self.nodes.len() {
                        self.handle_input(node, Input::Tick);
                    }
                }
            }
            self.publish();
            self.answer();
        }
    }

    fn handle_message(&mut self, message: Message) {
        match message {
            Message::Order { verb, nodes, answer } => {
                let named =
                    |(index, node): (usize, &Managed)| nodes.contains(&node.name).then_some(index);
                let nodes: Vec<usize> = self.nodes.iter().enumerate().filter_map(named).collect();
                for &node in &nodes {
                    self.handle_input(node, Input::Order(verb));
                }
                self.waiting.push(Waiting { nodes, answer });
            }
            Message::Publish(roster) => self.roster = Some(roster),
            Message::Exited { node, status } => self.handle_exit(node, status),
        }
    }

    fn handle_exit(&mut self, index: usize, status: ExitStatus) {
        if let Some(node) = self.nodes.get_mut(index) {
            node.running = None;
        }
        self.handle_input(index, Input::Exited);
        let text = match self.nodes.get(index).map(|node| node.life.shown()) {
            Some(RunState::Restarting) => format!("died ({status}); starts again in two seconds"),
            Some(_) => format!("ended ({status})"),
            None => return,
        };
        self.tell(index, text);
    }

    /// Lets the node's life decide, and carries out what it decided.
    fn handle_input(&mut self, index: usize, input: Input) {
        let now = self.surroundings.env.mono();
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        let Some(deed) = node.life.handle(now, input) else {
            return;
        };
        match (deed, &node.running) {
            (Deed::Spawn, _) => self.spawn(index),
            (Deed::Terminate, Some(running)) => running.end(End::Ask),
            (Deed::Kill, Some(running)) => running.end(End::Force),
            (Deed::Terminate | Deed::Kill, None) => {
                debug_assert!(false, "a node that is up has a process");
            }
        }
    }

    fn spawn(&mut self, index: usize) {
        let Surroundings { env, tasks, outbox, .. } = &self.surroundings;
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        debug_assert!(node.running.is_none(), "one process per node");
        let outbox = outbox.clone();
        let report = move |status| async move {
            // The supervisor is gone only when its process ends.
            let _ = outbox.send(Message::Exited { node: index, status }).await;
        };
        match launch((env, tasks), &node.launch, report) {
            Ok(running) => {
                let text = format!("started (pid {})", running.pid);
                node.running = Some(running);
                self.tell(index, text);
            }
            Err(error) => {
                let now = env.mono();
                // Exited never asks for an immediate spawn of a node that is up, so this does not recur.
                let deed = node.life.handle(now, Input::Exited);
                debug_assert_eq!(deed, None);
                self.tell(index, format!("cannot be started: {error}"));
            }
        }
    }

    fn tell(&self, index: usize, text: String) {
        if let Some(node) = self.nodes.get(index) {
            let node = node.name.clone();
            // Nobody may be listening, or be too slow: events are for people.
            let _ = self.surroundings.events.try_send(Event { node, text });
        }
    }

    fn state_of(node: &Managed) -> NodeState {
        NodeState {
            id: node.name.clone(),
            state: node.life.shown(),
            pid: node.running.as_ref().map(|running| running.pid),
            deaths: node.life.deaths(),
        }
    }

    fn publish(&mut self) {
        let states: Vec<NodeState> = self.nodes.iter().map(Self::state_of).collect();
        if let Some(roster) = &self.roster
            && self.written != states
        {
            match roster.write(&states) {
                Ok(()) => self.written.clone_from(&states),
                Err(error) => tracing::warn!(%error, "nodes.json is not up to date"),
            }
        }
        self.surroundings.states.send_replace(states);
    }

    fn answer(&mut self) {
        let is_settled =
            |index: &usize| self.nodes.get(*index).is_none_or(|node| node.life.is_settled());
        let (done, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|order| order.nodes.iter().all(is_settled));
        self.waiting = waiting;
        for order in done {
            let nodes = order.nodes.iter().filter_map(|&index| self.nodes.get(index));
            // Whoever asked may have left.
            let _ = order.answer.send(nodes.map(Self::state_of).collect());
        }
    }
}
