//! What operators ask: keyspaces, the state of nodes and keys, faults.
//!
//! Any node answers for the cluster, except that a fault command goes to exactly the node whose links it is about.
//! Requests that read are repeated elsewhere like a get; those that change something are not once they were sent.

use std::sync::Arc;

use atoll_protocol::ids::Name;
use atoll_protocol::keyspace::Keyspace as KeyspaceDefinition;
use atoll_protocol::wire::{
    ClusterView, Explanation, FaultCommand, HintsCommand, HintsReport, Invalid, KeyspaceRequest,
    NodeReport, RepairCommand, RepairReport, Reply, Request, StorageReport, TombstonesReport,
};
use bytes::Bytes;

use super::Client;
use crate::dispatch::{Aim, Job};
use crate::error::{Error, Operation};

impl Client {
    /// Creates a keyspace and returns how many nodes know it already. Needs an admin certificate.
    ///
    /// # Errors
    /// [`ErrorKind::Denied`](crate::ErrorKind::Denied) without that certificate;
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it does not fit the topology or the name is taken.
    pub async fn create_keyspace(&self, request: KeyspaceRequest) -> Result<u16, Error> {
        let job = self.control(Request::CreateKeyspace(request), Operation::Write);
        let answer = self.dispatcher.run(&job).await?;
        let Reply::KeyspaceCreated { known_by } = answer.reply else {
            return Err(answer.unexpected());
        };
        // It stands whether this client has seen it or not; the first request to it would ask again.
        if let Err(error) = self.dispatcher.refresh().await {
            tracing::debug!(%error, "cannot fetch the new keyspace");
        }
        Ok(known_by)
    }

    /// All keyspaces, as the node that is asked knows them.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn keyspaces(&self) -> Result<Vec<Arc<KeyspaceDefinition>>, Error> {
        Ok(self.cluster().await?.keyspaces.into())
    }

    /// Topology and keyspaces, as the node that is asked knows them.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn cluster(&self) -> Result<ClusterView, Error> {
        self.dispatcher.refresh().await
    }

    /// One report for each node, gathered by the node that is asked.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn status(&self) -> Result<Vec<NodeReport>, Error> {
        let answer = self.dispatcher.run(&self.control(Request::Status, Operation::Read)).await?;
        match answer.reply {
            Reply::Status(reports) => Ok(reports),
            _ => Err(answer.unexpected()),
        }
    }

    /// One report on the storage engine of each node, gathered by the node that is asked.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn storage(&self) -> Result<Vec<StorageReport>, Error> {
        let answer = self.dispatcher.run(&self.control(Request::Storage, Operation::Read)).await?;
        match answer.reply {
            Reply::Storage(reports) => Ok(reports),
            _ => Err(answer.unexpected()),
        }
    }

    /// Has every node carry out a command on its anti-entropy, through the node that is asked; one report for each. All but
    /// [`RepairCommand::Status`] need an admin certificate, and may be repeated: a second time they change nothing.
    ///
    /// # Errors
    /// Those of any read, and [`ErrorKind::Denied`](crate::ErrorKind::Denied) without that certificate.
    pub async fn repair(&self, command: RepairCommand) -> Result<Vec<RepairReport>, Error> {
        let job = self.control(Request::Repair(command), Operation::Read);
        let answer = self.dispatcher.run(&job).await?;
        match answer.reply {
            Reply::Repair(reports) => Ok(reports),
            _ => Err(answer.unexpected()),
        }
    }

    /// Has every node carry out a command on the hints that it holds, through the node that is asked; one report for each. All
    /// but [`HintsCommand::List`] need an admin certificate, and may be repeated.
    ///
    /// # Errors
    /// Those of any read, and [`ErrorKind::Denied`](crate::ErrorKind::Denied) without that certificate.
    pub async fn hints(&self, command: HintsCommand) -> Result<Vec<HintsReport>, Error> {
        let job = self.control(Request::Hints(command), Operation::Read);
        let answer = self.dispatcher.run(&job).await?;
        match answer.reply {
            Reply::Hints(reports) => Ok(reports),
            _ => Err(answer.unexpected()),
        }
    }

    /// The deletions and expired values that wait to be purged, by the node that looks after them, gathered by the node that is
    /// asked; one report for each node.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn tombstones(&self) -> Result<Vec<TombstonesReport>, Error> {
        let job = self.control(Request::Tombstones, Operation::Read);
        let answer = self.dispatcher.run(&job).await?;
        match answer.reply {
            Reply::Tombstones(reports) => Ok(reports),
            _ => Err(answer.unexpected()),
        }
    }

    /// The state of one key at each of its replicas.
    ///
    /// # Errors
    /// Those of any read.
    pub async fn explain(
        &self,
        keyspace: &str,
        key: impl AsRef<[u8]>,
    ) -> Result<Explanation, Error> {
        let keyspace = Name::new(keyspace).map_err(|error| Error::message(&error))?;
        let key = Bytes::copy_from_slice(key.as_ref());
        let job = self.control(Request::Explain { keyspace, key }, Operation::Read);
        let answer = self.dispatcher.run(&job).await?;
        match answer.reply {
            Reply::Explain(explanation) => Ok(explanation),
            _ => Err(answer.unexpected()),
        }
    }

    /// Changes or shows the emulated faults of exactly one node. Needs an admin certificate.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the cluster has no such node.
    pub async fn fault(&self, node: &str, command: FaultCommand) -> Result<Vec<String>, Error> {
        let name = Name::new(node).map_err(|error| Error::message(&error))?;
        self.check_node(&name).await?;
        let operation = match command {
            FaultCommand::Show => Operation::Read,
            FaultCommand::Heal | FaultCommand::Set { .. } => Operation::Write,
        };
        let job = self.control(Request::Fault(command), operation);
        let answer = self.dispatcher.run(&Job { aim: Aim::Node(name), ..job }).await?;
        match answer.reply {
            Reply::Faults(lines) => Ok(lines),
            _ => Err(answer.unexpected()),
        }
    }

    fn control(&self, request: Request, operation: Operation) -> Job {
        Job::control(request, operation, &self.profile)
    }

    /// Refreshes if `name` is not known, and refuses it if it still is not.
    async fn check_node(&self, name: &Name) -> Result<(), Error> {
        if self.dispatcher.snapshot().peer_by_name(name).is_none() {
            self.dispatcher.refresh().await?;
        }
        let snapshot = self.dispatcher.snapshot();
        if snapshot.peer_by_name(name).is_some() {
            return Ok(());
        }
        let names = snapshot.topology().nodes().iter().map(|node| node.name.as_str());
        let known = names.collect::<Vec<_>>().join(", ");
        let detail = format!("the cluster has no node `{name}`; it has {known}");
        Err(Error::Invalid(Invalid::Fault { detail }))
    }
}
