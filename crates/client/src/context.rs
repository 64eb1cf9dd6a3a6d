//! The context: what a client has seen of one key, opaque.
//!
//! Every get and every put returns one; a put that carries it supersedes what it covers and leaves alone what its
//! holder never saw. It may be kept as text for as long as one likes, and used by another process.
//!
//! Invariants
//! - The bytes travel unchanged; this side checks their checksum and nothing else. That a context belongs to its key is
//!   for the node to check.

use std::fmt;
use std::str::FromStr;

use atoll_protocol::limits::VERSION_ENTRIES_MAX;
use atoll_protocol::version::{self, ContextError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

/// Longest context, in bytes: 16 for each incarnation and 23 around them.
const CONTEXT_BYTES_MAX: usize = 16 * VERSION_ENTRIES_MAX + 23;

/// Longest context as text: base64 makes 4 characters of 3 bytes.
const CONTEXT_TEXT_MAX: usize = CONTEXT_BYTES_MAX.div_ceil(3) * 4;

/// What was seen of one key. Cheap to clone.
///
/// ```
/// use atoll_client::Context;
///
/// let text = "AQcAAAAAAAAAAAEAAAAAAAABAKoAAAAAAAAAAwAAAAAAAAB75wHv";
/// let context = Context::from_base64url(text)?;
/// assert_eq!(context.to_base64url(), text);
///
/// let damaged = text.replace('w', "x");
/// assert!(Context::from_base64url(&damaged).is_err());
/// # Ok::<(), atoll_client::ContextParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Context(Bytes);

/// Why a text is not a [`Context`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContextParseError {
    /// It is longer than any context.
    #[error("the context has {got} characters, the longest has {CONTEXT_TEXT_MAX}")]
    TooLong {
        /// Its length.
        got: usize,
    },
    /// It is not base64url.
    #[error(
        "the context is not base64url without padding ({detail}); pass it exactly as it was printed"
    )]
    Text {
        /// What the decoder says.
        detail: String,
    },
    /// The bytes in it were altered or cut.
    #[error(transparent)]
    Damaged(ContextError),
}

impl Context {
    /// The context as text of `[A-Za-z0-9_-]`, for URLs, command lines and columns.
    pub fn to_base64url(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }

    /// Reads [`Self::to_base64url`] back.
    ///
    /// # Errors
    /// [`ContextParseError`] for anything else. A context of another key passes here and is refused by the node.
    pub fn from_base64url(text: &str) -> Result<Self, ContextParseError> {
        if text.len() > CONTEXT_TEXT_MAX {
            return Err(ContextParseError::TooLong { got: text.len() });
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|error| ContextParseError::Text { detail: error.to_string() })?;
        // The token is not known here; every other check of the protocol comes before it.
        match version::Context::decode(&bytes, 0) {
            Ok(_) | Err(ContextError::OtherKey) => Ok(Self(Bytes::from(bytes))),
            Err(damaged @ ContextError::Damaged { .. }) => Err(ContextParseError::Damaged(damaged)),
        }
    }

    /// A context that a node returned.
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes that a put carries.
    pub(crate) fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }
}

impl FromStr for Context {
    type Err = ContextParseError;
    fn from_str(text: &str) -> Result<Self, ContextParseError> {
        Self::from_base64url(text)
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_base64url())
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({} bytes)", self.0.len())
    }
}
