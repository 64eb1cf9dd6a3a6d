//! What gives way to requests, and what are requests: how long background work rests.

use std::time::Duration;

use atoll_protocol::time::MonoTime;
use bytes::Bytes;

use super::{Applied, Replica, ReplicaError, StoredKey};

impl Replica {
    /// [Applies](Replica::apply) a record that a put or get brought: background work gives way to it.
    ///
    /// # Errors
    /// As [`apply`](Replica::apply).
    pub async fn apply_for_request(
        &self,
        key: StoredKey,
        record: Bytes,
    ) -> Result<Applied, ReplicaError> {
        let since = self.shared.env.mono();
        let applied = self.apply(key, record).await;
        let now = self.shared.env.mono();
        self.shared.foreground.note(now, now.since(since));
        applied
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
