//! Requests and notices of other nodes.
//!
//! An `Apply` is forwarded first (the neighbours should not wait for our disk), then applied, then acknowledged to the
//! coordinator, whoever brought it.

#[cfg(test)]
mod tests;

use atoll_protocol::frame::Frame;
use atoll_protocol::ids::{DcIndex, Epoch, KeyspaceId, NodeIndex, OperationId};
use atoll_protocol::record::Record;
use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{
    self, ApplyOutcome, Envelope, Failure, Invalid, Kind, Known, PeerNotice, PeerReply,
    PeerRequest, PutRequest,
};
use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::Service;
use super::check::check_key;
use super::client::Origin;
use crate::coordinator::Answer;
use crate::net::PeerLink;
use crate::replica::{Reach, ReplicaError, StoredKey};

/// A peer that waits for the answer to a request.
struct Asker {
    from: PeerLink,
    request: u64,
    epoch: Epoch,
}

/// A record on its way to this replica.
struct Incoming {
    operation: OperationId,
    coordinator: NodeIndex,
    keyspace: KeyspaceId,
    key: Bytes,
    relay_to: Vec<NodeIndex>,
    record: Bytes,
}

impl Service {
    pub(super) fn serve_peer(&self, from: &PeerLink, frame: Frame) {
        if Kind::from_byte(frame.kind) == Some(Kind::PeerNotice) {
            match wire::from_frame::<PeerNotice>(&frame) {
                Ok(notice) => self.on_notice(from, notice, frame.payload),
                Err(error) => tracing::warn!(peer = ?from.peer, %error, "malformed notice dropped"),
            }
            return;
        }
        self.on_request(from, frame);
    }

    /// Answers a request of a peer: a read from memory at once, everything else in a task of its own.
    fn on_request(&self, from: &PeerLink, frame: Frame) {
        let to = Asker { from: from.clone(), request: frame.request, epoch: frame.epoch };
        if self.cancelled.take(to.from.id, to.request) {
            return;
        }
        let request = match wire::from_frame::<PeerRequest>(&frame) {
            Ok(request) => request,
            Err(error) => {
                let invalid = Invalid::Message { detail: error.to_string() };
                return to.tell(&PeerReply::Failed(invalid.into()), Bytes::new());
            }
        };
        if let PeerRequest::Read { keyspace, key, known } = &request {
            let key = StoredKey::new(*keyspace, key);
            match self.parts.replica.read_encoded(&key, Reach::Memory) {
                Err(ReplicaError::NotInMemory) => {}
                stored => {
                    let (reply, payload) = answer_read(stored, known.as_ref());
                    return to.tell(&reply, payload);
                }
            }
        }
        let deadline = self.deadline(&frame);
        let service = self.clone();
        self.parts.tasks.spawn("peer-request", async move {
            let peer = to.from.peer;
            let is_cancelled = || service.cancelled.take(to.from.id, to.request);
            if is_cancelled() {
                return;
            }
            let (reply, payload) =
                service.answer_peer(peer, (request, frame.payload), deadline).await;
            if !is_cancelled() {
                to.tell(&reply, payload);
            }
        });
    }

    fn on_notice(&self, from: &PeerLink, notice: PeerNotice, payload: Bytes) {
        match notice {
            PeerNotice::Apply { operation, coordinator, keyspace, key, relay_to } => {
                let incoming =
                    Incoming { operation, coordinator, keyspace, key, relay_to, record: payload };
                self.on_apply(incoming);
            }
            PeerNotice::Hold { operation, coordinator, owner, keyspace, key } => {
                self.on_hold((operation, coordinator), owner, (keyspace, key), payload);
            }
            PeerNotice::Applied { operation, outcome } => {
                self.parts.coordinator.operations().on_applied(from.peer, operation, outcome);
            }
            PeerNotice::Gossip(gossip) => self.on_gossip(from, gossip),
            PeerNotice::Cancel { request } => self.cancelled.note(from.id, request),
        }
    }

    fn on_apply(&self, incoming: Incoming) {
        for &neighbour in &incoming.relay_to {
            let copy = PeerNotice::Apply {
                operation: incoming.operation,
                coordinator: incoming.coordinator,
                keyspace: incoming.keyspace,
                key: incoming.key.clone(),
                relay_to: Vec::new(),
            };
            let sent = self.parts.peers.notify(neighbour, &copy, incoming.record.clone());
            if let Err(error) = sent {
                // The coordinator notices by the missing acknowledgement and asks another relay.
                tracing::debug!(?neighbour, %error, "relayed copy not sent");
            }
        }
        let service = self.clone();
        if !incoming.relay_to.is_empty() && seeded_bug(Mutant::RelayAcksBeforeWrite) {
            let (operation, outcome) = (incoming.operation, ApplyOutcome::Durable);
            let ack = PeerNotice::Applied { operation, outcome };
            let _ = self.parts.peers.notify(incoming.coordinator, &ack, Bytes::new());
        }
        let Incoming { operation, coordinator, keyspace, key, record, .. } = incoming;
        let then = move |applied: Result<(), ReplicaError>| {
            let outcome = match applied {
                Ok(()) => ApplyOutcome::Durable,
                Err(error) => {
                    tracing::warn!(%error, "record from a peer refused");
                    ApplyOutcome::Refused
                }
            };
            service.acknowledge((operation, coordinator), outcome);
        };
        match stored_key(keyspace, &key) {
            Ok(key) => {
                let replica = &self.parts.replica;
                replica.apply_then(key, record, move |applied| then(applied.map(drop)));
            }
            Err(error) => then(Err(error)),
        }
    }

    fn on_hold(
        &self,
        (operation, coordinator): (OperationId, NodeIndex),
        owner: NodeIndex,
        (keyspace, key): (KeyspaceId, Bytes),
        record: Bytes,
    ) {
        let service = self.clone();
        self.parts.tasks.spawn("peer-hold", async move {
            let held = match stored_key(keyspace, &key) {
                Ok(key) => service.parts.handoff.hold(owner, &key, record).await,
                Err(error) => Err(error.to_string()),
            };
            let outcome = match held {
                Ok(()) => ApplyOutcome::Durable,
                Err(error) => {
                    tracing::warn!(?owner, error, "record for a peer that is away not kept");
                    ApplyOutcome::Refused
                }
            };
            service.acknowledge((operation, coordinator), outcome);
        });
    }

    fn acknowledge(&self, (operation, to): (OperationId, NodeIndex), outcome: ApplyOutcome) {
        let ack = PeerNotice::Applied { operation, outcome };
        let sent = self.parts.peers.notify(to, &ack, Bytes::new());
        if let Err(error) = sent {
            tracing::debug!(?to, %error, "acknowledgement not sent");
        }
    }

    async fn apply(
        &self,
        keyspace: KeyspaceId,
        key: &Bytes,
        record: Bytes,
    ) -> Result<(), ReplicaError> {
        let key = stored_key(keyspace, key)?;
        self.parts.replica.apply_for_request(key, record).await.map(drop)
    }

    async fn answer_peer(
        &self,
        from: NodeIndex,
        (request, payload): (PeerRequest, Bytes),
        deadline: MonoTime,
    ) -> (PeerReply, Bytes) {
        let nothing = Bytes::new();
        match request {
            PeerRequest::Read { keyspace, key, known } => {
                let key = StoredKey::new(keyspace, &key);
                answer_read(self.parts.replica.read_encoded(&key, Reach::Disk), known.as_ref())
            }
            PeerRequest::Repair { keyspace, key } => {
                match self.apply(keyspace, &key, payload).await {
                    Ok(()) => (PeerReply::Repaired, nothing),
                    Err(error) => (storage_failure(&error), nothing),
                }
            }
            PeerRequest::Forward { request, local } => {
                let put = (request, payload);
                (self.put_for_peer(put, (local, deadline)).await, nothing)
            }
            PeerRequest::Tree(request) => {
                match self.parts.repair.answer(from, request, payload).await {
                    Ok((reply, payload)) => (PeerReply::Tree(reply), payload),
                    Err(failure) => (PeerReply::Failed(failure), nothing),
                }
            }
            PeerRequest::Repairs(command) => {
                (PeerReply::Repairs(self.parts.repair.command(command)), nothing)
            }
            PeerRequest::Handoff(request) => {
                match self.parts.handoff.answer(from, request, payload).await {
                    Ok(reply) => (PeerReply::Handoff(reply), nothing),
                    Err(failure) => (PeerReply::Failed(failure), nothing),
                }
            }
            PeerRequest::Hints(command) => {
                (PeerReply::Hints(self.parts.handoff.command(command).await), nothing)
            }
            PeerRequest::Purge(request) => {
                (PeerReply::Purge(self.parts.purge.answer(request).await), nothing)
            }
            PeerRequest::Tombstones => (PeerReply::Tombstones(self.parts.purge.status()), nothing),
            PeerRequest::Status => (PeerReply::Status(self.own_status()), nothing),
            PeerRequest::Storage => (PeerReply::Storage(self.own_storage().await), nothing),
            PeerRequest::Keyspaces(theirs) => {
                (PeerReply::Keyspaces(self.merge_keyspaces(theirs).await), nothing)
            }
        }
    }

    /// Coordinates a put that another node has forwarded.
    async fn put_for_peer(
        &self,
        put: (PutRequest, Bytes),
        (local, deadline): (DcIndex, MonoTime),
    ) -> PeerReply {
        let (sender, answered) = oneshot::channel();
        let answer: Answer<_> = Box::new(move |result| {
            // The node that forwarded may have given up.
            let _ = sender.send(result);
        });
        self.put(put, (local, deadline), Origin::Peer, answer);
        match answered.await {
            Ok(Ok(acknowledged)) => PeerReply::Forwarded(acknowledged),
            Ok(Err(failure)) => PeerReply::Failed(failure),
            Err(_) => PeerReply::Failed(Failure::Internal {
                detail: "the operation ended without an answer".to_owned(),
            }),
        }
    }
}

impl Asker {
    fn tell(&self, reply: &PeerReply, payload: Bytes) {
        let envelope = Envelope { request: self.request, epoch: self.epoch, budget: None };
        let sent = wire::to_frame(reply, payload, envelope)
            .map_err(|error| error.to_string())
            .and_then(|frame| self.from.link.send(frame).map_err(|error| error.to_string()));
        if let Err(error) = sent {
            tracing::debug!(peer = ?self.from.peer, error, "reply to peer not sent");
        }
    }
}

/// The stored form of a key that a peer sent, if it is one.
fn stored_key(keyspace: KeyspaceId, key: &[u8]) -> Result<StoredKey, ReplicaError> {
    check_key(key).map_err(|invalid| ReplicaError::Storage(invalid.to_string()))?;
    Ok(StoredKey::new(keyspace, key))
}

/// What to tell a peer that reads a record and knows `known`, given what is stored.
fn answer_read(
    stored: Result<Option<Bytes>, ReplicaError>,
    known: Option<&Known>,
) -> (PeerReply, Bytes) {
    let answer = stored.and_then(|stored| match stored {
        Some(record) => answer_with(record, known),
        None => Ok((PeerReply::Absent, Bytes::new())),
    });
    answer.unwrap_or_else(|error| {
        tracing::error!(%error, "replica cannot read");
        (storage_failure(&error), Bytes::new())
    })
}

/// The record, unless it adds nothing to what is known.
///
/// Cost: one pass over its bytes; it is decoded only if it differs from what is known.
fn answer_with(record: Bytes, known: Option<&Known>) -> Result<(PeerReply, Bytes), ReplicaError> {
    let Some(known) = known else { return Ok((PeerReply::Record, record)) };
    let digest = Record::digest_of(&record);
    let is_alike = digest % 16 == known.digest % 16 && seeded_bug(Mutant::DigestTruncated);
    if digest == known.digest || is_alike {
        return Ok((PeerReply::Same, Bytes::new()));
    }
    let decoded = Record::decode(record.clone());
    let decoded = decoded.map_err(|error| ReplicaError::Storage(error.to_string()))?;
    if decoded.is_covered_by(&known.version) {
        Ok((PeerReply::Older { digest }, Bytes::new()))
    } else {
        Ok((PeerReply::Record, record))
    }
}

fn storage_failure(error: &ReplicaError) -> PeerReply {
    PeerReply::Failed(Failure::Storage { detail: error.to_string() })
}
