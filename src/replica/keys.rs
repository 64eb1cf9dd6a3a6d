//! Stored keys: token, keyspace, key.
//!
//! ```text
//! offset size            all integers big-endian, so that bytes sort as numbers
//!      0    8 token      xxh3 of keyspace and key; its top bits are the partition
//!      8    8 keyspace
//!     16    … key
//! ```
//!
//! Keys lie in token order: a partition, and a leaf of its Merkle tree, is one contiguous range.

use std::ops::Range;

use atoll_protocol::ids::KeyspaceId;
use atoll_protocol::limits::KEY_BYTES_MAX;
use atoll_protocol::token::{Partition, Partitions, Token};
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes before the user's key.
const HEAD_BYTES: usize = 8 + 8;

/// A key as the engine stores it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredKey {
    token: Token,
    bytes: Bytes,
}

impl StoredKey {
    /// The stored form of `key` in `keyspace`.
    pub fn new(keyspace: KeyspaceId, key: &[u8]) -> Self {
        let token = Token::of(keyspace, key);
        let mut bytes = BytesMut::with_capacity(HEAD_BYTES + key.len());
        bytes.put_u64(token.0);
        bytes.put_u64(keyspace.0);
        bytes.put_slice(key);
        Self { token, bytes: bytes.freeze() }
    }

    /// Reads stored bytes that a peer sent; `None` if they are not those of a key.
    ///
    /// Cost: one hash over the key, without which a peer could file a key where nobody looks for it.
    pub fn parse(bytes: Bytes) -> Option<Self> {
        let (token, keyspace) = (Self::head(&bytes)?, Self::keyspace_in(&bytes)?);
        let key = bytes.get(HEAD_BYTES..)?;
        let is_key = (1..=KEY_BYTES_MAX).contains(&key.len());
        (is_key && Token::of(keyspace, key) == token).then_some(Self { token, bytes })
    }

    /// Token in the bytes of a stored key.
    pub fn head(mut bytes: &[u8]) -> Option<Token> {
        bytes.try_get_u64().ok().map(Token)
    }

    /// Keyspace in the bytes of a stored key.
    pub fn keyspace_in(bytes: &[u8]) -> Option<KeyspaceId> {
        bytes.get(8..)?.try_get_u64().ok().map(KeyspaceId)
    }

    /// The stored bytes of all keys from one token to another, both inclusive: a half-open range.
    pub fn range((first, last): (Token, Token)) -> Range<Vec<u8>> {
        let end = match last.0.checked_add(1) {
            Some(next) => next.to_be_bytes().to_vec(),
            // Longer than any key, and above all.
            None => vec![u8::MAX; HEAD_BYTES + KEY_BYTES_MAX + 1],
        };
        first.0.to_be_bytes().to_vec()..end
    }

    /// The key's token.
    pub fn token(&self) -> Token {
        self.token
    }

    /// The key's partition.
    pub fn partition(&self, partitions: Partitions) -> Partition {
        partitions.partition_of(self.token)
    }

    /// The stored bytes, to share.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The stored bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}
