//! The tap: links and transports that show the recorder every frame that a node sends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::frame::Frame;
use atoll_protocol::identity::Identity;
use atoll_protocol::ids::NodeIndex;
use atoll_protocol::wire::{
    self, ApplyOutcome, Kind, PeerNotice, PeerReply, PeerRequest, Reply, Request,
};
use atoll_quic::PathStatistics;
use atolldb::env::BoxFuture;
use atolldb::net::{
    ConnectFailure, Link, LinkClose, PeerAddress, Protocol, SendFailure, Transport,
};
use bytes::Bytes;
use parking_lot::Mutex;

use super::Recorder;
use crate::history::KeyId;

/// A node's transport, tapped.
pub struct TapTransport {
    inner: Arc<dyn Transport>,
    recorder: Recorder,
    node: NodeIndex,
}

struct TapLink {
    inner: Arc<dyn Link>,
    recorder: Recorder,
    node: NodeIndex,
    /// Keys of the puts that this node was asked for on this link, by request id.
    asked: Mutex<BTreeMap<u64, KeyId>>,
}

impl TapTransport {
    /// Taps what `node` sends on `inner`.
    pub fn new(inner: Arc<dyn Transport>, recorder: Recorder, node: NodeIndex) -> Self {
        Self { inner, recorder, node }
    }

    fn tap(&self, inner: Arc<dyn Link>) -> Arc<dyn Link> {
        let (recorder, node) = (self.recorder.clone(), self.node);
        Arc::new(TapLink { inner, recorder, node, asked: Mutex::default() })
    }
}

impl Transport for TapTransport {
    fn connect(&self, to: PeerAddress) -> BoxFuture<'_, Result<Arc<dyn Link>, ConnectFailure>> {
        Box::pin(async move { self.inner.connect(to).await.map(|link| self.tap(link)) })
    }

    fn accept(&self) -> BoxFuture<'_, Option<Arc<dyn Link>>> {
        Box::pin(async move { self.inner.accept().await.map(|link| self.tap(link)) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}

impl TapLink {
    /// A request came: remember which key it writes.
    fn on_received(&self, frame: &Frame) {
        let key = match Kind::from_byte(frame.kind) {
            Some(Kind::Request) => match wire::from_frame(frame) {
                Ok(Request::Put(put)) => self.recorder.key_named(put.keyspace.as_str(), &put.key),
                Ok(_) | Err(_) => None,
            },
            Some(Kind::PeerRequest) => match wire::from_frame(frame) {
                Ok(PeerRequest::Forward { request, .. }) => {
                    self.recorder.key_named(request.keyspace.as_str(), &request.key)
                }
                Ok(_) | Err(_) => None,
            },
            Some(Kind::PeerNotice) => {
                if let Ok(PeerNotice::Hold { operation, owner, keyspace, key, .. }) =
                    wire::from_frame(frame)
                {
                    let (place, key) = ((self.node, operation), (keyspace, &key));
                    self.recorder.on_hold_asked(place, owner, key);
                }
                None
            }
            Some(Kind::Reply | Kind::PeerReply) | None => None,
        };
        if let Some(key) = key {
            self.asked.lock().insert(frame.request, key);
        }
    }

    fn on_sent(&self, frame: &Frame) {
        match Kind::from_byte(frame.kind) {
            Some(Kind::PeerNotice) => {
                if let Ok(notice) = wire::from_frame(frame) {
                    self.on_notice(notice, frame);
                }
            }
            Some(Kind::PeerRequest) => match wire::from_frame(frame) {
                Ok(PeerRequest::Repair { keyspace, key }) => {
                    self.recorder.sight_bytes(keyspace, &key, &frame.payload);
                    self.recorder.reach("read repair sent");
                }
                Ok(PeerRequest::Purge(request)) => {
                    self.recorder.on_purge_request(self.node, &request);
                }
                Ok(_) | Err(_) => {}
            },
            Some(Kind::Reply) => {
                if matches!(wire::from_frame(frame), Ok(Reply::Put(_))) {
                    self.on_put_answered(frame.request);
                }
            }
            Some(Kind::PeerReply) => match wire::from_frame(frame) {
                Ok(PeerReply::Forwarded(_)) => {
                    self.on_put_answered(frame.request);
                    self.recorder.reach("put forwarded to a replica");
                }
                Ok(PeerReply::Older { .. }) => self.recorder.reach("older record not sent"),
                Ok(_) | Err(_) => {}
            },
            Some(Kind::Request) | None => {}
        }
    }

    fn on_notice(&self, notice: PeerNotice, frame: &Frame) {
        match notice {
            PeerNotice::Apply { operation, coordinator, keyspace, key, relay_to } => {
                let Some(id) = self.recorder.sight_bytes(keyspace, &key, &frame.payload) else {
                    return;
                };
                if !relay_to.is_empty() {
                    self.recorder.reach("record relayed to another datacenter");
                }
                let mut state = self.recorder.state();
                state.applies.entry((coordinator, operation)).or_default().insert(id);
            }
            PeerNotice::Applied { operation, outcome: ApplyOutcome::Durable } => {
                self.recorder.check_held(self.node, operation);
                // The coordinator is at the other end of the link; its operation's id says enough.
                let keys: Vec<KeyId> = {
                    let state = self.recorder.state();
                    let of = state.applies.iter().filter(|((_, id), _)| *id == operation);
                    of.flat_map(|(_, keys)| keys.iter().copied()).collect()
                };
                keys.into_iter().for_each(|key| self.recorder.inspect(self.node, key));
            }
            PeerNotice::Applied { outcome: ApplyOutcome::Refused, .. } => {
                self.recorder.reach("record refused by a replica");
            }
            PeerNotice::Hold { keyspace, key, .. } => {
                self.recorder.sight_bytes(keyspace, &key, &frame.payload);
            }
            PeerNotice::Cancel { .. } => self.recorder.reach("read cancelled"),
            PeerNotice::Gossip(_) => {}
        }
    }

    /// This node tells that a put reached its level: if it coordinated it, it holds it.
    fn on_put_answered(&self, request: u64) {
        let key = self.asked.lock().remove(&request);
        if let Some(key) = key {
            self.recorder.inspect(self.node, key);
        }
    }
}

impl Link for TapLink {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn protocol(&self) -> Protocol {
        self.inner.protocol()
    }

    fn remote(&self) -> String {
        self.inner.remote()
    }

    fn send(&self, frame: Frame) -> Result<(), SendFailure> {
        self.on_sent(&frame);
        self.inner.send(frame)
    }

    fn recv(&self) -> BoxFuture<'_, Option<Frame>> {
        Box::pin(async move {
            let frame = self.inner.recv().await?;
            self.on_received(&frame);
            Some(frame)
        })
    }

    fn send_datagram(&self, datagram: Bytes) -> Result<(), SendFailure> {
        self.inner.send_datagram(datagram)
    }

    fn recv_datagram(&self) -> BoxFuture<'_, Option<Bytes>> {
        self.inner.recv_datagram()
    }

    fn path(&self) -> PathStatistics {
        self.inner.path()
    }

    fn rtt(&self) -> Duration {
        self.inner.rtt()
    }

    fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    fn close(&self, reason: LinkClose) {
        self.inner.close(reason);
    }

    fn closed(&self) -> BoxFuture<'_, String> {
        self.inner.closed()
    }
}
