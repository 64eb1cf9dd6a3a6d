//! The control-plane codec: the one place that knows bincode.
//!
//! Messages are `serde` types; their bytes are bincode 2.0.1 in its fixed-width legacy configuration, which other
//! codecs can read. Frames bound what is decoded; this module also refuses bytes after the end, so that every
//! truncation and every extension of a message is an error.
//!
//! Invariants
//! - Decoding never panics and never allocates beyond [`META_BYTES_MAX`].

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::META_BYTES_MAX;

/// Why bytes are not the expected message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes do not decode.
    #[error("malformed message: {detail}")]
    Malformed {
        /// What the codec says.
        detail: String,
    },
    /// The message ended before the bytes did.
    #[error("malformed message: {extra} bytes after its end")]
    Trailing {
        /// How many bytes are left over.
        extra: usize,
    },
    /// The message does not fit a frame.
    #[error("message {part} of {got} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// `meta` or `payload`.
        part: &'static str,
        /// Its length in bytes.
        got: usize,
        /// The cap in bytes.
        limit: usize,
    },
}

fn configuration() -> impl bincode::config::Config {
    bincode::config::legacy().with_limit::<META_BYTES_MAX>()
}

/// Encodes `message`.
///
/// # Errors
/// [`CodecError::TooLarge`] if it does not fit the meta part of a frame.
pub fn encode<M: Serialize>(message: &M) -> Result<Bytes, CodecError> {
    let bytes = bincode::serde::encode_to_vec(message, configuration())
        .map_err(|error| CodecError::Malformed { detail: error.to_string() })?;
    if bytes.len() > META_BYTES_MAX {
        return Err(CodecError::TooLarge { part: "meta", got: bytes.len(), limit: META_BYTES_MAX });
    }
    Ok(Bytes::from(bytes))
}

/// Decodes one message that fills `bytes` exactly.
///
/// # Errors
/// [`CodecError`] for anything that [`encode`] does not produce.
pub fn decode<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, CodecError> {
    let (message, used) = decode_prefix(bytes)?;
    if used != bytes.len() {
        return Err(CodecError::Trailing { extra: bytes.len() - used });
    }
    Ok(message)
}

/// Decodes one message at the beginning of `bytes`, and tells how many of them it takes.
///
/// # Errors
/// [`CodecError`] if they do not begin with such a message.
pub fn decode_prefix<M: DeserializeOwned>(bytes: &[u8]) -> Result<(M, usize), CodecError> {
    let (message, used) = bincode::serde::decode_from_slice(bytes, configuration())
        .map_err(|error| CodecError::Malformed { detail: error.to_string() })?;
    assert!(used <= bytes.len(), "the codec reads what it was given");
    Ok((message, used))
}

#[cfg(test)]
mod tests;
