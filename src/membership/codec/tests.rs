//! Packets as they are drawn, and what is refused.

use std::sync::Arc;

use atoll_protocol::ids::NodeIndex;
use bytes::BytesMut;
use foca::{Codec, Header, Message, State};

use super::{PacketError, SwimCodec};
use crate::membership::member::Member;

fn codec() -> SwimCodec {
    let pool: Arc<[bool]> = [true, true, false, true].into();
    SwimCodec::new(pool)
}

fn member(node: u16) -> Member {
    Member { node: NodeIndex(node), generation: 0x0a0b }
}

fn header(src: u16, message: Message<Member>) -> Header<Member> {
    Header { src: member(src), src_incarnation: 5, dst: member(1), message }
}

fn encoded(header: &Header<Member>) -> BytesMut {
    let mut bytes = BytesMut::new();
    codec().encode_header(header, &mut bytes).unwrap();
    bytes
}

// format: datagram v1
#[test]
fn a_packet_is_what_is_drawn() {
    let ping = header(3, Message::Ping(7));
    let bytes = encoded(&ping);
    let expected = b"\x03\0\x0b\x0a\0\0\0\0\0\0\x05\0\x01\0\x0b\x0a\0\0\0\0\0\0\0\0\0\0\x07";
    assert_eq!(bytes[..], expected[..]);
    assert_eq!(codec().decode_header(&bytes[..]).unwrap(), ping);
    let suspect = foca::Member::new(member(1), 9, State::Suspect);
    let mut bytes = BytesMut::new();
    codec().encode_member(&suspect, &mut bytes).unwrap();
    assert_eq!(bytes[..], *b"\x01\0\x0b\x0a\0\0\0\0\0\0\x09\0\x01\0\0\0");
    assert_eq!(codec().decode_member(&bytes[..]).unwrap(), suspect);
}

#[test]
fn nobody_else_is_in_a_packet() {
    for stranger in [2, 4] {
        let stands_in = [
            header(stranger, Message::Gossip),
            Header { dst: member(stranger), ..header(0, Message::Announce) },
            header(0, Message::PingReq { target: member(stranger), probe_number: 1 }),
            header(0, Message::ForwardedAck { origin: member(stranger), probe_number: 1 }),
        ];
        for header in &stands_in {
            let refused = codec().decode_header(&encoded(header)[..]);
            assert!(
                matches!(refused, Err(PacketError::Stranger(NodeIndex(node))) if node == stranger)
            );
        }
        let mut bytes = BytesMut::new();
        codec().encode_member(&foca::Member::alive(member(stranger)), &mut bytes).unwrap();
        let refused = codec().decode_member(&bytes[..]);
        assert!(matches!(refused, Err(PacketError::Stranger(_))));
    }
}

#[test]
fn what_has_no_room_is_refused_and_writes_nothing() {
    use bytes::BufMut;
    let mut room = [0_u8; 40];
    let mut bytes = (&mut room[..]).limit(15);
    let refused = codec().encode_member(&foca::Member::alive(member(1)), &mut bytes);
    assert!(matches!(refused, Err(PacketError::Room(1))), "{refused:?}");
    assert_eq!(bytes.remaining_mut(), 15);
}
