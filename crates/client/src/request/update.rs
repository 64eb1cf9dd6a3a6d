//! Read, resolve, write: the loop that every application of a `siblings` keyspace needs.
//!
//! 1. Get the key; hand its values to the resolver; put the result with the context of the get.
//! 2. If the reply says that there are siblings, somebody wrote between the two. Get again: if there is more than one
//!    value, the resolver sees them all, our own among them, and step 1 is repeated.
//! 3. After [`ROUNDS_MAX`] rounds it gives up with [`Error::Conflict`]. Nothing is lost then: every round was written,
//!    and the siblings wait for the next reader.
//!
//! Invariants
//! - A value that the resolver has not seen is never superseded.
//! - One deadline holds for all rounds.

use std::fmt;
use std::time::Duration;

use atoll_protocol::quorum::Level;
use atoll_protocol::wire::{PutBody, QuorumKind};
use bytes::Bytes;

use super::{RequestFuture, Target, Write};
use crate::context::Context;
use crate::error::Error;
use crate::versions::{Value, Versions};

/// Rounds of one update. A round is two requests: at 50 ms each, five fill half of the default deadline, and a key on
/// which somebody still overtakes has more writers than merging can serve.
const ROUNDS_MAX: u32 = 5;

/// What a resolver decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// This is the value now.
    Put(Bytes),
    /// There is to be no value.
    Delete,
}

/// An update; await it to run it. Returns [`Updated`].
///
/// The resolver gets all values of the key: none for a new key, several when writes were concurrent. It returns
/// [`Bytes`], a `Vec<u8>` or a `String`, or an `Option` of one where `None` deletes. It may be called several times,
/// each time with all values that are there, so it must not count its calls.
///
/// ```no_run
/// # async fn show(users: atoll_client::Keyspace) -> Result<(), atoll_client::Error> {
/// let updated = users
///     .update("visits", |values| {
///         let seen = |value: &atoll_client::Value| value.bytes().len();
///         "x".repeat(values.iter().map(seen).max().unwrap_or(0) + 1)
///     })
///     .await?;
/// println!("after {} round(s)", updated.rounds());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of get and put, and [`Error::Conflict`] when other writers keep overtaking.
#[must_use = "a request does nothing until it is awaited"]
pub struct Update {
    target: Target,
    read_level: Level,
    resolve: Resolver,
}

/// What an update did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Updated {
    context: Context,
    rounds: u32,
}

pub(super) type Resolver = Box<dyn FnMut(&[Value]) -> Resolution + Send>;

impl Update {
    pub(super) fn new(target: Target, read_level: Level, resolve: Resolver) -> Self {
        Self { target, read_level, resolve }
    }

    /// Level of the reads and the writes.
    pub fn level(mut self, level: Level) -> Self {
        self.read_level = level;
        self.target.level = level;
        self
    }

    /// How long it may take, all rounds included.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.target.deadline = deadline;
        self
    }

    async fn run(mut self) -> Result<Updated, Error> {
        let limits = self.target.begin();
        let mut found = self.target.get(self.read_level, limits).await?;
        for rounds in 1..=ROUNDS_MAX {
            let write = match (self.resolve)(found.values()) {
                Resolution::Put(value) => {
                    let context = Some(found.context().clone());
                    let (body, quorum) = (PutBody::Value, QuorumKind::Strict);
                    Write { body, value, context, ttl: None, quorum }
                }
                Resolution::Delete => match found {
                    Versions::None { context } => return Ok(Updated { context, rounds }),
                    Versions::One { context, .. } | Versions::Many { context, .. } => {
                        Write::tombstone(Some(context))
                    }
                },
            };
            let written = self.target.put(write, limits).await;
            let written = written.map_err(|error| after_rounds(rounds - 1, error))?;
            let context = written.context().clone();
            if written.siblings() <= 1 {
                return Ok(Updated { context, rounds });
            }
            let again = self.target.get(self.read_level, limits).await;
            found = again.map_err(|error| after_rounds(rounds, error))?;
            if !found.is_conflict() {
                // The sibling was a deletion, or somebody has merged already.
                return Ok(Updated { context: found.context().clone(), rounds });
            }
        }
        Err(Error::Conflict { rounds: ROUNDS_MAX, last: None })
    }
}

/// What `error` means once `rounds` have been written.
fn after_rounds(rounds: u32, error: Error) -> Error {
    match rounds {
        0 => error,
        rounds => Error::Conflict { rounds, last: Some(Box::new(error)) },
    }
}

impl Updated {
    /// Covers the result: pass it to the write that follows.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Rounds of get, resolve and put that it took; more than one means that other writers came between.
    pub fn rounds(&self) -> u32 {
        self.rounds
    }
}

impl IntoFuture for Update {
    type Output = Result<Updated, Error>;
    type IntoFuture = RequestFuture<Updated>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl From<Bytes> for Resolution {
    fn from(value: Bytes) -> Self {
        Self::Put(value)
    }
}

impl From<Vec<u8>> for Resolution {
    fn from(value: Vec<u8>) -> Self {
        Self::Put(value.into())
    }
}

impl From<String> for Resolution {
    fn from(value: String) -> Self {
        Self::Put(value.into())
    }
}

impl From<&'static str> for Resolution {
    fn from(value: &'static str) -> Self {
        Self::Put(value.into())
    }
}

impl<T: Into<Bytes>> From<Option<T>> for Resolution {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Delete, |value| Self::Put(value.into()))
    }
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, read_level, .. } = self;
        f.debug_struct("Update")
            .field("target", target)
            .field("read_level", read_level)
            .finish_non_exhaustive()
    }
}
