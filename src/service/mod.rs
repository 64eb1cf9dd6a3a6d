//! The service: understands requests, checks them, and has the coordinator or the replica carry them out.
//!
//! ```text
//! link ─frame─▶ Service::on_client_frame ─▶ authorize ─▶ check ─▶ coordinator │ keyspaces │ status, storage │ faults
//!      ─frame─▶ Service::on_peer_frame   ─▶ replica (apply, read, repair) │ coordinator (forwarded put)
//! ```
//!
//! 1. What memory can answer is answered where its frame arrives. Every other request runs in a task of its own, which owns
//!    it: a client that goes away loses only its answer.
//! 2. The remaining time budget in the frame becomes a deadline the moment the frame is read.
//! 3. One function authorises every request, after decoding and before anything else.
//!
//! Invariants
//! - Every request gets exactly one reply, unless its link is gone or its sender cancelled it.
//! - A malformed message is answered with the reason; a malformed frame never gets here.

mod admit;
mod cancelled;
mod check;
mod client;
mod forward;
mod hints;
mod keyspaces;
mod peer;
mod repair;
mod status;
mod storage;
mod tombstones;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use atoll_protocol::frame::Frame;
use atoll_protocol::identity::Identity;
use atoll_protocol::ids::{Name, NodeIndex};
use atoll_protocol::time::MonoTime;
use bytes::Bytes;

use crate::cluster::Cluster;
use crate::coordinator::Coordinator;
use crate::disk::SyncMeter;
use crate::env::Env;
use crate::handoff::Handoff;
use crate::membership::{Detection, Input};
use crate::net::{Faults, Handler, Link, LinkChange, PeerLink, Peers};
use crate::purge::Purge;
use crate::repair::Repair;
use crate::replica::Replica;
use crate::scrub::Scrub;
use crate::tasks::Tasks;

use cancelled::Cancelled;

/// Time that a request gets when it brings no budget.
const BUDGET_DEFAULT: Duration = Duration::from_secs(1);

/// Longest time that a request may take, whatever its budget says.
const BUDGET_MAX: Duration = Duration::from_secs(60);

/// Facts about this process that `atoll status` shows.
#[derive(Clone, Debug)]
pub struct ProcessFacts {
    /// This node's name.
    pub node: Name,
    /// Version of the binary.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// When it started serving.
    pub started: MonoTime,
    /// Random number of this process; another one means a restart.
    pub boot: u64,
}

/// What the service works with.
pub struct Parts {
    /// Time and chance.
    pub env: Env,
    /// Spawner.
    pub tasks: Tasks,
    /// The cluster as this node knows it.
    pub cluster: Arc<Cluster>,
    /// The other nodes.
    pub peers: Arc<Peers>,
    /// This node's replica.
    pub replica: Replica,
    /// Runs operations.
    pub coordinator: Coordinator,
    /// Compares replicas and mends them.
    pub repair: Repair,
    /// Hints for nodes that are away.
    pub handoff: Handoff,
    /// Forgets deletions.
    pub purge: Purge,
    /// The door to the failure detector.
    pub detection: Detection,
    /// Finds damage and has it mended.
    pub scrub: Scrub,
    /// Emulated links; refuses unless the node was started with `--allow-faults`.
    pub faults: Arc<dyn Faults>,
    /// Facts about this process.
    pub facts: ProcessFacts,
    /// Where the storage engine's syncs are counted.
    pub syncs: Arc<SyncMeter>,
}

/// The service of one node. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    parts: Arc<Parts>,
    clients: Arc<AtomicU32>,
    draining: Arc<AtomicBool>,
    cancelled: Arc<Cancelled>,
}

impl Service {
    /// A service on `parts`.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
            clients: Arc::default(),
            draining: Arc::default(),
            cancelled: Arc::default(),
        }
    }

    /// From now on requests for data are refused with `NotServing`; what is under way goes on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// When the patience of a request that is read now ends.
    fn deadline(&self, frame: &Frame) -> MonoTime {
        let budget = frame.budget.unwrap_or(BUDGET_DEFAULT).min(BUDGET_MAX);
        self.parts.env.mono().after(budget)
    }
}

impl Handler for Service {
    fn on_client_frame(&self, link: &Arc<dyn Link>, frame: Frame) {
        self.serve_client(link, frame);
    }

    fn on_peer_frame(&self, from: &PeerLink, frame: Frame) {
        self.serve_peer(from, frame);
    }

    fn on_peer_datagram(&self, from: &PeerLink, bytes: Bytes) {
        self.parts.detection.tell(Input::Datagram { from: from.peer, bytes });
    }

    fn on_peer_link(&self, to: &PeerLink) {
        self.introduce(to);
    }

    fn on_peer_lost(&self, peer: NodeIndex) {
        self.parts.coordinator.operations().on_peer_lost(peer);
    }

    fn admit_peer(&self, identity: &Identity) -> Result<NodeIndex, String> {
        admit::admit_peer(&self.parts.cluster, identity)
    }

    fn on_client_link(&self, change: LinkChange) {
        match change {
            LinkChange::Opened => self.clients.fetch_add(1, Ordering::Relaxed),
            LinkChange::Closed => self.clients.fetch_sub(1, Ordering::Relaxed),
        };
    }
}
