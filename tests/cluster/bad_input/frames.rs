//! Bytes that are not frames: the peer is told why, only its connection ends.

use std::time::Duration;

use atoll_protocol::frame::{FRAME_VERSION, Frame, HEADER_BYTES};
use atoll_protocol::ids::Epoch;
use atoll_protocol::limits::{META_BYTES_MAX, PAYLOAD_BYTES_MAX};
use atoll_protocol::quorum::Level;
use atoll_protocol::wire::{self, Envelope, Failure, GetRequest, Invalid, Kind, Reply, Request};
use atoll_quic::{Alpn, CloseCode, Connection, Endpoint};
use bytes::Bytes;
use quinn::ConnectionError;

use crate::harness::raw::{self, Shows};
use crate::harness::{Cluster, PATIENCE, name};

/// First byte of every lane, as `docs/formats.md` says.
const LANE_VERSION: u8 = 1;

/// A header that says something untrue.
fn header(version: u8, flags: u16, meta: usize, payload: usize) -> Vec<u8> {
    let mut bytes = vec![version, Kind::Request.as_byte()];
    bytes.extend_from_slice(&flags.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(meta).unwrap().to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(payload).unwrap().to_le_bytes());
    bytes.resize(HEADER_BYTES, 0);
    bytes
}

/// A client with manners, whose connection must not notice anything.
struct Bystander {
    connection: Connection,
    _endpoint: Endpoint,
}

impl Bystander {
    async fn connect(cluster: &Cluster) -> Self {
        let paths = cluster.profile().credentials(atoll_client::Role::Client).unwrap();
        let address = cluster.members[0].address;
        let (endpoint, connection) = raw::connect(address, &paths, Alpn::Client).await.unwrap();
        Self { connection, _endpoint: endpoint }
    }

    async fn ask(&self, frame: Frame) -> Reply {
        self.connection.send(frame).unwrap();
        let frame = tokio::time::timeout(PATIENCE, self.connection.recv()).await.unwrap();
        wire::from_frame(&frame.expect("the connection lives")).unwrap()
    }

    async fn assert_served(&self) {
        let get = GetRequest {
            keyspace: name("default"),
            key: Bytes::from_static(b"nothing"),
            level: Level::One,
            at_least: None,
        };
        let frame = wire::to_frame(&Request::Get(get), Bytes::new(), ENVELOPE).unwrap();
        let reply = self.ask(frame).await;
        assert!(matches!(reply, Reply::Get { ref cells, .. } if cells.is_empty()), "{reply:?}");
    }
}

const ENVELOPE: Envelope =
    Envelope { request: 7, epoch: Epoch(1), budget: Some(Duration::from_secs(10)) };

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_oversized_frames_end_their_own_connection_with_the_reason() {
    let cluster = Cluster::single().await;
    let bystander = Bystander::connect(&cluster).await;
    bystander.assert_served().await;
    let limit_of = |limit: usize| format!("exceeds the limit of {limit}");
    let (meta_limit, payload_limit) = (limit_of(META_BYTES_MAX), limit_of(PAYLOAD_BYTES_MAX));
    let lanes: [(u8, Vec<u8>, &str); 6] = [
        (LANE_VERSION, vec![0xee; 512], "frame version 238 is not supported"),
        (LANE_VERSION, header(FRAME_VERSION, 0x8000, 0, 0), "frame flags 0x8000 are reserved"),
        (LANE_VERSION, header(FRAME_VERSION, 0, META_BYTES_MAX + 1, 0), &meta_limit),
        (LANE_VERSION, header(FRAME_VERSION, 0, 0, u32::MAX as usize), &payload_limit),
        (LANE_VERSION, header(FRAME_VERSION, 0, 100, 0), "a lane ended within a frame"),
        (9, Vec::new(), "lane version 9 is not supported"),
    ];
    let paths = cluster.profile().credentials(atoll_client::Role::Client).unwrap();
    for (version, bytes, expected) in lanes {
        let address = cluster.members[0].address;
        let connection = raw::dial(address, &paths, Shows::Certificate).await.unwrap();
        // The node's first lane: it has admitted us.
        connection.accept_uni().await.unwrap();
        let mut lane = connection.open_uni().await.unwrap();
        lane.write_all(&[version]).await.unwrap();
        lane.write_all(&bytes).await.unwrap();
        lane.finish().unwrap();
        let ended = raw::closed(&connection).await;
        let ConnectionError::ApplicationClosed(close) = &ended else { panic!("{ended:?}") };
        assert_eq!(close.error_code.into_inner(), CloseCode::Frame.number(), "{ended}");
        let reason = String::from_utf8_lossy(&close.reason);
        assert!(reason.contains(expected), "`{expected}` is not in `{reason}`");
        bystander.assert_served().await;
    }
    cluster.cli().ok(&["put", "still", "served"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_is_no_request_ends_the_connection_and_one_without_sense_is_answered() {
    let cluster = Cluster::single().await;
    let bystander = Bystander::connect(&cluster).await;
    let frame = |kind: Kind, meta: &'static [u8]| Frame {
        kind: kind.as_byte(),
        budget: None,
        request: 7,
        epoch: Epoch(1),
        meta: Bytes::from_static(meta),
        payload: Bytes::new(),
    };
    // A well-formed frame whose message cannot be read is an answerable mistake.
    let answer = bystander.ask(frame(Kind::Request, &[0xff; 40])).await;
    let Reply::Failed(Failure::Invalid(Invalid::Message { detail })) = answer else {
        panic!("{answer:?}")
    };
    assert!(!detail.is_empty());
    bystander.assert_served().await;

    // A message of nodes on a client's connection is not.
    let impostor = Bystander::connect(&cluster).await;
    impostor.connection.send(frame(Kind::PeerNotice, &[0])).unwrap();
    let ended = tokio::time::timeout(PATIENCE, impostor.connection.closed()).await.unwrap();
    assert_eq!(ended.code, Some(CloseCode::Frame), "{ended}");
    assert!(ended.reason.contains("is not a client request"), "{ended}");
    cluster.node(0).says(&["client broke the protocol", "atoll://reef/client/client"]).await;
    bystander.assert_served().await;
}
