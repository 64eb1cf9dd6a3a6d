//! SWIM's packets in the repository's one codec, with nobody in them who is not of the pool.
//!
//! ```text
//! header    src 10, incarnation 2, dst 10, message 4 and up to 11 more      fixed-width bincode (protocol::codec)
//! count     u16, big endian; absent where a message carries no updates
//! members   16 each: node 2, generation 8, incarnation 2, state 4
//! ```

use std::sync::Arc;

use atoll_protocol::codec::{self, CodecError};
use atoll_protocol::ids::NodeIndex;
use bytes::{Buf, BufMut};
use foca::{Codec, Header, Message};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::member::Member;

/// Reads and writes the packets of one pool.
#[derive(Clone, Debug)]
pub(super) struct SwimCodec {
    /// Whether a node is of the pool, by index.
    pool: Arc<[bool]>,
}

/// Why a packet cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum PacketError {
    /// It is malformed.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// It names somebody who is not of the pool.
    #[error("node {} is not of this pool", .0.0)]
    Stranger(NodeIndex),
    /// There is no room for it.
    #[error("no room for {0} more bytes")]
    Room(usize),
}

impl SwimCodec {
    pub(super) fn new(pool: Arc<[bool]>) -> Self {
        Self { pool }
    }

    /// Everybody in the pool.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeIndex> + '_ {
        let all = (0..=u16::MAX).map(NodeIndex).zip(self.pool.iter());
        all.filter_map(|(node, is_member)| is_member.then_some(node))
    }

    /// Whether `node` is of the pool.
    pub(super) fn has(&self, node: NodeIndex) -> bool {
        self.pool.get(usize::from(node.0)).copied().unwrap_or(false)
    }

    /// The header at the beginning of `packet`.
    pub(super) fn peek(&self, packet: &[u8]) -> Result<Header<Member>, PacketError> {
        self.clone().decode_header(packet)
    }

    fn check(&self, member: &Member) -> Result<(), PacketError> {
        if self.has(member.node) { Ok(()) } else { Err(PacketError::Stranger(member.node)) }
    }
}

fn write(value: &impl Serialize, mut buf: impl BufMut) -> Result<(), PacketError> {
    let bytes = codec::encode(value)?;
    if bytes.len() > buf.remaining_mut() {
        return Err(PacketError::Room(bytes.len() - buf.remaining_mut()));
    }
    buf.put_slice(&bytes);
    Ok(())
}

fn read<T: DeserializeOwned>(mut buf: impl Buf) -> Result<T, PacketError> {
    let (value, used) = codec::decode_prefix(buf.chunk())?;
    buf.advance(used);
    Ok(value)
}

impl Codec<Member> for SwimCodec {
    type Error = PacketError;

    fn encode_header(
        &mut self,
        header: &Header<Member>,
        buf: impl BufMut,
    ) -> Result<(), PacketError> {
        write(header, buf)
    }

    fn decode_header(&mut self, buf: impl Buf) -> Result<Header<Member>, PacketError> {
        let header: Header<Member> = read(buf)?;
        self.check(&header.src)?;
        self.check(&header.dst)?;
        match &header.message {
            Message::PingReq { target: other, .. }
            | Message::IndirectPing { origin: other, .. }
            | Message::IndirectAck { target: other, .. }
            | Message::ForwardedAck { origin: other, .. } => self.check(other)?,
            Message::Ping(_)
            | Message::Ack(_)
            | Message::Announce
            | Message::Feed
            | Message::Gossip
            | Message::Broadcast
            | Message::TurnUndead => {}
        }
        Ok(header)
    }

    fn encode_member(
        &mut self,
        member: &foca::Member<Member>,
        buf: impl BufMut,
    ) -> Result<(), PacketError> {
        write(member, buf)
    }

    fn decode_member(&mut self, buf: impl Buf) -> Result<foca::Member<Member>, PacketError> {
        let member: foca::Member<Member> = read(buf)?;
        self.check(member.id())?;
        Ok(member)
    }
}

#[cfg(test)]
mod tests;
