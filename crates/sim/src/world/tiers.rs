//! The two tiers behind one face: how a node listens and how a client dials.
//!
//! - Messages: [`Net`] carries frames.
//! - Quic: [`Net`] decides about datagrams only; quinn and rustls do the rest.

use std::net::SocketAddr;
use std::sync::Arc;

use atoll_protocol::identity::Identity;
use atoll_protocol::topology::Topology;
use atolldb::env::{BoxFuture, Env};
use atolldb::net::{Link, PeerAddress, Protocol, Transport};

use super::shape;
use crate::exec::{Owner, ProcessId};
use crate::net::{Dial, Net};
use crate::plan::Tier;
use crate::prng::Prng;
use crate::quic::{Authority, Place, UdpNet, Wire, client_transport, node_transport};

/// What carries what.
pub(super) enum Carrier {
    Messages,
    Quic(Box<Quic>),
}

/// The second tier.
pub(super) struct Quic {
    udp: UdpNet,
    authority: Authority,
    seed: u64,
}

/// The network, as a switchboard of datagrams sees it.
struct NetWire {
    net: Net,
}

/// Connects a client on the first tier.
struct MessageDial {
    net: Net,
    owner: Owner,
    identity: Identity,
}

/// Connects a client on the second tier.
struct QuicDial {
    transport: Arc<dyn Transport>,
    topology: Arc<Topology>,
}

impl Carrier {
    /// What carries a plan's traffic.
    pub(super) fn new(
        tier: Tier,
        seed: u64,
        net: &Net,
        topology: &Topology,
    ) -> Result<Self, String> {
        if tier == Tier::Messages {
            return Ok(Self::Messages);
        }
        let authority =
            Authority::new(seed, topology.cluster().clone()).map_err(|error| error.to_string())?;
        let udp = UdpNet::new(Arc::new(NetWire { net: net.clone() }), seed);
        Ok(Self::Quic(Box::new(Quic { udp, authority, seed })))
    }

    /// A node's access to the network.
    ///
    /// # Panics
    /// If a certificate cannot be made: names are the simulator's own.
    pub(super) fn listen(
        &self,
        net: &Net,
        (owner, env): (Owner, &Env),
        identity: Identity,
    ) -> Arc<dyn Transport> {
        match self {
            Self::Messages => Arc::new(net.listen(owner, identity)),
            Self::Quic(_) => {
                let place =
                    self.place((owner, env), &identity).expect("the second tier has places");
                node_transport(&place).expect("the address of a dead process is free")
            }
        }
    }

    /// What a client dials with.
    pub(super) fn dialler(
        &self,
        (net, topology): (&Net, &Arc<Topology>),
        (owner, env): (Owner, &Env),
        identity: Identity,
    ) -> Option<Arc<dyn Dial>> {
        match self {
            Self::Messages => Some(Arc::new(MessageDial { net: net.clone(), owner, identity })),
            Self::Quic(_) => {
                let transport = client_transport(&self.place((owner, env), &identity)?).ok()?;
                Some(Arc::new(QuicDial { transport, topology: topology.clone() }))
            }
        }
    }

    /// The process is dead: its address is free.
    pub(super) fn forget(&self, process: ProcessId) {
        if let (Self::Quic(quic), Some(address)) = (self, address_of(process)) {
            quic.udp.unbind(address);
        }
    }

    fn place(&self, (owner, env): (Owner, &Env), identity: &Identity) -> Option<Place> {
        let Self::Quic(quic) = self else { return None };
        let label = format!("life/{}/{}", owner.process.0, owner.life);
        Some(Place {
            env: env.clone(),
            net: quic.udp.clone(),
            address: address_of(owner.process)?,
            credentials: quic.authority.credentials(identity).ok()?,
            seed: Prng::stream(quic.seed, &label).bits(),
        })
    }
}

fn address_of(process: ProcessId) -> Option<SocketAddr> {
    Net::address(process).parse().ok()
}

impl Wire for NetWire {
    fn carry(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        length: usize,
        arrive: Arc<dyn Fn() + Send + Sync>,
    ) {
        let ends = (Net::process_at(&from.to_string()), Net::process_at(&to.to_string()));
        if let (Some(from), Some(to)) = ends {
            self.net.carry((from, to), length, arrive);
        }
    }
}

impl Dial for MessageDial {
    fn dial(&self, to: ProcessId) -> BoxFuture<'static, Option<Arc<dyn Link>>> {
        let link = self.net.dial((self.owner, self.identity.clone()), to, Protocol::Client);
        Box::pin(async move { Some(link.await) })
    }
}

impl Dial for QuicDial {
    fn dial(&self, to: ProcessId) -> BoxFuture<'static, Option<Arc<dyn Link>>> {
        let node = u16::try_from(to.0).map(atoll_protocol::ids::NodeIndex).ok();
        let identity = node.and_then(|node| shape::identity_of(&self.topology, node));
        let transport = self.transport.clone();
        Box::pin(async move {
            let (identity, _) = identity?;
            transport.connect(PeerAddress { address: Net::address(to), identity }).await.ok()
        })
    }
}
