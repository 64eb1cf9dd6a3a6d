//! Checks of keys, sizes and contexts, before anything is done.

use atoll_protocol::keyspace::Keyspace;
use atoll_protocol::limits::KEY_BYTES_MAX;
use atoll_protocol::version::Context;
use atoll_protocol::wire::Invalid;
use bytes::Bytes;

use crate::coordinator::Target;

/// Checks the length of a key.
///
/// # Errors
/// [`Invalid::EmptyKey`], [`Invalid::KeyTooLong`].
pub(super) fn check_key(key: &[u8]) -> Result<(), Invalid> {
    if key.is_empty() {
        return Err(Invalid::EmptyKey);
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(Invalid::KeyTooLong { got: saturating_u32(key.len()) });
    }
    Ok(())
}

/// Checks key plus value against the keyspace's cap.
///
/// # Errors
/// [`Invalid::TooLarge`].
pub(super) fn check_size(keyspace: &Keyspace, key: &[u8], value: &[u8]) -> Result<(), Invalid> {
    let got = saturating_u32(key.len() + value.len());
    let limit = keyspace.record_bytes_max;
    if got > limit { Err(Invalid::TooLarge { limit, got }) } else { Ok(()) }
}

/// Reads the context that came with a put; without one the put is blind.
///
/// # Errors
/// [`Invalid::Context`].
pub(super) fn check_context(target: &Target, context: Option<&Bytes>) -> Result<Context, Invalid> {
    let token = target.stored.token().0;
    match context {
        None => Ok(Context::new(token)),
        Some(bytes) => Context::decode(bytes, token)
            .map_err(|error| Invalid::Context { detail: error.to_string() }),
    }
}

/// Reads what the session of a request has seen of its key.
///
/// # Errors
/// [`Invalid::Context`].
pub(super) fn check_session(
    target: &Target,
    session: Option<&Bytes>,
) -> Result<Option<Context>, Invalid> {
    session.map(|bytes| check_context(target, Some(bytes))).transpose()
}

fn saturating_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
