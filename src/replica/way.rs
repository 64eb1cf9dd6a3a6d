//! The ways of a record from elsewhere into its stripe; what gives way to requests, and how long background work rests.

use std::time::Duration;

use atoll_protocol::time::MonoTime;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::stripe::{Job, Then};
use super::{Applied, Replica, ReplicaError, StoredKey, overloaded};

impl Replica {
    /// [Applies](Replica::apply) a record that a put or get brought, to which background work gives way, and tells `then`
    /// what became of it. That is called by whoever writes, without a task that waits in between: it must not wait itself.
    /// Not called if the node stops first.
    pub fn apply_then(
        &self,
        key: StoredKey,
        record: Bytes,
        then: impl FnOnce(Result<Applied, ReplicaError>) + Send + 'static,
    ) {
        let shared = self.shared.clone();
        let since = shared.env.mono();
        let then = Box::new(move |applied| {
            let now = shared.env.mono();
            shared.foreground.note(now, now.since(since));
            then(applied);
        });
        self.submit(key, record, then);
    }

    /// [`apply_then`](Replica::apply_then) for who waits.
    ///
    /// # Errors
    /// As [`apply`](Replica::apply).
    pub async fn apply_for_request(
        &self,
        key: StoredKey,
        record: Bytes,
    ) -> Result<Applied, ReplicaError> {
        let (then, applied) = awaited();
        self.apply_then(key, record, then);
        applied.await
    }

    /// Hands a record from elsewhere to its stripe; `then` is also told if that takes no more.
    pub(super) fn submit(&self, key: StoredKey, record: Bytes, then: Then) {
        let refused = self.enqueue(Job::Apply { key, record, then }).err();
        if let Some(Job::Apply { then, .. }) = refused.map(|job| *job) {
            then(Err(overloaded()));
        }
    }

    /// Lets requests go before background work: rests for as long as work since `began` asks for.
    pub async fn yield_to_requests(&self, began: MonoTime) {
        let took = self.shared.env.mono().since(began);
        self.shared.env.sleep(self.rest_after(took)).await;
    }

    /// For how long background work that has just worked for `took` is to rest.
    pub fn rest_after(&self, took: Duration) -> Duration {
        self.shared.foreground.rest(self.shared.env.mono(), took)
    }

    /// The same for work that goes on for several peers at once: their rests are one after the other.
    pub fn rest_in_turn_after(&self, began: MonoTime) -> Duration {
        let now = self.shared.env.mono();
        self.shared.foreground.rest_in_turn(now, now.since(began))
    }
}

/// An end to be told with what became of a record, and one to wait with.
pub(super) fn awaited() -> (Then, impl Future<Output = Result<Applied, ReplicaError>>) {
    let (told, answer) = oneshot::channel();
    let then = Box::new(move |applied| {
        // Who asked may have gone.
        let _ = told.send(applied);
    });
    (then, async { answer.await.unwrap_or(Err(ReplicaError::Stopping)) })
}
