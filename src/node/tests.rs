//! Whole nodes in one process: real storage, real certificates, real QUIC on loopback.
//!
//! The binary has its own black-box tests; these are for what they cannot see, and to find a broken node in seconds.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::frame::Frame;
use atoll_protocol::identity::{Identity, Role};
use atoll_protocol::ids::{Epoch, Incarnation, Name};
use atoll_protocol::quorum::Level;
use atoll_protocol::wire::{
    self, Envelope, Failure, GetRequest, Invalid, NodeState, PutBody, PutRequest, QuorumKind,
    Reply, Request, StorageReport, SyncKind,
};
use atoll_quic::{
    Alpn, Connection, CredentialPaths, Credentials, Endpoint, EndpointConfig, ExpectedPeer,
};
use bytes::Bytes;
use tempfile::TempDir;

use super::{Node, NodeOptions, Wan, start};
use crate::cert::{self, Validity};
use crate::config::{Config, HandoffConfig, RepairConfig, StorageConfig};
use crate::env::{Env, RealEnv};
use crate::net::FaultPolicy;

/// Guards against a hang; nothing is expected to take this long.
const PATIENCE: Duration = Duration::from_secs(60);

struct Cluster {
    env: Env,
    folder: TempDir,
    nodes: Vec<(String, SocketAddr, Option<Node>)>,
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn free_address() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Cluster {
    /// One datacenter `eu` per entry of `dcs`, with so many nodes in as many racks.
    async fn start(dcs: &[(&str, usize)]) -> Self {
        let folder = TempDir::new().unwrap();
        let env = RealEnv::create();
        let mut toml = "cluster = \"test\"\npartitions = 16\n".to_owned();
        let mut plan = Vec::new();
        for (dc, count) in dcs {
            toml += &format!("[[dc]]\nname = \"{dc}\"\n");
            for index in 0..*count {
                let (id, address) = (format!("{dc}-{index}"), free_address());
                toml += &format!(
                    "[[node]]\nid = \"{id}\"\ndc = \"{dc}\"\nrack = \"r{index}\"\naddress = \"{address}\"\n"
                );
                plan.push((id, address));
            }
        }
        std::fs::write(folder.path().join("topology.toml"), toml).unwrap();
        cert::create_ca(folder.path(), &name("test"), Validity::of_ca(env.wall())).unwrap();
        let mut cluster = Self { env, folder, nodes: Vec::new() };
        for (id, address) in plan {
            cluster.issue(Role::Node {
                dc: name(id.split('-').next().unwrap()),
                rack: name(&format!("r{}", id.split('-').next_back().unwrap())),
                node: name(&id),
            });
            let node = start(cluster.env.clone(), &cluster.config(&id, address), options()).await;
            cluster.nodes.push((id, address, Some(node.unwrap())));
        }
        cluster.issue(Role::Client { name: name("app") });
        cluster
    }

    fn issue(&self, role: Role) {
        let identity = Identity { cluster: name("test"), role };
        let validity = Validity::of_leaf(self.env.wall());
        cert::issue(self.folder.path(), self.folder.path(), &identity, validity).unwrap();
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn config(&self, id: &str, listen: SocketAddr) -> Config {
        let (dc, index) = id.split_once('-').unwrap();
        Config {
            node: name(id),
            dc: name(dc),
            rack: name(&format!("r{index}")),
            data_dir: self.path(&format!("data-{id}")),
            topology: self.path("topology.toml"),
            listen,
            ca: self.path("ca.crt"),
            certificate: self.path(&format!("{id}.crt")),
            key: self.path(&format!("{id}.key")),
            storage: StorageConfig { memtable_bytes_max: 1 << 20, ..StorageConfig::default() },
            handoff: HandoffConfig::default(),
            repair: RepairConfig::default(),
        }
    }

    async fn client(&self, index: usize) -> Client {
        let paths = CredentialPaths {
            ca: self.path("ca.crt"),
            certificate: self.path("app.crt"),
            key: self.path("app.key"),
        };
        let credentials = Credentials::load(&paths, self.env.wall()).unwrap();
        let env = self.env.clone();
        let spawner = Arc::new(move |name, task| env.spawn(name, task));
        let endpoint = Endpoint::bind(EndpointConfig::client(credentials, spawner)).unwrap();
        let expected = ExpectedPeer::AnyNode { cluster: name("test") };
        let address = self.nodes[index].1;
        let connection = endpoint.connect(address, Alpn::Client, expected).await.unwrap();
        Client { connection, _endpoint: endpoint, request: 0 }
    }

    /// Waits until every running node says that it is connected to every other running one.
    async fn connected(&self) {
        let running: Vec<usize> =
            (0..self.nodes.len()).filter(|&index| self.nodes[index].2.is_some()).collect();
        for &index in &running {
            let mut client = self.client(index).await;
            loop {
                let Reply::Status(reports) = client.ask(Request::Status, Bytes::new()).await.0
                else {
                    panic!("status expected");
                };
                let up = reports.iter().filter(|r| matches!(r.state, NodeState::Up(_))).count();
                if up == running.len() {
                    break;
                }
                // bounded poll: the whole test has a deadline.
                self.env.sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn incarnation(&self, index: usize) -> Incarnation {
        let mut client = self.client(index).await;
        let Reply::Status(reports) = client.ask(Request::Status, Bytes::new()).await.0 else {
            panic!("status expected");
        };
        match &reports[index].state {
            NodeState::Up(status) => status.incarnation,
            down @ NodeState::Down { .. } => panic!("{down:?}"),
        }
    }

    async fn stop(&mut self, index: usize) {
        let node = self.nodes[index].2.take().unwrap();
        node.stop().await.unwrap();
    }

    async fn restart(&mut self, index: usize) {
        let (id, address) = (self.nodes[index].0.clone(), self.nodes[index].1);
        let config = self.config(&id, address);
        self.nodes[index].2 = Some(start(self.env.clone(), &config, options()).await.unwrap());
    }
}

fn options() -> NodeOptions {
    NodeOptions { faults: FaultPolicy::Refused, wan: Wan::Real }
}

struct Client {
    connection: Connection,
    _endpoint: Endpoint,
    request: u64,
}

impl Client {
    async fn ask(&mut self, request: Request, payload: Bytes) -> (Reply, Bytes) {
        self.request += 1;
        let budget = Some(Duration::from_secs(5));
        let envelope = Envelope { request: self.request, epoch: Epoch(1), budget };
        let frame = wire::to_frame(&request, payload, envelope).unwrap();
        self.connection.send(frame).unwrap();
        let frame: Frame = self.connection.recv().await.unwrap();
        assert_eq!(frame.request, self.request);
        (wire::from_frame(&frame).unwrap(), frame.payload)
    }

    async fn put(&mut self, key: &str, value: &str, level: Level, context: Option<Bytes>) -> Reply {
        let request = PutRequest {
            keyspace: name("default"),
            key: Bytes::copy_from_slice(key.as_bytes()),
            level,
            context,
            body: PutBody::Value,
            ttl: None,
            quorum: QuorumKind::Strict,
            at_least: None,
        };
        self.ask(Request::Put(request), Bytes::copy_from_slice(value.as_bytes())).await.0
    }

    async fn storage(&mut self) -> Vec<StorageReport> {
        match self.ask(Request::Storage, Bytes::new()).await.0 {
            Reply::Storage(reports) => reports,
            other => panic!("{other:?}"),
        }
    }

    async fn get(&mut self, key: &str, level: Level) -> (Reply, Bytes) {
        let key = Bytes::copy_from_slice(key.as_bytes());
        let request = GetRequest { keyspace: name("default"), key, level, at_least: None };
        self.ask(Request::Get(request), Bytes::new()).await
    }
}

async fn within_patience(test: impl Future<Output = ()>) {
    tokio::time::timeout(PATIENCE, test).await.expect("the test hangs");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_level_works_from_every_node() {
    within_patience(async {
        let cluster = Cluster::start(&[("eu", 3), ("us", 2)]).await;
        cluster.connected().await;
        for index in 0..5 {
            let mut client = cluster.client(index).await;
            for level in Level::NAMED.into_iter().chain([Level::LocalQuorumPlus(1)]) {
                let key = format!("key-{index}-{level}");
                let put = client.put(&key, "value", level, None).await;
                assert!(matches!(put, Reply::Put(_)), "{level}: {put:?}");
                let (get, payload) = client.get(&key, level).await;
                let Reply::Get { cells, .. } = get else { panic!("{level}: {get:?}") };
                let is_overlapping = !matches!(level, Level::One | Level::Two | Level::LocalOne);
                if is_overlapping {
                    assert_eq!((cells.len(), &payload[..]), (1, &b"value"[..]), "{level}");
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_node_makes_levels_unavailable_and_comes_back_with_its_data() {
    within_patience(async {
        let mut cluster = Cluster::start(&[("eu", 3)]).await;
        cluster.connected().await;
        let mut client = cluster.client(0).await;
        assert!(matches!(client.put("k", "v1", Level::All, None).await, Reply::Put(_)));
        cluster.stop(2).await;
        cluster.connected().await;
        let refused = client.put("k", "v2", Level::All, None).await;
        let Reply::Failed(failure) = refused else { panic!("{refused:?}") };
        assert!(matches!(failure, Failure::Unavailable { needed: 3, alive: 2, .. }), "{failure}");
        assert!(!failure.may_have_applied());
        let (get, _) = client.get("k", Level::Quorum).await;
        let Reply::Get { context, cells, .. } = get else { panic!("{get:?}") };
        assert_eq!(cells.len(), 1, "the refused put wrote nothing");
        let put = client.put("k", "v3", Level::Quorum, Some(context)).await;
        assert!(matches!(put, Reply::Put(_)), "{put:?}");
        cluster.restart(2).await;
        cluster.connected().await;
        let mut returned = cluster.client(2).await;
        let (get, payload) = returned.get("k", Level::Quorum).await;
        assert!(matches!(get, Reply::Get { ref cells, .. } if cells.len() == 1), "{get:?}");
        assert_eq!(&payload[..], b"v3", "a quorum get never returns less");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_told_why() {
    within_patience(async {
        let cluster = Cluster::start(&[("eu", 1)]).await;
        let mut client = cluster.client(0).await;
        let refused = [
            (client.put("", "v", Level::One, None).await, "empty"),
            (client.put(&"k".repeat(1_025), "v", Level::One, None).await, "1025"),
            (client.put("k", &"v".repeat(10_240), Level::One, None).await, "10241"),
            (client.put("k", "v", Level::Two, None).await, "TWO needs 2"),
            (client.put("k", "v", Level::One, Some(Bytes::from_static(b"x"))).await, "damaged"),
        ];
        for (reply, expected) in refused {
            let Reply::Failed(failure) = reply else { panic!("{reply:?}") };
            assert!(matches!(failure, Failure::Invalid(_)), "{failure:?}");
            assert!(failure.to_string().contains(expected), "{failure}");
        }
        let unknown = GetRequest {
            keyspace: name("nowhere"),
            key: Bytes::from_static(b"k"),
            level: Level::One,
            at_least: None,
        };
        let (reply, _) = client.ask(Request::Get(unknown), Bytes::new()).await;
        let expected = Invalid::UnknownKeyspace { name: name("nowhere") };
        assert_eq!(reply, Reply::Failed(Failure::Invalid(expected)));
        assert!(Path::new(&cluster.path("data-eu-0")).exists());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_node_tells_of_the_storage_of_all() {
    within_patience(async {
        let mut cluster = Cluster::start(&[("eu", 2), ("us", 1)]).await;
        cluster.connected().await;
        let mut client = cluster.client(2).await;
        for round in 0..10 {
            let put = client.put(&format!("k{round}"), "value", Level::All, None).await;
            assert!(matches!(put, Reply::Put(_)), "{put:?}");
        }
        let reports = client.storage().await;
        let names: Vec<&str> = reports.iter().map(|report| report.node.as_str()).collect();
        assert_eq!(names, ["eu-0", "eu-1", "us-0"]);
        for report in &reports {
            let status = report.told.as_ref().unwrap();
            assert!(status.entries >= 10, "{report:?}");
            assert!(status.memtable_bytes > 0 && status.wal_bytes > 0, "{report:?}");
            assert!(status.write_amplification_per_mille >= 1_000, "{report:?}");
            let log = status.syncs.iter().find(|syncs| syncs.kind == SyncKind::Log).unwrap();
            // The engine counts the syncs of groups, the disk those of files: an overlap of two segments is one of both.
            assert!(log.since_start.count >= 1 && status.fsyncs >= 1, "{report:?}");
            assert!(log.since_start.p50_us <= log.since_start.p99_us, "{report:?}");
            assert!(log.since_start.p99_us <= log.since_start.max_us, "{report:?}");
            assert!(log.since_start.max_us > 0, "{report:?}");
            assert!(log.last_minute.count <= log.since_start.count, "{report:?}");
        }
        cluster.stop(0).await;
        let silent = client.storage().await.into_iter().find(|it| it.node.as_str() == "eu-0");
        assert!(silent.unwrap().told.is_err());
    })
    .await;
}

/// What redb does by itself when its last commit is damaged, done by hand. Found by the simulator.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_was_rolled_back_does_not_bring_an_incarnation_back() {
    within_patience(async {
        let mut cluster = Cluster::start(&[("eu", 1)]).await;
        let metadata = cluster.path("data-eu-0").join("meta.redb");
        let first = cluster.incarnation(0).await;
        cluster.stop(0).await;
        let rolled_back = std::fs::read(&metadata).unwrap();
        cluster.restart(0).await;
        assert_eq!(cluster.incarnation(0).await, first, "the stop was clean");
        let put = cluster.client(0).await.put("k", "v", Level::One, None).await;
        assert!(matches!(put, Reply::Put(_)), "{put:?}");
        cluster.stop(0).await;
        std::fs::write(&metadata, rolled_back).unwrap();
        cluster.restart(0).await;
        assert_ne!(cluster.incarnation(0).await, first);
    })
    .await;
}
