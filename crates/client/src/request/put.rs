//! Writing a key.

use std::time::Duration;

use atoll_protocol::quorum::Level;
use atoll_protocol::wire::{PutBody, QuorumKind};
use bytes::Bytes;

use super::{RequestFuture, Target, Write};
use crate::context::Context;
use crate::versions::{Versions, Written};

/// A put; await it to run it. Returns [`Written`].
///
/// With a context it supersedes what that context covers. Without one it knows nothing of what is there: in a
/// `siblings` keyspace an existing value stays, and the key then has both. Say [`Put::blind`] where that is meant.
///
/// ```no_run
/// # async fn show(users: atoll_client::Keyspace) -> Result<(), atoll_client::Error> {
/// let found = users.get("u:42").await?;
/// let written = users.put("u:42", "v2").resolves(&found).await?;
/// let written = users.put("u:42", "v3").after(written.context()).await?;
/// assert_eq!(written.siblings(), 1);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// A put that may have been applied is never repeated by itself, because a repeated blind put could add a sibling. Ask
/// [`may_have_applied`](crate::Error::may_have_applied): if it is true, read the key before writing again, or repeat
/// the put with the *same* context: at worst that makes a sibling of an equal value.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Put {
    target: Target,
    write: Write,
}

impl Put {
    pub(super) fn new(target: Target, value: Bytes) -> Self {
        let (body, quorum) = (PutBody::Value, QuorumKind::Strict);
        let write = Write { body, value, context: None, ttl: None, quorum };
        Self { target, write }
    }

    /// Supersedes what was seen at `context`: of a get, of an earlier put, or kept as text.
    pub fn after(mut self, context: &Context) -> Self {
        self.write.context = Some(context.clone());
        self
    }

    /// Supersedes all values in `versions`.
    pub fn resolves(self, versions: &Versions) -> Self {
        self.after(versions.context())
    }

    /// Says in the code what a put without a context does anyway: it may create a sibling.
    pub fn blind(mut self) -> Self {
        self.write.context = None;
        self
    }

    /// Time until the value expires; the keyspace's default otherwise.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.write.ttl = Some(ttl);
        self
    }

    /// Lets other nodes of a replica's datacenter keep the value while the replica is away, and acknowledge in its place:
    /// [`Written::held`] says how many did. Such a write is durable, and handed over when the replica is back; until then
    /// a read at any level may miss it.
    pub fn sloppy(mut self) -> Self {
        self.write.quorum = QuorumKind::Sloppy;
        self
    }

    /// How many replicas must hold it durably; the profile's write level by default.
    pub fn level(mut self, level: Level) -> Self {
        self.target.level = level;
        self
    }

    /// How long it may take, retries included.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.target.deadline = deadline;
        self
    }
}

impl IntoFuture for Put {
    type Output = Result<Written, crate::Error>;
    type IntoFuture = RequestFuture<Written>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let limits = self.target.begin();
            self.target.put(self.write, limits).await
        })
    }
}
