//! Requests of clients.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use atoll_protocol::frame::Frame;
use atoll_protocol::ids::DcIndex;
use atoll_protocol::record::{CellBody, Record};
use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{
    self, Acknowledged, CellMeta, ClusterView, Envelope, Failure, GetRequest, Invalid, PutBody,
    PutRequest, Reply, Request,
};
use bytes::{Bytes, BytesMut};

use super::Service;
use super::admit::authorize;
use super::check::{check_context, check_key, check_session, check_size};
use crate::coordinator::{Answer, Get, GetAnswer, Put, Target};
use crate::net::Link;

/// Who sent a put. One that was forwarded is not forwarded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Client,
    Peer,
}

/// Where the reply to one request goes.
#[derive(Clone)]
pub(super) struct ReplyTo {
    link: Arc<dyn Link>,
    request: u64,
    service: Service,
}

impl Service {
    /// Begins gets and puts where their frame arrives; everything else gets a task of its own.
    pub(super) fn serve_client(&self, link: &Arc<dyn Link>, frame: Frame) {
        let reply_to =
            ReplyTo { link: link.clone(), request: frame.request, service: self.clone() };
        let request = match wire::from_frame::<Request>(&frame) {
            Ok(request) => request,
            Err(error) => {
                let invalid = Invalid::Message { detail: error.to_string() };
                return reply_to.fail(invalid.into());
            }
        };
        if let Err(failure) = authorize(link.identity(), &request) {
            tracing::warn!(client = %link.identity(), %failure, "request denied");
            return reply_to.fail(failure);
        }
        if self.draining.load(Ordering::Relaxed) {
            let reason = "it is stopping".to_owned();
            return reply_to
                .fail(Failure::NotServing { node: self.parts.facts.node.clone(), reason });
        }
        let deadline = self.deadline(&frame);
        let local = self.parts.cluster.own_dc();
        self.carry_out((request, frame.payload), (local, deadline), reply_to);
    }

    fn carry_out(
        &self,
        (request, payload): (Request, Bytes),
        (local, deadline): (DcIndex, MonoTime),
        reply_to: ReplyTo,
    ) {
        let or_failed = |result: Result<Reply, Failure>| result.unwrap_or_else(Reply::Failed);
        match request {
            Request::Get(get) => self.get(get, local, deadline, reply_to),
            Request::Put(put) => {
                let answer = reply_to.into_put_answer();
                self.put((put, payload), (local, deadline), Origin::Client, answer);
            }
            Request::Cluster => reply_to.send(&self.cluster_view(), Bytes::new()),
            Request::Status => {
                reply_to.send_later(|service| async move { service.status(deadline).await });
            }
            Request::Repair(command) => reply_to
                .send_later(|service| async move { service.repair(command, deadline).await }),
            Request::Hints(command) => reply_to
                .send_later(|service| async move { service.hints(&command, deadline).await }),
            Request::Tombstones => {
                reply_to.send_later(|service| async move { service.tombstones(deadline).await });
            }
            Request::Storage => {
                reply_to.send_later(|service| async move { service.storage(deadline).await });
            }
            Request::Explain { keyspace, key } => reply_to.send_later(move |service| async move {
                or_failed(service.explain(&keyspace, key, deadline).await)
            }),
            Request::CreateKeyspace(request) => reply_to.send_later(move |service| async move {
                or_failed(service.create_keyspace(request, deadline).await)
            }),
            Request::Fault(command) => {
                tracing::warn!(client = %reply_to.link.identity(), ?command, "fault command");
                let reply = match self.parts.faults.command(&command) {
                    Ok(lines) => Reply::Faults(lines),
                    Err(detail) => Reply::Failed(Invalid::Fault { detail }.into()),
                };
                reply_to.send(&reply, Bytes::new());
            }
        }
    }

    /// Checks a get, then has the coordinator run it.
    fn get(&self, get: GetRequest, local: DcIndex, deadline: MonoTime, reply_to: ReplyTo) {
        let target = check_key(&get.key)
            .and_then(|()| Target::locate(&self.parts.cluster, &get.keyspace, get.key))
            .and_then(|target| {
                let at_least = check_session(&target, get.at_least.as_ref())?;
                Ok((target, at_least))
            });
        let (target, at_least) = match target {
            Ok(checked) => checked,
            Err(invalid) => return reply_to.fail(invalid.into()),
        };
        let token = target.stored.token().0;
        let longest = self.parts.env.mono().after(self.parts.purge.get_max());
        let deadline = deadline.min(longest);
        let get = Get { target, level: get.level, local, at_least, deadline };
        self.parts.coordinator.get(get, move |result| match result {
            Ok(found) => reply_to.found(&found, token),
            Err(failure) => reply_to.fail(failure),
        });
    }

    /// Checks a put, then begins it here or at a replica.
    pub(super) fn put(
        &self,
        (put, value): (PutRequest, Bytes),
        (local, deadline): (DcIndex, MonoTime),
        origin: Origin,
        answer: Answer<Acknowledged>,
    ) {
        let target = check_key(&put.key)
            .and_then(|()| Target::locate(&self.parts.cluster, &put.keyspace, put.key.clone()))
            .and_then(|target| {
                check_size(&target.keyspace, &target.key, &value)?;
                let context = check_context(&target, put.context.as_ref())?;
                let at_least = check_session(&target, put.at_least.as_ref())?;
                Ok((target, context, at_least))
            });
        let (target, context, at_least) = match target {
            Ok(checked) => checked,
            Err(invalid) => return answer(Err(invalid.into())),
        };
        let own = self.parts.cluster.own();
        if !target.replicas.nodes.iter().any(|(node, _)| *node == own) {
            return match origin {
                Origin::Client => {
                    let service = self.clone();
                    self.parts.tasks.spawn("forward-put", async move {
                        service.forward(target, (put, value), (local, deadline), answer).await;
                    });
                }
                Origin::Peer => answer(Err(Failure::Internal {
                    detail: "a put was forwarded to a node that does not replicate its key"
                        .to_owned(),
                })),
            };
        }
        let body = match put.body {
            PutBody::Value => CellBody::Value(value),
            PutBody::Tombstone => CellBody::Tombstone,
        };
        let ttl = match put.body {
            PutBody::Value => put.ttl.or(target.keyspace.ttl),
            PutBody::Tombstone => None,
        };
        let (level, quorum) = (put.level, put.quorum);
        let put = Put { target, level, local, quorum, body, context, at_least, ttl, deadline };
        self.parts.coordinator.put(put, answer);
    }

    fn cluster_view(&self) -> Reply {
        let view = self.parts.cluster.view();
        Reply::Cluster(ClusterView {
            topology: view.topology.as_ref().clone(),
            keyspaces: view.keyspaces.clone(),
            answered_by: self.parts.facts.node.clone(),
        })
    }
}

impl ReplyTo {
    pub(super) fn send(&self, reply: &Reply, payload: Bytes) {
        let epoch = self.service.parts.cluster.view().topology.epoch();
        let envelope = Envelope { request: self.request, epoch, budget: None };
        let frame = wire::to_frame(reply, payload, envelope).or_else(|error| {
            let failure = Failure::Internal { detail: error.to_string() };
            wire::to_frame(&Reply::Failed(failure), Bytes::new(), envelope)
        });
        let sent = match frame {
            Ok(frame) => self.link.send(frame).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = sent {
            tracing::debug!(client = %self.link.identity(), error, "reply not sent");
        }
    }

    /// Sends what a task of its own comes to.
    fn send_later<F>(self, ask: impl FnOnce(Service) -> F)
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let tasks = self.service.parts.tasks.clone();
        let reply = ask(self.service.clone());
        tasks.spawn("client-request", async move { self.send(&reply.await, Bytes::new()) });
    }

    /// Sends what a get of a key with this token has found.
    fn found(&self, GetAnswer { record, answered }: &GetAnswer, token: u64) {
        let (cells, payload) = visible_cells(record, self.service.parts.env.wall());
        let context = record.context(token).encode();
        self.send(&Reply::Get { context, cells, answered: *answered }, payload);
    }

    pub(super) fn fail(&self, failure: Failure) {
        self.send(&Reply::Failed(failure), Bytes::new());
    }

    fn into_put_answer(self) -> Answer<Acknowledged> {
        Box::new(move |result| match result {
            Ok(acknowledged) => self.send(&Reply::Put(acknowledged), Bytes::new()),
            Err(failure) => self.fail(failure),
        })
    }
}

/// The visible values of a record: their description, and their bytes one after the other.
fn visible_cells(record: &Record, now: atoll_protocol::time::WallTime) -> (Vec<CellMeta>, Bytes) {
    let mut cells = Vec::new();
    let mut values: Vec<Bytes> = Vec::new();
    for (dot, cell) in record.values(now) {
        let CellBody::Value(value) = &cell.body else {
            continue;
        };
        cells.push(CellMeta {
            length: u32::try_from(value.len()).unwrap_or(u32::MAX),
            dot,
            timestamp: cell.timestamp,
            expires_at: cell.expires_at,
        });
        values.push(value.clone());
    }
    let payload = match values.as_slice() {
        // The common case: one value is passed on without a copy.
        [value] => value.clone(),
        values => {
            let mut all = BytesMut::with_capacity(values.iter().map(Bytes::len).sum());
            values.iter().for_each(|value| all.extend_from_slice(value));
            all.freeze()
        }
    };
    (cells, payload)
}
