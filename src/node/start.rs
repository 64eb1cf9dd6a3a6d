//! Makes a real node from its configuration.
//!
//! Order matters: nothing is listened on before the data directory is known to be ours and readable, and the clean
//! marker is gone (durably) before the first request can be served.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::identity::{Identity, Role};
use atoll_protocol::ids::{DcIndex, Name, NodeIndex};
use atoll_protocol::time::WallTime;
use atoll_protocol::topology::{Addresses, Topology, TopologyFile};
use atoll_quic::{CredentialPaths, Credentials, Endpoint, EndpointConfig, LinkEmulator};
use atoll_storage::{Options, RealDisk};

use super::data::{Claim, Data, Places};
use super::error::StartError;
use super::open_files::raise_open_files;
use super::{Node, Pacing, Parts};
use crate::config::Config;
use crate::env::Env;
use crate::handoff::HandoffLimits;
use crate::meta::{Meta, Owner};
use crate::net::{EmulatedLinks, EmulatedPeer, FaultPolicy, QuicTransport};
use crate::purge::PurgePacing;
use crate::repair::RepairPacing;
use crate::scrub::ScrubPacing;
use crate::service::ProcessFacts;

/// How a node is started besides its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeOptions {
    /// Whether it accepts fault commands.
    pub faults: FaultPolicy,
    /// Whether it emulates the topology's round-trip times.
    pub wan: Wan,
}

/// Whether the topology's round-trip times are emulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wan {
    /// Yes, in the UDP socket.
    Emulated,
    /// No: the network is what it is.
    Real,
}

/// Starts the node that `config` describes. Blocks on disk while it does.
///
/// # Errors
/// [`StartError`]; nothing was listened on, and nothing of the data directory was changed unless it is ours.
pub async fn start(env: Env, config: &Config, options: NodeOptions) -> Result<Node, StartError> {
    let topology = Arc::new(load_topology(&config.topology)?);
    let own = find_own(config, &topology)?;
    let credentials = load_credentials(env.wall(), config, &topology)?;
    raise_open_files();
    let storage = config.storage.options_of(own.0);
    let data = open_data(&env, config, (topology, &storage))?;
    let topology = data.topology.clone();
    let emulator = Arc::new(LinkEmulator::new(env.random_u64()));
    let faults = emulated_links(&topology, own, options, emulator.clone()).await;
    let spawn_env = env.clone();
    let mut endpoint = EndpointConfig::node(
        config.listen,
        credentials,
        Arc::new(move |name, task| spawn_env.spawn(name, task)),
    );
    endpoint.emulator = Some(emulator);
    let endpoint = Endpoint::bind(endpoint)?;
    let life = data.begin_life(&env)?;
    tracing::info!(node = %config.node, listen = %config.listen, epoch = %topology.epoch(), "serving");
    let facts = ProcessFacts {
        node: config.node.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started: env.mono(),
        boot: env.random_u64(),
    };
    Ok(Node::start(Parts {
        env,
        transport: Arc::new(QuicTransport::new(endpoint)),
        faults: Arc::new(faults),
        engine: data.engine,
        meta: data.meta,
        life,
        topology,
        own,
        keyspaces: data.keyspaces,
        facts,
        durability: config.storage.durability,
        pacing: Pacing::new(&storage, config.storage.compaction_bytes_per_second_max),
        repair: RepairPacing { cycle: config.repair.cycle },
        purge: PurgePacing { after: config.repair.purge_after },
        scrub: ScrubPacing { bytes_per_second_max: config.storage.scrub_bytes_per_second_max },
        hints: data.hints,
        hint_limits: HandoffLimits {
            bytes_max: config.handoff.hint_bytes_max,
            age_max: config.handoff.hint_age_max,
        },
        syncs: data.syncs,
    }))
}

pub(super) fn load_topology(path: &Path) -> Result<Topology, StartError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| StartError::TopologyUnreadable {
        path: shown.clone(),
        detail: error.to_string(),
    })?;
    TopologyFile::parse(&text)
        .and_then(|file| file.check(Addresses::Required))
        .map_err(|problems| StartError::Topology { path: shown, problems })
}

pub(super) fn find_own(
    config: &Config,
    topology: &Topology,
) -> Result<(NodeIndex, DcIndex), StartError> {
    let not_member =
        |detail| StartError::NotMember { path: config.topology.display().to_string(), detail };
    let Some((index, node)) = topology.node_by_name(&config.node) else {
        let detail = format!("node {} is not in it; add it, or mend node.id", config.node);
        return Err(not_member(detail));
    };
    let dc = topology.dc(node.dc).map(|dc| &dc.name);
    if dc != Some(&config.dc) || node.rack != config.rack {
        let found = dc.map_or("?", Name::as_str);
        return Err(not_member(format!(
            "node {} is in dc {found}, rack {} there, and in dc {}, rack {} in the configuration; mend one of them",
            config.node, node.rack, config.dc, config.rack
        )));
    }
    Ok((index, node.dc))
}

pub(super) fn load_credentials(
    now: WallTime,
    config: &Config,
    topology: &Topology,
) -> Result<Credentials, StartError> {
    let paths = CredentialPaths {
        ca: config.ca.clone(),
        certificate: config.certificate.clone(),
        key: config.key.clone(),
    };
    let credentials = Credentials::load(&paths, now)?;
    let expected = Identity {
        cluster: topology.cluster().clone(),
        role: Role::Node {
            dc: config.dc.clone(),
            rack: config.rack.clone(),
            node: config.node.clone(),
        },
    };
    if *credentials.identity() != expected {
        return Err(StartError::Identity {
            found: Box::new(credentials.identity().clone()),
            expected: Box::new(expected),
        });
    }
    Ok(credentials)
}

fn open_data(
    env: &Env,
    config: &Config,
    (topology, options): (Arc<Topology>, &Options),
) -> Result<Data, StartError> {
    let data = &config.data_dir;
    let storage = data.join("storage");
    make_private_directory(data)?;
    make_private_directory(&storage)?;
    let owner = Owner {
        cluster: topology.cluster().clone(),
        dc: config.dc.clone(),
        rack: config.rack.clone(),
        node: config.node.clone(),
    };
    let claim = Claim { owner, topology, source: &config.topology };
    let places =
        Places { root: Arc::new(RealDisk::new(data)), storage: Arc::new(RealDisk::new(&storage)) };
    Data::open(env, places, options.clone(), |name: &str| Meta::open(&data.join(name)), claim)
}

/// Creates a directory and missing parents that only this user may enter; durable on return.
fn make_private_directory(path: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt;
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    let synced = made.and_then(|()| {
        let mut parents = missing.into_iter().filter_map(Path::parent);
        parents.try_for_each(|parent| {
            let here = parent.as_os_str().is_empty();
            std::fs::File::open(if here { Path::new(".") } else { parent })?.sync_all()
        })
    });
    synced.map_err(|error| StartError::DataDirectory {
        path: path.display().to_string(),
        detail: error.to_string(),
    })
}

async fn emulated_links(
    topology: &Topology,
    (own, own_dc): (NodeIndex, DcIndex),
    options: NodeOptions,
    emulator: Arc<LinkEmulator>,
) -> EmulatedLinks {
    let mut peers = BTreeMap::new();
    for index in topology.node_indices().filter(|&index| index != own) {
        let Some(node) = topology.node(index) else {
            continue;
        };
        let Some(address) = resolve(node.address.as_deref()).await else {
            continue;
        };
        let wan_delay = match options.wan {
            Wan::Emulated => topology.rtt(own_dc, node.dc) / 2,
            Wan::Real => Duration::ZERO,
        };
        peers.insert(node.name.clone(), EmulatedPeer { address, wan_delay });
    }
    EmulatedLinks::new(options.faults, emulator, peers)
}

/// Link emulation is for development, where addresses are IP:port; a name that does not resolve has no emulation.
async fn resolve(address: Option<&str>) -> Option<SocketAddr> {
    tokio::net::lookup_host(address?).await.ok()?.next()
}
