//! Keyspaces: creating one, and keeping all nodes' maps the same.
//!
//! 1. A creation is checked against the topology, stored here, then pushed to every connected peer.
//! 2. Once a second nodes tell each other a digest of their map; whoever sees another digest pushes its map and merges
//!    the answer. Of two concurrent, different definitions of one name the earlier stands.

use atoll_protocol::ids::{KeyspaceId, Name, NodeIndex};
use atoll_protocol::keyspace::{DEFAULT_RECORD_BYTES_MAX, Keyspace, KeyspaceChange, KeyspaceMap};
use atoll_protocol::put::Liveness;
use atoll_protocol::time::MonoTime;
use atoll_protocol::topology::Topology;
use atoll_protocol::wire::{
    self, Envelope, Failure, Gossip, Invalid, KeyspaceRequest, PeerReply, PeerRequest, Reply,
};
use bytes::Bytes;
use futures_util::future::join_all;

use super::Service;
use crate::cluster::ChangeError;
use crate::membership::Input;
use crate::meta::MetaError;
use crate::net::{PeerLink, Word};

impl Service {
    pub(super) async fn create_keyspace(
        &self,
        request: KeyspaceRequest,
        deadline: MonoTime,
    ) -> Result<Reply, Failure> {
        let wanted = self.define(request)?;
        let name = wanted.name.clone();
        let cluster = self.parts.cluster.clone();
        let changed = self.parts.env.blocking(move || {
            cluster.change_keyspaces(|keyspaces| {
                let topology = cluster.view().topology.clone();
                keyspaces.check(&wanted, &topology).map_err(|error| error.to_string())?;
                keyspaces.insert_new(wanted).map_err(|error| error.to_string())
            })
        });
        let view = match changed.await {
            Ok(view) => view,
            Err(ChangeError::Refused(detail)) => return Err(Invalid::Keyspace { detail }.into()),
            Err(ChangeError::Meta(error)) => {
                self.stop_unless_full(&error);
                return Err(Failure::Storage { detail: error.to_string() });
            }
        };
        tracing::info!(keyspace = %name, "keyspace created");
        let told = self.push_keyspaces(&view.keyspaces, deadline).await;
        // Somebody may have created it earlier elsewhere; then theirs stands, and the caller is told.
        let stands = self.parts.cluster.view().keyspace(&name).cloned();
        if stands != view.keyspace(&name).cloned() {
            let detail = format!(
                "keyspace `{name}` was created elsewhere at the same time; that definition stands"
            );
            return Err(Invalid::Keyspace { detail }.into());
        }
        Ok(Reply::KeyspaceCreated { known_by: 1 + told })
    }

    /// Merges a peer's keyspaces into ours; returns what we know then.
    pub(super) async fn merge_keyspaces(&self, theirs: KeyspaceMap) -> KeyspaceMap {
        let cluster = self.parts.cluster.clone();
        let merged = self.parts.env.blocking(move || {
            let mut changes = Vec::new();
            let result = cluster.change_keyspaces(|keyspaces| {
                changes = keyspaces.merge(&theirs);
                Ok::<(), std::convert::Infallible>(())
            });
            (result, changes)
        });
        let (result, changes) = merged.await;
        for change in changes {
            match change {
                KeyspaceChange::Added { keyspace } => {
                    tracing::info!(keyspace = %keyspace.name, "keyspace learned from a peer");
                }
                KeyspaceChange::Replaced { lost, stands } => {
                    tracing::warn!(
                        keyspace = %lost.name, lost = ?lost.id, stands = ?stands.id,
                        "keyspace was created twice at the same time; the earlier definition stands"
                    );
                }
            }
        }
        match result {
            Ok(view) => view.keyspaces.clone(),
            Err(ChangeError::Meta(error)) => {
                self.stop_unless_full(&error);
                tracing::error!(%error, "keyspaces not stored");
                self.parts.cluster.view().keyspaces.clone()
            }
            Err(ChangeError::Refused(never)) => match never {},
        }
    }

    /// A full disk passes. After any other error nobody knows what the metadata's file holds: fail-stop, as for the log.
    fn stop_unless_full(&self, error: &MetaError) {
        if !error.is_full() {
            self.parts.env.exit(&format!("cannot store keyspaces: {error}"));
        }
    }

    /// Says over a new link at once what gossip would say within a second. From then on the peer knows which boot is at
    /// its other end: after a restart it closes this node's dead links instead of sending into them.
    pub(super) fn introduce(&self, to: &PeerLink) {
        let view = self.parts.cluster.view();
        let notice =
            view.gossip(self.parts.facts.boot, self.parts.detection.suspicions().silent.clone());
        let envelope = Envelope { request: 0, epoch: view.topology.epoch(), budget: None };
        if let Ok(frame) = wire::to_frame(&notice, Bytes::new(), envelope) {
            // A link that is gone already needs no introduction.
            let _ = to.link.send(frame);
        }
    }

    /// Compares a peer's digests with ours; on a difference exchanges keyspaces with it.
    pub(super) fn on_gossip(&self, from: &PeerLink, gossip: Gossip) {
        let (view, peer) = (self.parts.cluster.view(), from.peer);
        if self.parts.peers.learn_boot(peer, from.id, gossip.boot) == Word::First {
            self.parts.detection.tell(Input::Greeted(peer));
        }
        if gossip.topology != view.topology.digest() {
            tracing::error!(peer = ?view.node_name(peer), "peer has another topology; compare the topology files of both nodes");
        }
        self.parts.detection.tell(Input::Testimony { from: peer, silent: gossip.silent });
        if gossip.keyspaces == view.keyspaces.digest() {
            return;
        }
        let service = self.clone();
        self.parts.tasks.spawn("keyspace-exchange", async move {
            let deadline = service.parts.env.mono().after(super::BUDGET_DEFAULT);
            service.exchange_keyspaces(peer, &view.keyspaces, deadline).await;
        });
    }

    async fn push_keyspaces(&self, keyspaces: &KeyspaceMap, deadline: MonoTime) -> u16 {
        let view = self.parts.cluster.view();
        let alive = view
            .topology
            .node_indices()
            .filter(|&node| self.parts.peers.liveness(node) == Liveness::Alive);
        let exchanges = alive.map(|node| self.exchange_keyspaces(node, keyspaces, deadline));
        let told = join_all(exchanges).await.into_iter().filter(Option::is_some).count();
        u16::try_from(told).unwrap_or(u16::MAX)
    }

    async fn exchange_keyspaces(
        &self,
        peer: NodeIndex,
        ours: &KeyspaceMap,
        deadline: MonoTime,
    ) -> Option<()> {
        let request = PeerRequest::Keyspaces(ours.clone());
        match self.parts.peers.call(peer, &request, Bytes::new(), deadline).await {
            Ok((PeerReply::Keyspaces(theirs), _)) => {
                self.merge_keyspaces(theirs).await;
                Some(())
            }
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(?peer, %error, "keyspaces not exchanged");
                None
            }
        }
    }

    /// The definition that a request asks for; datacenters that it does not name take the topology's default.
    fn define(&self, request: KeyspaceRequest) -> Result<Keyspace, Failure> {
        let view = self.parts.cluster.view();
        let mut keyspace = Keyspace::default_for(&view.topology);
        check_dcs(&view.topology, &request.replication_factor)?;
        for (dc, factor) in request.replication_factor {
            keyspace.replication_factor.insert(dc, factor);
        }
        keyspace.id = KeyspaceId(self.parts.env.random_u64());
        keyspace.name = request.name;
        keyspace.created = self.parts.env.wall().as_micros();
        keyspace.conflict = request.conflict;
        keyspace.ttl = request.ttl;
        keyspace.record_bytes_max = request.record_bytes_max.unwrap_or(DEFAULT_RECORD_BYTES_MAX);
        Ok(keyspace)
    }
}

/// Refuses a datacenter that is named twice; everything else is checked on the finished definition.
fn check_dcs(topology: &Topology, wanted: &[(Name, u8)]) -> Result<(), Failure> {
    let mut seen = std::collections::BTreeSet::new();
    for (dc, _) in wanted {
        if !seen.insert(dc) {
            let detail =
                format!("datacenter `{dc}` is named twice (cluster {})", topology.cluster());
            return Err(Invalid::Keyspace { detail }.into());
        }
    }
    Ok(())
}
