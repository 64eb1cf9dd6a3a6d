//! The files of a cluster: made with the library, as `atoll cert` and an operator would.
//!
//! ```text
//! topology.toml                node addresses on the loopback interface
//! certs/ca.*, certs/ID.*       one per node; client, admin
//! ID.toml, ID/, ID.log         configuration, data directory and log of each node
//! client.toml                  the profile
//! ```

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use atoll_client::{AdminFiles, ProfileFile};
use atoll_protocol::identity::{Identity, Role};
use atolldb::cert::{self, IssuedPaths, Validity};
use atolldb::config::{RawConfig, RawHandoff, RawListen, RawNode, RawRepair, RawStorage, RawTls};
use tempfile::TempDir;

use super::ports::free_address;
use super::{Cli, Outcome, name, now};

/// Name of every test's cluster.
pub(crate) const CLUSTER: &str = "reef";

/// Time that a request may take: a second is much, but this machine may be busy with something else.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// A node as it is planned.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) dc: String,
    pub(crate) rack: String,
    pub(crate) address: SocketAddr,
}

/// The files of one cluster, in a folder of their own.
#[derive(Debug)]
pub(crate) struct Folder {
    root: TempDir,
    pub(crate) members: Vec<Member>,
}

impl Folder {
    /// Makes everything for `count` nodes in each datacenter; nodes are called `DC-0`, `DC-1` and so on.
    pub(crate) fn create(dcs: &[(&str, usize)]) -> Self {
        Self::create_varied(dcs, |_| {})
    }

    /// The same with a variation of every node's configuration.
    pub(crate) fn create_varied(dcs: &[(&str, usize)], change: impl Fn(&mut RawConfig)) -> Self {
        let root = TempDir::new().unwrap();
        let mut members = Vec::new();
        for (dc, count) in dcs {
            members.extend((0..*count).map(|index| Member {
                id: format!("{dc}-{index}"),
                dc: (*dc).to_owned(),
                rack: format!("r{index}"),
                address: free_address(),
            }));
        }
        let folder = Self { root, members };
        fs::write(folder.topology(), folder.topology_text()).unwrap();
        cert::create_ca(&folder.certificates(), &name(CLUSTER), Validity::of_ca(now())).unwrap();
        for member in &folder.members {
            let (dc, rack, node) = (name(&member.dc), name(&member.rack), name(&member.id));
            folder.issue(Role::Node { dc, rack, node });
            let path = folder.config(&member.id);
            let mut raw = folder.raw_config(member);
            change(&mut raw);
            fs::write(path, toml::to_string(&raw).unwrap()).unwrap();
        }
        folder.issue(Role::Client { name: name("client") });
        folder.issue(Role::Admin { name: name("admin") });
        fs::write(folder.path("client.toml"), folder.profile().to_toml()).unwrap();
        folder
    }

    /// A file in it.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.root.path().join(file)
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, file: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(file);
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn topology(&self) -> PathBuf {
        self.path("topology.toml")
    }

    pub(crate) fn certificates(&self) -> PathBuf {
        self.path("certs")
    }

    /// The configuration of a node.
    pub(crate) fn config(&self, id: &str) -> PathBuf {
        self.path(&format!("{id}.toml"))
    }

    /// What a node says.
    pub(crate) fn log(&self, id: &str) -> PathBuf {
        self.path(&format!("{id}.log"))
    }

    /// Writes a variation of a node's configuration and returns its path.
    pub(crate) fn vary_config(&self, id: &str, change: impl FnOnce(&mut RawConfig)) -> PathBuf {
        let member = self.members.iter().find(|member| member.id == id).unwrap();
        let mut raw = self.raw_config(member);
        change(&mut raw);
        self.write("varied.toml", toml::to_string(&raw).unwrap())
    }

    /// Issues a certificate with the cluster's CA.
    pub(crate) fn issue(&self, role: Role) -> IssuedPaths {
        let identity = Identity { cluster: name(CLUSTER), role };
        let certs = self.certificates();
        cert::issue(&certs, &certs, &identity, Validity::of_leaf(now())).unwrap()
    }

    /// How clients reach the cluster.
    pub(crate) fn profile(&self) -> ProfileFile {
        let certs = self.certificates();
        ProfileFile {
            cluster: name(CLUSTER),
            seeds: self.members.iter().map(|member| member.address.to_string()).collect(),
            dc: self.members.first().map(|member| name(&member.dc)),
            ca: certs.join("ca.crt"),
            certificate: certs.join("client.crt"),
            key: certs.join("client.key"),
            admin: Some(AdminFiles {
                certificate: certs.join("admin.crt"),
                key: certs.join("admin.key"),
            }),
            level: None,
            deadline: Some(DEADLINE),
        }
    }

    /// The binary with the cluster's profile.
    pub(crate) fn cli(&self) -> Cli {
        Cli::new(self.root.path()).with_profile(self.path("client.toml"))
    }

    /// The binary with a variation of the cluster's profile.
    pub(crate) fn cli_with(&self, change: impl FnOnce(&mut ProfileFile)) -> Cli {
        let mut profile = self.profile();
        change(&mut profile);
        let path = self.write("varied-client.toml", profile.to_toml());
        Cli::new(self.root.path()).with_profile(path)
    }

    /// Runs a node that is expected not to start.
    pub(crate) async fn refused(&self, config: &Path) -> Outcome {
        self.cli().run(&["node".as_ref(), "--config".as_ref(), config.as_os_str()]).await
    }

    fn raw_config(&self, member: &Member) -> RawConfig {
        let certificates = PathBuf::from("certs");
        RawConfig {
            node: RawNode {
                id: member.id.clone(),
                dc: member.dc.clone(),
                rack: member.rack.clone(),
                data_dir: PathBuf::from(&member.id),
                topology: PathBuf::from("topology.toml"),
            },
            listen: RawListen { quic: member.address.to_string() },
            tls: RawTls {
                ca: certificates.join("ca.crt"),
                certificate: certificates.join(format!("{}.crt", member.id)),
                key: certificates.join(format!("{}.key", member.id)),
            },
            storage: RawStorage::default(),
            handoff: RawHandoff::default(),
            repair: RawRepair::default(),
        }
    }

    fn topology_text(&self) -> String {
        let mut text = format!("cluster = \"{CLUSTER}\"\npartitions = 16\n");
        let mut dcs: Vec<&str> = self.members.iter().map(|member| member.dc.as_str()).collect();
        dcs.dedup();
        for dc in dcs {
            text += &format!("[[dc]]\nname = \"{dc}\"\n");
        }
        for Member { id, dc, rack, address } in &self.members {
            text += &format!(
                "[[node]]\nid = \"{id}\"\ndc = \"{dc}\"\nrack = \"{rack}\"\naddress = \"{address}\"\n"
            );
        }
        text
    }
}
