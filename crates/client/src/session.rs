//! What a session has seen, shared by its requests, and the token that carries it elsewhere.
//!
//! Invariants
//! - A request that ended is noted before its caller hears of it.
//! - No lock is held across an await.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use atoll_protocol::ids::Name;
use atoll_protocol::keyspace::Conflict;
use atoll_protocol::session::{SessionFull, SessionPast, SessionTokenError};
use atoll_protocol::version::{self, ContextError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::context::Context;

/// A session as text: everything that it has seen, for another process or another datacenter.
///
/// ```
/// use atoll_client::SessionToken;
///
/// let token: SessionToken = "AQAAAABo9ynVfpLd0Q".parse()?;
/// assert_eq!(token.to_string(), "AQAAAABo9ynVfpLd0Q");
/// assert!("AQAAAABo9ynVfpLd0A".parse::<SessionToken>().is_err());
/// # Ok::<(), atoll_client::SessionParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(SessionPast);

/// Why a text is not a [`SessionToken`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionParseError {
    /// It is not base64url.
    #[error(
        "the session token is not base64url without padding ({detail}); pass it exactly as it was given out"
    )]
    Text {
        /// What the decoder says.
        detail: String,
    },
    /// The bytes in it were altered or cut.
    #[error(transparent)]
    Damaged(#[from] SessionTokenError),
}

/// What a session has seen; the clones share it.
#[derive(Clone, Default)]
pub(crate) struct Past(Arc<Mutex<SessionPast>>);

impl Past {
    pub(crate) fn new(token: SessionToken) -> Self {
        Self(Arc::new(Mutex::new(token.0)))
    }

    pub(crate) fn token(&self) -> SessionToken {
        SessionToken(self.0.lock().clone())
    }

    pub(crate) fn keys(&self) -> usize {
        self.0.lock().len()
    }

    pub(crate) fn forget(&self, keyspace: &Name, key: &Bytes) {
        self.0.lock().forget(keyspace, key);
    }

    /// What a request of the key must be answered with at least.
    pub(crate) fn at_least(
        &self,
        keyspace: &Name,
        key: &Bytes,
    ) -> Result<Option<Bytes>, SessionFull> {
        let past = self.0.lock();
        past.check_room(keyspace, key)?;
        Ok(past.of(keyspace, key).map(version::Context::encode))
    }

    /// Notes the context of an answer. `conflict` is the keyspace's mode as far as it is known: without it everything
    /// that was seen is asked for, which is never too little.
    pub(crate) fn note(
        &self,
        (keyspace, key): (&Name, &Bytes),
        context: &Context,
        conflict: Option<Conflict>,
    ) -> Result<(), ContextError> {
        let seen = version::Context::decode_any(&context.to_bytes())?;
        self.0.lock().note(keyspace, key, (&seen, conflict.unwrap_or_default()));
        Ok(())
    }
}

#[cfg(test)]
impl SessionToken {
    pub(crate) fn new(past: SessionPast) -> Self {
        Self(past)
    }
}

impl FromStr for SessionToken {
    type Err = SessionParseError;
    fn from_str(text: &str) -> Result<Self, SessionParseError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|error| SessionParseError::Text { detail: error.to_string() })?;
        Ok(Self(SessionPast::decode(&bytes)?))
    }
}

impl fmt::Display for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&URL_SAFE_NO_PAD.encode(self.0.encode()))
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionToken({} keys)", self.0.len())
    }
}
