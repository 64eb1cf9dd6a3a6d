//! Stored keys: token, keyspace, key.
//!
//! ```text
//! offset size            all integers big-endian, so that bytes sort as numbers
//!      0    8 token      xxh3 of keyspace and key; its top bits are the partition
//!      8    8 keyspace
//!     16    … key
//! ```
//!
//! Keys lie in token order: a partition, and later a Merkle leaf, is one contiguous range.

use atoll_protocol::ids::KeyspaceId;
use atoll_protocol::token::{Partition, Partitions, Token};
use bytes::{BufMut, Bytes, BytesMut};

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

    /// The key's token.
    pub fn token(&self) -> Token {
        self.token
    }

    /// The key's partition.
    pub fn partition(&self, partitions: Partitions) -> Partition {
        partitions.partition_of(self.token)
    }

    /// The stored bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}
