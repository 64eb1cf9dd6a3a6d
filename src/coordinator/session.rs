//! A put with a session: before it is minted, the own replica has seen what the session saw.
//!
//! Otherwise the new write would stand beside writes that its session knows, as if it had been made before them
//! (promise P4: monotonic writes, writes follow reads). What the session saw is fetched and joined; it supersedes nothing.

use atoll_protocol::ids::DcIndex;
use atoll_protocol::limits::Limit;
use atoll_protocol::quorum::Level;
use atoll_protocol::record::Record;
use atoll_protocol::time::MonoTime;
use atoll_protocol::version::Context;
use atoll_protocol::wire::Failure;
use atoll_seeded_bug::{Mutant, seeded_bug};
use tokio::sync::oneshot;

use super::{Coordinator, Get, Put, Target, overloaded};
use crate::replica::{Reach, ReplicaError};

impl Coordinator {
    /// Returns once the own replica has durably seen what the session saw.
    ///
    /// # Errors
    /// [`Failure::SessionBehind`] if nobody who answers has; what a get or storage says otherwise. Nothing of the put was
    /// written.
    pub(super) async fn catch_up(&self, put: &Put) -> Result<(), Failure> {
        let Put { target, local, deadline, at_least: Some(session), .. } = put else {
            return Ok(());
        };
        let session = &self.unpurged(target, session);
        let own = self
            .parts
            .replica
            .read(&target.stored, Reach::Disk)
            .map_err(|error| storage(&error))?;
        let has_seen = match &own {
            Some(record) => record.has_seen(session),
            None => session.entries().next().is_none(),
        };
        if has_seen || seeded_bug(Mutant::SessionPutForgotten) {
            return Ok(());
        }
        let found = self.fetch(target, session, (*local, *deadline)).await?;
        let applied = self.parts.replica.apply(target.stored.clone(), found.encode());
        match self.parts.env.until(*deadline, applied).await {
            Some(Ok(_)) => Ok(()),
            Some(Err(ReplicaError::Overloaded(limit))) => Err(overloaded(limit)),
            Some(Err(ReplicaError::Stopping)) => Err(self.stopping()),
            Some(Err(error)) => Err(storage(&error)),
            None => Err(overloaded(Limit::StripeQueue)),
        }
    }

    /// What of a session's past is looked for: this node may have seen, as everybody has, what was purged since.
    pub(super) fn unpurged(&self, target: &Target, session: &Context) -> Context {
        let replica = &self.parts.replica;
        let Some(frontier) = replica.frontiers().of(&target.stored, replica.partitions()) else {
            return session.clone();
        };
        let unseen = frontier.unseen(session, target.stored.token().0);
        // What this node has seen counts only if its own record is part of the answer.
        let is_less = unseen.entries().count() < session.entries().count();
        if is_less && replica.read(&target.stored, Reach::Disk).is_err() {
            session.clone()
        } else {
            unseen
        }
    }

    /// A record that has seen what the session saw.
    async fn fetch(
        &self,
        target: &Target,
        session: &Context,
        (local, deadline): (DcIndex, MonoTime),
    ) -> Result<Record, Failure> {
        let (sender, answered) = oneshot::channel();
        let at_least = Some(session.clone());
        let get = Get { target: target.clone(), level: Level::One, local, at_least, deadline };
        self.get(get, move |result| {
            // Whoever put may be gone.
            let _ = sender.send(result);
        });
        match answered.await {
            Ok(Ok(found)) => Ok(found.record),
            Ok(Err(Failure::Deadline { answered, .. })) => Err(Failure::SessionBehind { answered }),
            Ok(Err(Failure::Unavailable { alive, .. })) => {
                Err(Failure::SessionBehind { answered: alive })
            }
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(self.stopping()),
        }
    }
}

fn storage(error: &ReplicaError) -> Failure {
    Failure::Storage { detail: error.to_string() }
}
