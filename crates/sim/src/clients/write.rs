//! How a client writes.

use std::time::Duration;

use atoll_protocol::limits::SIBLINGS_MAX;
use atoll_protocol::quorum::Level;
use atoll_protocol::version::Context;
use atoll_protocol::wire::{self, PutBody, PutRequest, QuorumKind, Reply, Request};
use bytes::Bytes;

use super::Client;
use super::ask::internal;
use crate::history::{KeyId, OpId, OpKind, Outcome};
use crate::record::value_bytes;

impl Client {
    /// Writes a fresh value of about this length.
    pub async fn put(
        &mut self,
        key: KeyId,
        level: Level,
        context: Option<Context>,
        (length, expires): (usize, bool),
    ) {
        let (value, length) = self.recorder.fresh_value(key, length);
        let kind = OpKind::Put { value, length, context: context.clone(), expires };
        let ttl = expires.then_some(Duration::from_secs(3));
        let write = (PutBody::Value, value_bytes(value, length), ttl);
        self.write(key, level, (kind, context), write).await;
    }

    /// Deletes what `context` has seen.
    pub async fn delete(&mut self, key: KeyId, level: Level, context: Option<Context>) {
        let kind = OpKind::Delete { context: context.clone() };
        self.write(key, level, (kind, context), (PutBody::Tombstone, Bytes::new(), None)).await;
    }

    async fn write(
        &mut self,
        key: KeyId,
        level: Level,
        (kind, context): (OpKind, Option<Context>),
        (body, value, ttl): (PutBody, Bytes, Option<Duration>),
    ) {
        let Some((name, bytes, token)) = self.names(key) else { return };
        let node = self.choose_node().await;
        let is_sloppy = self.chance.per_mille(self.sloppy_per_mille);
        let quorum = if is_sloppy { QuorumKind::Sloppy } else { QuorumKind::Strict };
        let context = context.map(|context| context.encode());
        let request = Request::Put(PutRequest {
            keyspace: name,
            key: bytes,
            level,
            context: context.clone(),
            body,
            ttl,
            quorum,
            at_least: self.at_least(key),
        });
        let op = self.invoke(node, key, level, kind);
        let outcome = match self.ask(node, &request, value).await {
            None => Outcome::NoAnswer,
            Some((Reply::Put(acknowledged), _)) => {
                self.check_siblings(context.as_ref(), &acknowledged);
                match Context::decode(&acknowledged.context, token) {
                    Ok(context) => {
                        self.saw(key, &context);
                        if acknowledged.held > 0 {
                            self.on_held(op, level, &acknowledged, quorum);
                        }
                        match acknowledged.acked {
                            // Fallbacks alone: of the replicas nothing is promised.
                            0 => Outcome::NoAnswer,
                            acked => Outcome::Acked { context, acked },
                        }
                    }
                    Err(error) => internal(&error.to_string()),
                }
            }
            Some((Reply::Failed(failure), _)) => Outcome::Failed(failure),
            Some((other, _)) => internal(&format!("{other:?}")),
        };
        self.note_refusal(&outcome);
        self.recorder.complete(op, outcome);
    }

    /// Fallbacks count for durability and not for reads: what is promised is what the replicas alone are good for.
    fn on_held(
        &self,
        op: OpId,
        level: Level,
        acknowledged: &wire::Acknowledged,
        asked: QuorumKind,
    ) {
        self.recorder.reach("put held by a fallback");
        let (acked, held) = (acknowledged.acked, acknowledged.held);
        let all = {
            let state = self.recorder.state();
            let key = state.history.ops.get(op.0).map(|op| op.key);
            key.and_then(|key| state.history.keys.get(key.0)).map(|key| key.owners.len())
        };
        if asked == QuorumKind::Strict {
            let detail = format!("a strict put at {level} was acknowledged with {held} fallbacks");
            self.recorder.find("I10/P1 strict quorum", detail);
        }
        if all.is_some_and(|all| usize::from(acked + held) > all) {
            let detail = format!("{acked} replicas and {held} fallbacks are more than replicas");
            self.recorder.find("I10/P1 acknowledgements", detail);
        }
        if let Some(op) = self.recorder.state().history.ops.get_mut(op.0) {
            op.level = Level::One;
        }
    }

    /// A put that covers nothing must not leave more siblings than the limit.
    fn check_siblings(&self, context: Option<&Bytes>, acknowledged: &wire::Acknowledged) {
        let siblings = usize::from(acknowledged.siblings);
        if siblings == SIBLINGS_MAX {
            self.recorder.reach("siblings at their limit");
        }
        if context.is_none() && siblings > SIBLINGS_MAX {
            let detail = format!("a blind put was acknowledged that left {siblings} siblings");
            self.recorder.find("I6/P9 sibling bound", detail);
        }
    }
}
