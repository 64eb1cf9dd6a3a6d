//! What travels in a datagram between two nodes: one packet of failure detection.
//!
//! ```text
//! offset size field
//!      0    1 version      DATAGRAM_VERSION
//!      1    1 pool         0 LAN, 1 WAN
//!      2    8 known        little endian: the generation under which the sender knows the receiver
//!     10    … packet       of SWIM; what is in it only `src/membership` knows
//! ```
//!
//! Who sent it is not in it: that is the certificate of the connection.
//!
//! Invariants
//! - Decoding never panics, and copies nothing.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// First byte of every datagram.
pub const DATAGRAM_VERSION: u8 = 1;

/// Bytes before the packet.
pub const DATAGRAM_HEADER_BYTES: usize = 10;

/// Which nodes watch each other, and with how much patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pool {
    /// The nodes of one datacenter.
    Lan,
    /// All nodes of the cluster.
    Wan,
}

/// One packet of failure detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The pool that it is about.
    pub pool: Pool,
    /// The generation under which the sender knows the receiver there.
    pub known: u64,
    /// The packet.
    pub packet: Bytes,
}

/// Why bytes are not a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// It ends within its header.
    #[error("a datagram of {got} bytes has no room for its header of {DATAGRAM_HEADER_BYTES}")]
    Short {
        /// Its length in bytes.
        got: usize,
    },
    /// It is of another version.
    #[error("datagram version {got}, this node knows {DATAGRAM_VERSION}")]
    Version {
        /// Its version.
        got: u8,
    },
    /// It is about no pool.
    #[error("datagram of pool {got}, there are 0 and 1")]
    Pool {
        /// What it says.
        got: u8,
    },
}

impl Datagram {
    /// Its bytes.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(DATAGRAM_HEADER_BYTES + self.packet.len());
        bytes.put_u8(DATAGRAM_VERSION);
        bytes.put_u8(match self.pool {
            Pool::Lan => 0,
            Pool::Wan => 1,
        });
        bytes.put_u64_le(self.known);
        assert_eq!(bytes.len(), DATAGRAM_HEADER_BYTES, "the header is as long as drawn");
        bytes.extend_from_slice(&self.packet);
        bytes.freeze()
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`DatagramError`] for anything else.
    pub fn decode(mut bytes: Bytes) -> Result<Self, DatagramError> {
        if bytes.len() < DATAGRAM_HEADER_BYTES {
            return Err(DatagramError::Short { got: bytes.len() });
        }
        let version = bytes.get_u8();
        if version != DATAGRAM_VERSION {
            return Err(DatagramError::Version { got: version });
        }
        let pool = match bytes.get_u8() {
            0 => Pool::Lan,
            1 => Pool::Wan,
            got => return Err(DatagramError::Pool { got }),
        };
        let known = bytes.get_u64_le();
        Ok(Self { pool, known, packet: bytes })
    }
}
