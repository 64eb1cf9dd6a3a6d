//! Reads over a link that writes down what it is given.

use atoll_protocol::identity::Role;
use atoll_protocol::ids::{Epoch, KeyspaceId, Name};
use atoll_protocol::wire::Kind;
use parking_lot::Mutex;

use super::*;
use crate::env::{BoxFuture, RealEnv};
use crate::net::{Identity, LinkClose, PathStatistics, Protocol, SendFailure};

const FAR: MonoTime = MonoTime::from_nanos(u64::MAX);
const PEER: NodeIndex = NodeIndex(1);

struct Notebook {
    identity: Identity,
    sent: Mutex<Vec<Frame>>,
}

impl Link for Notebook {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn protocol(&self) -> Protocol {
        Protocol::Peer
    }

    fn remote(&self) -> String {
        String::new()
    }

    fn send(&self, frame: Frame) -> Result<(), SendFailure> {
        self.sent.lock().push(frame);
        Ok(())
    }

    fn recv(&self) -> BoxFuture<'_, Option<Frame>> {
        Box::pin(std::future::pending())
    }

    fn send_datagram(&self, _: Bytes) -> Result<(), SendFailure> {
        Ok(())
    }

    fn recv_datagram(&self) -> BoxFuture<'_, Option<Bytes>> {
        Box::pin(std::future::pending())
    }

    fn rtt(&self) -> Duration {
        Duration::ZERO
    }

    fn path(&self) -> PathStatistics {
        PathStatistics::default()
    }

    fn is_closed(&self) -> bool {
        false
    }

    fn close(&self, _: LinkClose) {}

    fn closed(&self) -> BoxFuture<'_, String> {
        Box::pin(std::future::pending())
    }
}

fn connected() -> (Arc<Peers>, Arc<Notebook>) {
    let name = |text| Name::new(text).unwrap();
    let role = Role::Client { name: name("anybody") };
    let identity = Identity { cluster: name("test"), role };
    let link = Arc::new(Notebook { identity, sent: Mutex::default() });
    let peers = Arc::new(Peers::new(RealEnv::create(), Epoch(1), 2));
    peers.adopt(PEER, link.clone());
    (peers, link)
}

fn read() -> PeerRequest {
    PeerRequest::Read { keyspace: KeyspaceId(1), key: Bytes::from_static(b"k"), known: None }
}

fn reply(request: u64, reply: &PeerReply) -> Frame {
    let envelope = Envelope { request, epoch: Epoch(1), budget: None };
    wire::to_frame(reply, Bytes::new(), envelope).unwrap()
}

/// Begins a read of `peer`; what it comes to, once that is known, is left in the box.
fn begin(
    peers: &Arc<Peers>,
    peer: NodeIndex,
) -> (Result<ReadCall, CallError>, Arc<Mutex<Option<ReadAnswer>>>) {
    let told = Arc::new(Mutex::new(None));
    let teller = told.clone();
    let call = peers.begin_read(peer, &read(), FAR, move |answer| *teller.lock() = Some(answer));
    (call, told)
}

#[tokio::test]
async fn a_read_is_counted_while_it_is_under_way_and_timed_when_it_is_answered() {
    let (peers, link) = connected();
    let idle = peers.read_cost(PEER);
    let (call, told) = begin(&peers, PEER);
    let request = link.sent.lock()[0].clone();
    assert_eq!(Kind::from_byte(request.kind), Some(Kind::PeerRequest));
    assert_eq!(peers.reads_of(PEER).unwrap().under_way(), 1);
    peers.complete(reply(request.request, &PeerReply::Absent));
    assert_eq!(told.lock().take(), Some(Ok((PeerReply::Absent, Bytes::new()))));
    assert_eq!(peers.reads_of(PEER).unwrap().under_way(), 0);
    // Called off too late: nobody is told.
    call.unwrap().call_off();
    assert_eq!(link.sent.lock().len(), 1);
    assert!(peers.read_cost(PEER) >= idle);
    assert_eq!(peers.reads_of(PEER).unwrap().under_way(), 0);
}

#[tokio::test]
async fn who_is_called_off_is_told_and_waited_for_no_more() {
    let (peers, link) = connected();
    let (call, told) = begin(&peers, PEER);
    assert_eq!(peers.reads_of(PEER).unwrap().under_way(), 1);
    call.unwrap().call_off();
    let sent = link.sent.lock().clone();
    let [request, cancel] = sent.as_slice() else { panic!("{sent:?}") };
    let notice = wire::from_frame::<PeerNotice>(cancel).unwrap();
    assert_eq!(notice, PeerNotice::Cancel { request: request.request });
    peers.complete(reply(request.request, &PeerReply::Absent));
    assert_eq!(*told.lock(), None);
    assert_eq!(peers.reads_of(PEER).unwrap().under_way(), 0);
}

#[tokio::test]
async fn a_read_is_lost_with_its_link() {
    let (peers, link) = connected();
    let (call, told) = begin(&peers, PEER);
    let id = peers.newest(PEER).unwrap().id;
    peers.drop_link(PEER, id, "gone");
    assert_eq!(told.lock().take(), Some(Err(CallError::Lost)));
    assert_eq!(peers.reads_of(PEER).unwrap().under_way(), 0);
    drop(call);
    assert_eq!(link.sent.lock().len(), 1);
    assert_eq!(peers.reads_of(PEER).unwrap().under_way(), 0);
}

#[tokio::test]
async fn a_read_that_is_dropped_sends_nothing_and_a_stranger_is_not_read() {
    let (peers, link) = connected();
    let (call, told) = begin(&peers, PEER);
    drop(call);
    assert_eq!(link.sent.lock().len(), 1);
    assert_eq!(peers.reads_of(PEER).unwrap().under_way(), 0);
    for stranger in [NodeIndex(0), NodeIndex(7)] {
        let (call, told) = begin(&peers, stranger);
        assert_eq!(call.err(), Some(CallError::NotSent));
        assert_eq!(*told.lock(), None);
    }
    assert_eq!(*told.lock(), None);
}
