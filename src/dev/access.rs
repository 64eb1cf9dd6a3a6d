//! How clients reach a local cluster: its profile, on disk and in memory.
//!
//! 1. [`profile`] describes the cluster to the SDK: every node is a seed, the first datacenter is the local one.
//! 2. `client.toml` is the same with paths relative to the folder, so that the folder can be moved.
//!
//! Invariants
//! - The profile has an admin's certificate too: the folder is its owner's alone.

use std::path::PathBuf;
use std::time::Duration;

use atoll_client::{AdminFiles, Client, ProfileFile, Role};
use atoll_protocol::ids::Name;
use atoll_protocol::topology::Topology;

use super::DevError;
use super::layout::{ADMIN, CLIENT, Layout, write_atomically};

/// Time that a request of the supervisor's own client may take: the asked node asks all others, across the emulated
/// WAN, on a machine that is busy starting them.
const DEADLINE: Duration = Duration::from_secs(3);

/// The profile of the cluster in `layout`, with `dc` as the local datacenter.
pub(super) fn profile(layout: &Layout, topology: &Topology, dc: Option<&Name>) -> ProfileFile {
    let nodes = topology.nodes().iter();
    let (certificate, key) = layout.credentials(CLIENT);
    let (admin_certificate, admin_key) = layout.credentials(ADMIN);
    ProfileFile {
        cluster: topology.cluster().clone(),
        seeds: nodes.filter_map(|node| node.address.clone()).collect(),
        dc: dc.cloned(),
        ca: layout.ca(),
        certificate,
        key,
        admin: Some(AdminFiles { certificate: admin_certificate, key: admin_key }),
        level: None,
        deadline: None,
    }
}

/// Writes `client.toml`.
///
/// # Errors
/// [`DevError::Io`].
pub(super) fn write_profile(layout: &Layout, topology: &Topology) -> Result<(), DevError> {
    let dc = topology.dcs().first().map(|dc| &dc.name);
    let mut file = profile(layout, topology, dc);
    let admin = file.admin.iter_mut();
    let of_admin = admin.flat_map(|admin| [&mut admin.certificate, &mut admin.key]);
    for path in [&mut file.ca, &mut file.certificate, &mut file.key].into_iter().chain(of_admin) {
        let relative: Option<PathBuf> = path.strip_prefix(layout.root()).ok().map(PathBuf::from);
        if let Some(relative) = relative {
            *path = relative;
        }
    }
    write_atomically(&layout.profile(), file.to_toml().as_bytes())
}

/// Connects for the supervisor's own questions.
///
/// # Errors
/// What the SDK says.
pub(super) async fn connect(
    profile: &ProfileFile,
    role: Role,
) -> Result<Client, atoll_client::Error> {
    let builder = match Client::from_profile(profile, role) {
        Ok(builder) => builder,
        Err(error) => {
            let problems = vec![error.to_string()];
            return Err(atoll_client::Error::Configuration { problems });
        }
    };
    builder.deadline(DEADLINE).connect().await
}
