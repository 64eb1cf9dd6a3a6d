//! Reading a key.

use std::time::Duration;

use atoll_protocol::quorum::Level;

use super::{RequestFuture, Target};
use crate::versions::Versions;

/// A get; await it to run it. Returns [`Versions`].
///
/// ```no_run
/// # async fn show(users: atoll_client::Keyspace) -> Result<(), atoll_client::Error> {
/// use atoll_client::Level;
///
/// let found = users.get("u:42").level(Level::LocalOne).await?;
/// if let Some(bytes) = found.bytes() {
///     println!("{} bytes", bytes.len());
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// A get changes nothing, so it is repeated at other replicas within its deadline and the retry budget;
/// [`may_have_applied`](crate::Error::may_have_applied) is always false.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Get {
    target: Target,
}

impl Get {
    pub(super) fn new(target: Target) -> Self {
        Self { target }
    }

    /// How many replicas must answer; the profile's read level by default.
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

impl IntoFuture for Get {
    type Output = Result<Versions, crate::Error>;
    type IntoFuture = RequestFuture<Versions>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let limits = self.target.begin();
            self.target.get(self.target.level, limits).await
        })
    }
}
