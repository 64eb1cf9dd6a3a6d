//! Reads every link: replies go to the calls that wait, everything else to the [`Handler`].
//!
//! 1. [`serve_links`] accepts connections until the transport closes, one reader task each.
//! 2. A peer link is admitted only if its certified identity is a member of the topology; it is adopted into
//!    [`Peers`] and dropped from it when it breaks.
//! 3. Datagrams of peers go to the [`Handler`] by a task of their own, so that frames do not hold them up.
//! 4. A frame of a family that the link's protocol does not carry ends the connection with the reason.

use std::num::NonZeroUsize;
use std::sync::Arc;

use atoll_protocol::frame::Frame;
use atoll_protocol::ids::NodeIndex;
use atoll_protocol::wire::Kind;

use super::peers::Peers;
use super::{Handler, Link, LinkChange, LinkClose, PeerLink, Protocol, Transport};
use crate::tasks::Tasks;

/// Frames that are taken at once: one wake-up for a burst, and less than a millisecond until others have their turn.
const BATCH_FRAMES: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not zero");

/// Serves one node's links.
#[derive(Clone)]
pub struct LinkServer {
    tasks: Tasks,
    peers: Arc<Peers>,
    handler: Arc<dyn Handler>,
}

/// Accepts connections until the transport closes or the node stops.
pub async fn serve_links(server: LinkServer, transport: Arc<dyn Transport>) {
    loop {
        let link = tokio::select! {
            biased;
            () = server.tasks.cancelled() => return,
            link = transport.accept() => link,
        };
        let Some(link) = link else { return };
        match link.protocol() {
            Protocol::Client => server.serve_client(link),
            Protocol::Peer => match server.handler.admit_peer(link.identity()) {
                Ok(peer) => server.serve_peer(peer, link),
                Err(reason) => {
                    tracing::warn!(remote = link.remote(), reason, "peer refused");
                    link.close(LinkClose::Denied(reason));
                }
            },
        }
    }
}

impl LinkServer {
    /// A server whose links end up in `peers` and whose frames go to `handler`.
    pub fn new(tasks: Tasks, peers: Arc<Peers>, handler: Arc<dyn Handler>) -> Self {
        Self { tasks, peers, handler }
    }

    /// Takes a peer's link into use and reads it until it breaks.
    pub fn serve_peer(&self, peer: NodeIndex, link: Arc<dyn Link>) {
        let Some(id) = self.peers.adopt(peer, link.clone()) else {
            link.close(LinkClose::Denied("unknown node index".to_owned()));
            return;
        };
        let server = self.clone();
        let from = PeerLink { peer, id, link };
        self.serve_datagrams(from.clone());
        self.tasks.spawn("peer-link", async move {
            let link = &from.link;
            tracing::info!(peer = %link.identity(), remote = link.remote(), "peer connected");
            server.handler.on_peer_link(&from);
            let mut frames = Vec::new();
            while link.recv_many(&mut frames, BATCH_FRAMES).await > 0 {
                server.peers.heard(from.peer);
                for frame in frames.drain(..) {
                    if let Err(reason) = server.on_peer_frame(&from, frame) {
                        tracing::warn!(peer = %link.identity(), reason, "peer broke the protocol");
                        link.close(LinkClose::Protocol(reason));
                    }
                }
            }
            let why = link.closed().await;
            let after = server.peers.drop_link(peer, id, &why);
            tracing::info!(peer = %link.identity(), why, ?after, "peer disconnected");
            // Whatever was under way on this link is lost, even if another one is open.
            server.handler.on_peer_lost(peer);
        });
    }

    /// Hands on the datagrams of a peer's link until it breaks.
    fn serve_datagrams(&self, from: PeerLink) {
        let server = self.clone();
        self.tasks.spawn("link-datagrams", async move {
            while let Some(datagram) = from.link.recv_datagram().await {
                server.peers.heard(from.peer);
                server.handler.on_peer_datagram(&from, datagram);
            }
        });
    }

    fn serve_client(&self, link: Arc<dyn Link>) {
        let server = self.clone();
        self.tasks.spawn("client-link", async move {
            tracing::debug!(client = %link.identity(), remote = link.remote(), "client connected");
            server.handler.on_client_link(LinkChange::Opened);
            let mut frames = Vec::new();
            while link.recv_many(&mut frames, BATCH_FRAMES).await > 0 {
                for frame in frames.drain(..) {
                    if Kind::from_byte(frame.kind) == Some(Kind::Request) {
                        server.handler.on_client_frame(&link, frame);
                    } else {
                        let reason = format!("frame kind {} is not a client request", frame.kind);
                        tracing::warn!(client = %link.identity(), reason, "client broke the protocol");
                        link.close(LinkClose::Protocol(reason));
                    }
                }
            }
            server.handler.on_client_link(LinkChange::Closed);
            tracing::debug!(client = %link.identity(), remote = link.remote(), "client disconnected");
        });
    }

    fn on_peer_frame(&self, from: &PeerLink, frame: Frame) -> Result<(), String> {
        match Kind::from_byte(frame.kind) {
            Some(Kind::PeerReply) => self.peers.complete(frame),
            Some(Kind::PeerNotice | Kind::PeerRequest) => self.handler.on_peer_frame(from, frame),
            Some(Kind::Request | Kind::Reply) | None => {
                return Err(format!("frame kind {} does not belong on a peer link", frame.kind));
            }
        }
        Ok(())
    }
}
