//! A cluster of node processes.

use std::ops::Deref;
use std::process::ExitStatus;

use atoll_client::{Client, NodeReport, ProfileFile, Role};
use atoll_protocol::wire::{NodeState, ReplicaState};
use atolldb::config::RawConfig;

use super::node::Start;
use super::{Folder, NodeProcess, Seats, until};

/// Starts that are tried with other ports when one was taken meanwhile.
const STARTS_MAX: usize = 5;

/// What a node says when its port is taken.
const PORT_TAKEN: &str = "the UDP port is in use";

/// Running nodes with their files. Dropping it kills them.
#[derive(Debug)]
pub(crate) struct Cluster {
    nodes: Vec<Option<NodeProcess>>,
    arguments: Vec<String>,
    folder: Folder,
    _seats: Seats,
}

impl Cluster {
    /// One node in one datacenter.
    pub(crate) async fn single() -> Self {
        Self::start(Seats::one().await, &[("eu", 1)], &[]).await
    }

    /// So many nodes in each datacenter, connected to each other; `arguments` go to every `atoll node`.
    pub(crate) async fn start(seats: Seats, dcs: &[(&str, usize)], arguments: &[&str]) -> Self {
        Self::start_varied(seats, dcs, arguments, |_| {}).await
    }

    /// The same with a variation of every node's configuration.
    pub(crate) async fn start_varied(
        seats: Seats,
        dcs: &[(&str, usize)],
        arguments: &[&str],
        change: impl Fn(&mut RawConfig),
    ) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let folder = Folder::create_varied(dcs, &change);
        let mut cluster = Self { nodes: Vec::new(), arguments, folder, _seats: seats };
        for _ in 0..STARTS_MAX {
            if cluster.try_start().await {
                cluster.connected().await;
                return cluster;
            }
            cluster.nodes.clear();
            cluster.folder = Folder::create_varied(dcs, &change);
        }
        panic!("a port was taken at each of {STARTS_MAX} starts");
    }

    /// Starts every node; false if a port was taken.
    async fn try_start(&mut self) -> bool {
        for index in 0..self.folder.members.len() {
            let process = self.spawn(index);
            self.nodes.push(Some(process));
        }
        for process in self.nodes.iter_mut().flatten() {
            match process.started().await {
                Start::Serving => {}
                Start::Ended { log, .. } if log.contains(PORT_TAKEN) => return false,
                Start::Ended { status, log } => panic!("a node ended with {status}: {log}"),
            }
        }
        true
    }

    fn spawn(&self, index: usize) -> NodeProcess {
        let id = &self.folder.members[index].id;
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        NodeProcess::spawn(&self.folder.config(id), &self.folder.log(id), &arguments)
    }

    /// The process of a node that runs.
    pub(crate) fn node(&self, index: usize) -> &NodeProcess {
        self.nodes[index].as_ref().expect("it runs")
    }

    /// Kills a node with SIGKILL.
    pub(crate) fn kill(&mut self, index: usize) {
        self.nodes[index].take().expect("it runs").kill();
    }

    /// Stops a node with SIGTERM.
    pub(crate) async fn stop(&mut self, index: usize) -> ExitStatus {
        self.nodes[index].take().expect("it runs").terminate().await
    }

    /// Waits until a node ends without being told to: how, and what it said.
    pub(crate) async fn ended(&mut self, index: usize) -> (ExitStatus, String) {
        self.nodes[index].take().expect("it runs").ended().await
    }

    /// Starts a node again, on its own port and data.
    pub(crate) async fn restart(&mut self, index: usize) {
        assert!(self.nodes[index].is_none(), "it does not run");
        // Whoever has the port meanwhile is asked to leave by waiting: it can only be a short-lived client.
        let process = until("a node starts again", async || {
            let mut process = self.spawn(index);
            match process.started().await {
                Start::Serving => Ok(process),
                Start::Ended { log, .. } if log.contains(PORT_TAKEN) => Err(log),
                Start::Ended { status, log } => panic!("a node ended with {status}: {log}"),
            }
        })
        .await;
        self.nodes[index] = Some(process);
    }

    /// Waits until every running node says that it is connected to every other running one.
    pub(crate) async fn connected(&self) {
        let nodes = self.nodes.iter().zip(&self.folder.members);
        let running: Vec<&str> = nodes
            .filter(|(process, _)| process.is_some())
            .map(|(_, member)| member.id.as_str())
            .collect();
        connected(&self.folder.profile(), &running).await;
    }

    /// An SDK client of the first datacenter.
    pub(crate) async fn client(&self) -> Client {
        connect(&self.folder.profile(), Role::Client).await
    }
}

impl Deref for Cluster {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.folder
    }
}

/// A client with `profile`; waits until a node answers.
pub(crate) async fn connect(profile: &ProfileFile, role: Role) -> Client {
    until("a client is connected", async || {
        let client = Client::from_profile(profile, role).unwrap().connect().await;
        client.map_err(|error| error.to_string())
    })
    .await
}

/// Waits until each of `running` says that it is connected to all others of them.
pub(crate) async fn connected(profile: &ProfileFile, running: &[&str]) {
    let client = connect(profile, Role::Client).await;
    until("the nodes are connected", async || {
        let reports = client.status().await.map_err(|error| error.to_string())?;
        let lacking = lacking(&reports, running);
        if lacking.is_empty() { Ok(()) } else { Err(lacking.join("; ")) }
    })
    .await;
    client.close().await;
}

/// Waits until `key` can be read at each of its `replicas` replicas, and all have the same record. Nobody reads it meanwhile:
/// `explain` asks each replica what it has, and mends nothing.
pub(crate) async fn replicas_equal(client: &Client, key: &str, replicas: usize) {
    until(&format!("all replicas of {key} are equal"), async || {
        let explained = client.explain("default", key).await.unwrap();
        let digests: Vec<_> = explained
            .replicas
            .iter()
            .map(|replica| match &replica.state {
                ReplicaState::Present { digest, .. } => Some(*digest),
                ReplicaState::Absent | ReplicaState::Unreachable { .. } => None,
            })
            .collect();
        assert_eq!(digests.len(), replicas);
        let are_equal = digests.iter().all(|digest| digest.is_some() && *digest == digests[0]);
        if are_equal { Ok(()) } else { Err(format!("{:?}", explained.replicas)) }
    })
    .await;
}

fn lacking(reports: &[NodeReport], running: &[&str]) -> Vec<String> {
    let mut lacking = Vec::new();
    for id in running {
        let report = reports.iter().find(|report| report.node.as_str() == *id);
        let Some(NodeReport { state: NodeState::Up(status), .. }) = report else {
            lacking.push(format!("{id} is not up: {report:?}"));
            continue;
        };
        for other in running.iter().filter(|other| *other != id) {
            let to = status.peers.iter().find(|peer| peer.node.as_str() == *other);
            if to.is_none_or(|peer| peer.rtt.is_none()) {
                lacking.push(format!("{id} is not connected to {other}"));
            }
        }
    }
    lacking
}
