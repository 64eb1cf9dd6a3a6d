//! What a session has seen: per key the join of the contexts of its answers.
//!
//! 1. A get or put of a session carries what was seen of its key as `at_least`; the answer's context is noted.
//! 2. The whole travels as a token: to another process, or to another datacenter.
//!
//! ```text
//! offset size                 all integers little-endian
//!      0    1 version         1
//!      1    4 key count
//!   then per key, in order of (keyspace, key):
//!           1 length of the keyspace's name, and the name
//!           2 length of the key, and the key
//!           4 length of the context, and the context
//!      …    8 xxh3_64 over all bytes before
//! ```
//!
//! Invariants
//! - What is noted is never forgotten by itself: when [`SESSION_KEYS_MAX`] keys are known, a further one is refused
//!   before it is used. (Requests that run at the same time may be noted beyond that.)
//! - The encoding is canonical, and the decoder takes nothing else; it allocates no more than the bytes that it is given.
//! - In an `lww` keyspace the newest write is known, and no other: older dots would be mistaken for it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use xxhash_rust::xxh3::xxh3_64;

use crate::ids::Name;
use crate::keyspace::Conflict;
use crate::limits::{KEY_BYTES_MAX, SESSION_KEYS_MAX};
use crate::version::{Context, Dot, Timestamp};

/// Version byte of the token.
const TOKEN_VERSION: u8 = 1;

/// Bytes of the checksum at the end.
const CHECKSUM_BYTES: usize = 8;

/// What a session has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPast {
    keys: BTreeMap<(Name, Bytes), Context>,
}

/// A session has seen as many keys as it can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the session knows {SESSION_KEYS_MAX} keys already; begin a new one, or have it forget keys that are not needed"
)]
pub struct SessionFull;

/// Why bytes are not the token of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session token is damaged ({what}); pass it exactly as it was given out")]
pub struct SessionTokenError {
    /// The first thing that is wrong.
    pub what: &'static str,
}

impl SessionPast {
    /// What was seen of a key.
    pub fn of(&self, keyspace: &Name, key: &Bytes) -> Option<&Context> {
        self.keys.get(&(keyspace.clone(), key.clone()))
    }

    /// Whether something can be noted of a key.
    ///
    /// # Errors
    /// [`SessionFull`].
    pub fn check_room(&self, keyspace: &Name, key: &Bytes) -> Result<(), SessionFull> {
        let is_full = self.keys.len() >= SESSION_KEYS_MAX && self.of(keyspace, key).is_none();
        if is_full { Err(SessionFull) } else { Ok(()) }
    }

    /// Notes that `seen` was answered. A context that has seen nothing leaves nothing behind. Requests that run at the
    /// same time may have had room for each other: what came of them is noted all the same.
    pub fn note(&mut self, keyspace: &Name, key: &Bytes, (seen, conflict): (&Context, Conflict)) {
        if seen.entries().next().is_none() {
            return;
        }
        let place = (keyspace.clone(), key.clone());
        let known = self.keys.entry(place).or_insert_with(|| seen.clone());
        let is_same_key = known.is_of_key_of(seen);
        match conflict {
            Conflict::Siblings if is_same_key => known.join(seen),
            Conflict::Lww if is_same_key && newest(known) >= newest(seen) => {}
            // A newer write, or the keyspace is another one of that name.
            Conflict::Siblings | Conflict::Lww => known.clone_from(seen),
        }
    }

    /// Forgets what was seen of a key: nothing is promised about it any more.
    pub fn forget(&mut self, keyspace: &Name, key: &Bytes) {
        self.keys.remove(&(keyspace.clone(), key.clone()));
    }

    /// Keys of which something was seen.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True if nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The bytes of the token.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(TOKEN_VERSION);
        out.put_u32_le(u32::try_from(self.keys.len()).unwrap_or(u32::MAX));
        for ((keyspace, key), context) in &self.keys {
            let (name, context) = (keyspace.as_str().as_bytes(), context.encode());
            assert!(name.len() <= usize::from(u8::MAX) && key.len() <= KEY_BYTES_MAX, "bounded");
            out.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
            out.put_slice(name);
            out.put_u16_le(u16::try_from(key.len()).unwrap_or(u16::MAX));
            out.put_slice(key);
            out.put_u32_le(u32::try_from(context.len()).unwrap_or(u32::MAX));
            out.put_slice(&context);
        }
        let sum = xxh3_64(&out);
        out.put_u64_le(sum);
        out.freeze()
    }

    /// Reads a token.
    ///
    /// # Errors
    /// [`SessionTokenError`] for anything but the exact bytes of [`SessionPast::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SessionTokenError> {
        let split = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or(damaged("it is too short"))?;
        let (mut body, mut sum) = bytes.split_at(split);
        if xxh3_64(body) != sum.get_u64_le() {
            return Err(damaged("its checksum does not match"));
        }
        if take(&mut body, 1)? != [TOKEN_VERSION] {
            return Err(damaged("its version is unknown"));
        }
        let count = take(&mut body, 4)?.get_u32_le() as usize;
        let mut past = Self::default();
        for _ in 0..count {
            let (place, context) = take_key(&mut body)?;
            if past.keys.last_key_value().is_some_and(|(last, _)| *last >= place) {
                return Err(damaged("its keys are out of order"));
            }
            past.keys.insert(place, context);
        }
        if body.is_empty() { Ok(past) } else { Err(damaged("bytes after the end")) }
    }
}

fn take_key(body: &mut &[u8]) -> Result<((Name, Bytes), Context), SessionTokenError> {
    let length = usize::from(take(body, 1)?.get_u8());
    let name = std::str::from_utf8(take(body, length)?).ok().and_then(|text| Name::new(text).ok());
    let name = name.ok_or(damaged("a keyspace has no proper name"))?;
    let length = usize::from(take(body, 2)?.get_u16_le());
    if length == 0 || length > KEY_BYTES_MAX {
        return Err(damaged("a key has no proper length"));
    }
    let key = Bytes::copy_from_slice(take(body, length)?);
    let length = take(body, 4)?.get_u32_le() as usize;
    let context = Context::decode_any(take(body, length)?);
    let context = context.map_err(|_| damaged("a context cannot be read"))?;
    if context.entries().next().is_none() {
        return Err(damaged("a context has seen nothing"));
    }
    Ok(((name, key), context))
}

fn take<'a>(body: &mut &'a [u8], length: usize) -> Result<&'a [u8], SessionTokenError> {
    body.split_off(..length).ok_or(damaged("it is cut off"))
}

/// The write that an `lww` context is of.
fn newest(context: &Context) -> (Timestamp, Option<Dot>) {
    let dots = context.entries().map(|(incarnation, counter)| Dot { incarnation, counter });
    (context.timestamp(), dots.max())
}

const fn damaged(what: &'static str) -> SessionTokenError {
    SessionTokenError { what }
}
