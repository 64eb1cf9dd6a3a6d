//! Makes the folder of a local cluster: topology with addresses, certificates, one configuration per node.
//!
//! 1. Take the lock, so that one supervisor at a time works here.
//! 2. Choose the topology: the folder's own, the file that was asked for, or the built-in one; fill in addresses.
//! 3. Make what is missing: the CA, a certificate per node, one of a client, one of an admin, the configurations.
//!
//! Everything is made once and then kept: a second `atoll dev` continues with the data of the first, and whatever its
//! user changed in a configuration stays.
//!
//! Invariants
//! - No key and no configuration is ever overwritten.
//! - The topology file is written before the first certificate, so that addresses are chosen once.

use std::fs::{self, File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use atoll_protocol::identity::{Identity, Role};
use atoll_protocol::ids::Name;
use atoll_protocol::time::WallTime;
use atoll_protocol::topology::{Addresses, Topology, TopologyFile};

use super::layout::{
    ADMIN, CLIENT, Layout, RESERVED_NAMES, make_private_directory, write_atomically,
};
use super::{DevError, addresses};
use crate::cert::{self, Validity};
use crate::config::{RawConfig, RawHandoff, RawListen, RawNode, RawRepair, RawStorage, RawTls};

/// The topology of a cluster that nobody described.
const TOPOLOGY_DEFAULT: &str = include_str!("../../topology/three-dcs.toml");

/// What [`TOPOLOGY_DEFAULT`] is called in messages.
const TOPOLOGY_DEFAULT_NAME: &str = "(built-in three-dcs.toml)";

/// Memtables of a node beside eight others on one machine, in bytes: nine times five of 8 MiB are 360 MiB at most.
const MEMTABLE_BYTES_MAX: u64 = 8 * 1_024 * 1_024;

/// Cache of a node beside eight others on one machine, in bytes: nine of 32 MiB are 288 MiB.
const CACHE_BYTES: u64 = 32 * 1_024 * 1_024;

/// A folder that is ready to run nodes from.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) layout: Layout,
    pub(super) topology: Topology,
    /// In the order of the topology.
    pub(super) nodes: Vec<PlannedNode>,
    /// Held as long as the supervisor lives.
    pub(super) lock: File,
}

/// A node as the supervisor runs it.
#[derive(Clone, Debug)]
pub(super) struct PlannedNode {
    pub(super) name: Name,
    pub(super) dc: Name,
    pub(super) rack: Name,
    pub(super) address: SocketAddr,
    pub(super) config: PathBuf,
    pub(super) data_dir: PathBuf,
    pub(super) log: PathBuf,
}

/// Makes or completes the folder `dir` for a cluster of `topology`.
///
/// Blocks on disk; `now` is the beginning of new certificates, `chance` chooses ports.
///
/// # Errors
/// [`DevError`]; what was made until then stays and is used the next time.
pub(super) fn prepare(
    dir: &Path,
    topology: Option<&Path>,
    (now, chance): (WallTime, u64),
) -> Result<Prepared, DevError> {
    let layout = Layout::create(dir)?;
    let lock = take_lock(&layout)?;
    let topology = settle_topology(&layout, topology, chance)?;
    make_certificates(&layout, &topology, now)?;
    let mut nodes = Vec::with_capacity(topology.nodes().len());
    for node in topology.nodes() {
        let Some(dc) = topology.dc(node.dc) else {
            continue;
        };
        let address = node.address.as_deref().and_then(|address| address.parse().ok());
        let Some(address) = address else { continue };
        let folder = layout.node(&node.name);
        let planned = PlannedNode {
            name: node.name.clone(),
            dc: dc.name.clone(),
            rack: node.rack.clone(),
            address,
            config: folder.join("atoll.toml"),
            data_dir: folder.join("data"),
            log: layout.node_log(&node.name),
        };
        make_private_directory(&folder)?;
        make_config(&planned)?;
        nodes.push(planned);
    }
    assert_eq!(nodes.len(), topology.nodes().len(), "every node has an address by now");
    Ok(Prepared { layout, topology, nodes, lock })
}

/// The topology of a folder that was prepared before; `None` if it was not.
///
/// # Errors
/// [`DevError::Io`], [`DevError::Topology`].
pub(super) fn remembered_topology(layout: &Layout) -> Result<Option<Topology>, DevError> {
    let path = layout.topology();
    let Some(file) = remembered(&path)? else {
        return Ok(None);
    };
    let checked = file.check(Addresses::Required);
    checked.map(Some).map_err(|problems| DevError::Topology { path, problems })
}

fn take_lock(layout: &Layout) -> Result<File, DevError> {
    let path = layout.lock();
    let file = File::create(&path).map_err(DevError::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(DevError::AlreadyRunning { dir: layout.root().to_path_buf() })
        }
        Err(TryLockError::Error(error)) => Err(DevError::io("lock", &path)(error)),
    }
}

/// Chooses the topology and writes it down with an address for every node.
fn settle_topology(
    layout: &Layout,
    asked: Option<&Path>,
    chance: u64,
) -> Result<Topology, DevError> {
    let own = layout.topology();
    let remembered = remembered(&own)?;
    let asked = match asked {
        Some(path) => {
            let text = fs::read_to_string(path).map_err(DevError::io("read", path))?;
            Some((path.to_path_buf(), parse(path, &text)?))
        }
        None => None,
    };
    let (path, mut file) = match (remembered, asked) {
        (Some(remembered), None) => (own.clone(), remembered),
        (Some(remembered), Some((_, asked))) if is_same(&remembered, &asked) => {
            (own.clone(), remembered)
        }
        (Some(_), Some((file, _))) => {
            let dir = layout.root().to_path_buf();
            return Err(DevError::OtherTopology { dir, file });
        }
        (None, Some(asked)) => asked,
        (None, None) => {
            let name = PathBuf::from(TOPOLOGY_DEFAULT_NAME);
            let file = parse(&name, TOPOLOGY_DEFAULT)?;
            (name, file)
        }
    };
    let problems = |problems| DevError::Topology { path: path.clone(), problems };
    file.check(Addresses::Optional).map_err(problems)?;
    if let Some(node) = file.node.iter().find(|node| RESERVED_NAMES.contains(&node.id.as_str())) {
        return Err(DevError::ReservedName { node: node.id.clone() });
    }
    addresses::assign(&mut file, chance)?;
    let topology = file.check(Addresses::Required).map_err(problems)?;
    write_topology(&own, &file)?;
    Ok(topology)
}

fn remembered(path: &Path) -> Result<Option<TopologyFile>, DevError> {
    match fs::read_to_string(path) {
        Ok(text) => parse(path, &text).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DevError::io("read", path)(error)),
    }
}

fn parse(path: &Path, text: &str) -> Result<TopologyFile, DevError> {
    TopologyFile::parse(text)
        .map_err(|problems| DevError::Topology { path: path.to_path_buf(), problems })
}

/// True if `remembered` is `asked` with addresses filled in.
pub(super) fn is_same(remembered: &TopologyFile, asked: &TopologyFile) -> bool {
    let mut stripped = remembered.clone();
    for (ours, theirs) in stripped.node.iter_mut().zip(&asked.node) {
        if theirs.address.is_none() {
            ours.address = None;
        }
    }
    stripped == *asked
}

fn write_topology(path: &Path, file: &TopologyFile) -> Result<(), DevError> {
    let text = file.to_toml().map_err(|error| {
        let detail = std::io::Error::other(error.to_string());
        DevError::io("write", path)(detail)
    })?;
    write_atomically(path, text.as_bytes())
}

/// Makes the CA and the certificates that are missing.
fn make_certificates(layout: &Layout, topology: &Topology, now: WallTime) -> Result<(), DevError> {
    let dir = layout.certificates();
    let cluster = topology.cluster();
    if !layout.ca().exists() {
        cert::create_ca(&dir, cluster, Validity::of_ca(now))?;
    }
    let mut roles = Vec::new();
    for node in topology.nodes() {
        let Some(dc) = topology.dc(node.dc) else {
            continue;
        };
        let (dc, rack) = (dc.name.clone(), node.rack.clone());
        let role = Role::Node { dc, rack, node: node.name.clone() };
        roles.push((node.name.to_string(), role));
    }
    for name in [CLIENT, ADMIN].map(Name::new).into_iter().flatten() {
        let role = match name.as_str() {
            ADMIN => Role::Admin { name: name.clone() },
            _ => Role::Client { name: name.clone() },
        };
        roles.push((name.to_string(), role));
    }
    for (name, role) in roles {
        let (certificate, _) = layout.credentials(&name);
        if !certificate.exists() {
            let cluster = cluster.clone();
            cert::issue(&dir, &dir, &Identity { cluster, role }, Validity::of_leaf(now))?;
        }
    }
    Ok(())
}

/// Writes a node's configuration unless it is there. Its paths are relative, so that the folder can be moved.
fn make_config(node: &PlannedNode) -> Result<(), DevError> {
    if node.config.exists() {
        return Ok(());
    }
    let certificates = Path::new("../../certs");
    let raw = RawConfig {
        node: RawNode {
            id: node.name.to_string(),
            dc: node.dc.to_string(),
            rack: node.rack.to_string(),
            data_dir: PathBuf::from("data"),
            topology: PathBuf::from("../../topology.toml"),
        },
        listen: RawListen { quic: node.address.to_string() },
        tls: RawTls {
            ca: certificates.join("ca.crt"),
            certificate: certificates.join(format!("{}.crt", node.name)),
            key: certificates.join(format!("{}.key", node.name)),
        },
        storage: RawStorage {
            memtable_bytes_max: Some(MEMTABLE_BYTES_MAX),
            cache_bytes: Some(CACHE_BYTES),
            ..RawStorage::default()
        },
        handoff: RawHandoff::default(),
        repair: RawRepair::default(),
    };
    let text = toml::to_string(&raw).map_err(|error| {
        let detail = std::io::Error::other(error.to_string());
        DevError::io("write", &node.config)(detail)
    })?;
    write_atomically(&node.config, text.as_bytes())
}
