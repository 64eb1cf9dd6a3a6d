//! Requests: a keyspace handle, and one builder per verb that runs when it is awaited.
//!
//! `get.rs`, `put.rs`, `delete.rs` and `update.rs` have the builders. Here is the handle, and what they share: the key
//! with its level and deadline, and the two requests on the wire that all four are made of.
//!
//! Invariants
//! - Building a request does nothing; awaiting it runs it once.
//! - A builder owns all that it needs: it can be moved to another task, and dropping its future forgets the request.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::ids::{Name, NameError};
use atoll_protocol::limits::KEY_BYTES_MAX;
use atoll_protocol::quorum::Level;
use atoll_protocol::version::ContextError;
use atoll_protocol::wire::{GetRequest, Invalid, PutBody, PutRequest, QuorumKind, Reply, Request};
use bytes::Bytes;

use crate::context::Context;
use crate::dispatch::{Aim, Dispatcher, Job, Limits};
use crate::error::{Error, Operation};
use crate::profile::Profile;
use crate::routing;
use crate::session::Past;
use crate::versions::{Value, Versions, Written};

mod delete;
mod get;
mod put;
mod update;

pub use delete::Delete;
pub use get::Get;
pub use put::Put;
pub use update::{Resolution, Update, Updated};

/// What a builder becomes when it is awaited.
pub type RequestFuture<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// A handle to one keyspace. Cheap to clone.
#[derive(Clone)]
pub struct Keyspace {
    dispatcher: Arc<Dispatcher>,
    name: Result<Name, NameError>,
    profile: Arc<Profile>,
    /// The session that the requests belong to.
    past: Option<Past>,
}

impl Keyspace {
    pub(crate) fn new(dispatcher: Arc<Dispatcher>, name: &str, profile: Arc<Profile>) -> Self {
        Self { dispatcher, name: Name::new(name), profile, past: None }
    }

    /// The same keyspace, for requests of a session.
    pub(crate) fn within(self, past: Past) -> Self {
        Self { past: Some(past), ..self }
    }

    /// Reads a key.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Get {
        Get::new(self.target(key.as_ref(), self.profile.read_level))
    }

    /// Writes a key.
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl Into<Bytes>) -> Put {
        Put::new(self.target(key.as_ref(), self.profile.write_level), value.into())
    }

    /// Deletes a key.
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Delete {
        Delete::new(self.target(key.as_ref(), self.profile.write_level))
    }

    /// Reads a key, lets `resolve` make one value of what is there, and writes it with the context of the read. See
    /// [`Update`].
    pub fn update<R: Into<Resolution>>(
        &self,
        key: impl AsRef<[u8]>,
        mut resolve: impl FnMut(&[Value]) -> R + Send + 'static,
    ) -> Update {
        let target = self.target(key.as_ref(), self.profile.write_level);
        let resolve = move |values: &[Value]| resolve(values).into();
        Update::new(target, self.profile.read_level, Box::new(resolve))
    }

    /// The same keyspace with other levels, limits and failover.
    #[must_use]
    pub fn with(&self, profile: Profile) -> Self {
        Self { profile: Arc::new(profile), ..self.clone() }
    }

    /// Its name, as it was given.
    pub fn name(&self) -> &str {
        match &self.name {
            Ok(name) => name.as_str(),
            Err(error) => &error.text,
        }
    }

    fn target(&self, key: &[u8], level: Level) -> Target {
        let (key, deadline) = (Bytes::copy_from_slice(key), self.profile.deadline);
        Target { keyspace: self.clone(), key, level, deadline }
    }
}

impl fmt::Debug for Keyspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyspace").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// The key of a request, with its level and deadline.
#[derive(Clone, Debug)]
struct Target {
    keyspace: Keyspace,
    key: Bytes,
    level: Level,
    deadline: Duration,
}

/// What a put carries besides its key.
#[derive(Clone, Debug)]
struct Write {
    body: PutBody,
    value: Bytes,
    context: Option<Context>,
    ttl: Option<Duration>,
    quorum: QuorumKind,
}

impl Target {
    /// Starts the clock.
    fn begin(&self) -> Limits {
        Limits::begin(&self.keyspace.profile, self.deadline)
    }

    fn name(&self) -> Result<Name, Error> {
        self.keyspace.name.clone().map_err(|error| Error::message(&error))
    }

    /// Runs one get at `level`.
    async fn get(&self, level: Level, limits: Limits) -> Result<Versions, Error> {
        let (keyspace, key) = (self.name()?, self.key.clone());
        let at_least = self.at_least(&keyspace)?;
        let request = Request::Get(GetRequest { keyspace, key, level, at_least });
        let job = self.job(request, Bytes::new(), (Operation::Read, level), limits)?;
        let answer = self.keyspace.dispatcher.run(&job).await?;
        let Reply::Get { context, cells, .. } = &answer.reply else {
            return Err(answer.unexpected());
        };
        let found = Versions::from_reply(context.clone(), cells, answer.payload.clone());
        let Some(found) = found else {
            return Err(answer.malformed("the values do not fill the payload"));
        };
        match self.note(found.context(), &limits).await {
            Ok(()) => Ok(found),
            Err(error) => Err(answer.malformed(&error.to_string())),
        }
    }

    /// Runs one put.
    async fn put(&self, write: Write, limits: Limits) -> Result<Written, Error> {
        let Write { body, value, context, ttl, quorum } = write;
        let (keyspace, key, level) = (self.name()?, self.key.clone(), self.level);
        let context = context.as_ref().map(Context::to_bytes);
        let at_least = self.at_least(&keyspace)?;
        let put = PutRequest { keyspace, key, level, context, body, ttl, quorum, at_least };
        let request = Request::Put(put);
        let job = self.job(request, value, (Operation::Write, level), limits)?;
        let answer = self.keyspace.dispatcher.run(&job).await?;
        let Reply::Put(acknowledged) = &answer.reply else { return Err(answer.unexpected()) };
        let written = Written::new(acknowledged.clone());
        match self.note(written.context(), &limits).await {
            Ok(()) => Ok(written),
            Err(error) => Err(answer.malformed(&error.to_string())),
        }
    }

    /// What the session has seen of the key.
    fn at_least(&self, keyspace: &Name) -> Result<Option<Bytes>, Error> {
        match &self.keyspace.past {
            Some(past) => Ok(past.at_least(keyspace, &self.key)?),
            None => Ok(None),
        }
    }

    /// Tells the session what was answered.
    async fn note(&self, context: &Context, limits: &Limits) -> Result<(), ContextError> {
        if let (Some(past), Ok(name)) = (&self.keyspace.past, &self.keyspace.name) {
            let conflict = self.keyspace.dispatcher.conflict(name, limits).await;
            past.note((name, &self.key), context, conflict)?;
        }
        Ok(())
    }

    fn job(
        &self,
        request: Request,
        payload: Bytes,
        (operation, level): (Operation, Level),
        limits: Limits,
    ) -> Result<Job, Error> {
        let (keyspace, key) = (self.name()?, self.key.clone());
        if key.is_empty() {
            return Err(Error::Invalid(Invalid::EmptyKey));
        }
        if key.len() > KEY_BYTES_MAX {
            let got = u32::try_from(key.len()).unwrap_or(u32::MAX);
            return Err(Error::Invalid(Invalid::KeyTooLong { got }));
        }
        let reach = routing::reach(level, self.keyspace.profile.dc_failover);
        let aim = Aim::Key { keyspace, key, reach };
        Ok(Job { request, payload, operation, aim, limits })
    }
}

impl Write {
    fn tombstone(context: Option<Context>) -> Self {
        let (body, value) = (PutBody::Tombstone, Bytes::new());
        Self { body, value, context, ttl: None, quorum: QuorumKind::Strict }
    }
}
