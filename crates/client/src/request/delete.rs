//! Deleting a key.
//!
//! A deletion is a write of a tombstone. In a `siblings` keyspace a tombstone without a context would delete nothing:
//! like any blind put it stands beside the values that it has not seen, and readers go on seeing them. So a delete
//! without a context reads first, at its own level, and deletes exactly what it saw: a value that somebody writes
//! meanwhile survives, which is what its writer was promised (P2). Where nothing is there nothing is written, because
//! a lone tombstone would have to be kept, repaired and purged for no reader's benefit.
//!
//! In an `lww` keyspace the latest write wins, so a tombstone needs neither a context nor a read.

use std::time::Duration;

use atoll_protocol::keyspace::Conflict;
use atoll_protocol::quorum::Level;
use atoll_protocol::wire::QuorumKind;

use super::{RequestFuture, Target, Write};
use crate::context::Context;
use crate::error::Error;
use crate::versions::{Deleted, Versions};

/// A delete; await it to run it. Returns [`Deleted`].
///
/// With a context it deletes what that context covers. Without one it reads the key first, at the same level, and
/// deletes what it saw; if nothing is there it succeeds without writing. In an `lww` keyspace it never reads.
///
/// ```no_run
/// # async fn show(users: atoll_client::Keyspace) -> Result<(), atoll_client::Error> {
/// users.delete("u:42").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Like a put: see [`may_have_applied`](crate::Error::may_have_applied).
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Delete {
    target: Target,
    context: Option<Context>,
    quorum: QuorumKind,
}

impl Delete {
    pub(super) fn new(target: Target) -> Self {
        Self { target, context: None, quorum: QuorumKind::Strict }
    }

    /// Deletes what was seen at `context`, without reading.
    pub fn after(mut self, context: &Context) -> Self {
        self.context = Some(context.clone());
        self
    }

    /// Deletes all values in `versions`, without reading.
    pub fn resolves(self, versions: &Versions) -> Self {
        self.after(versions.context())
    }

    /// Lets other nodes of a replica's datacenter keep the tombstone while the replica is away: see
    /// [`Put::sloppy`](super::Put::sloppy).
    pub fn sloppy(mut self) -> Self {
        self.quorum = QuorumKind::Sloppy;
        self
    }

    /// How many replicas must hold the tombstone durably, and how many must answer the read before it; the profile's
    /// write level by default.
    pub fn level(mut self, level: Level) -> Self {
        self.target.level = level;
        self
    }

    /// How long it may take, read and retries included.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.target.deadline = deadline;
        self
    }

    async fn run(self) -> Result<Deleted, Error> {
        let limits = self.target.begin();
        let mut context = self.context;
        if context.is_none() {
            let keyspace = self.target.name()?;
            let conflict = self.target.keyspace.dispatcher.conflict(&keyspace, &limits).await;
            if conflict != Some(Conflict::Lww) {
                let found = self.target.get(self.target.level, limits).await?;
                if let Versions::None { context } = found {
                    return Ok(Deleted::Nothing { context });
                }
                context = Some(found.context().clone());
            }
        }
        let write = Write { quorum: self.quorum, ..Write::tombstone(context) };
        let written = self.target.put(write, limits).await?;
        Ok(Deleted::Marked(written))
    }
}

impl IntoFuture for Delete {
    type Output = Result<Deleted, Error>;
    type IntoFuture = RequestFuture<Deleted>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
