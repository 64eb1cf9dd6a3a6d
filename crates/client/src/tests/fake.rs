//! A cluster of fake nodes: real connections and certificates in front of one shared map of real records.
//!
//! Each get and put takes the next act of the script; without one it is served from the map.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use atoll_protocol::frame::Frame;
use atoll_protocol::ids::{Epoch, Incarnation, Name};
use atoll_protocol::keyspace::{Conflict, Keyspace, KeyspaceMap};
use atoll_protocol::record::{Cell, CellBody, Record};
use atoll_protocol::time::WallTime;
use atoll_protocol::token::Token;
use atoll_protocol::topology::{Addresses, DcEntry, NodeEntry, Topology, TopologyFile};
use atoll_protocol::version::{Context, Dot, Timestamp};
use atoll_protocol::wire::{
    self, Acknowledged, CellMeta, ClusterView, Envelope, Failure, GetRequest, Invalid, PutBody,
    PutRequest, Reply, Request,
};
use atoll_quic::{CloseCode, Connection, Credentials, Endpoint, EndpointConfig};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::pki::Authority;
use crate::runtime;
use crate::{Client, ClientBuilder};

/// What a node does with the next get or put.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Serve it.
    Serve,
    /// Serve it after somebody else has written this value blindly.
    Overtake(Bytes),
    /// Answer that it failed.
    Fail(Failure),
    /// Close the connection without an answer.
    Break,
    /// Never answer.
    Silence,
}

/// A node of the fake cluster, as a test writes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct FakeNode {
    pub(super) dc: &'static str,
    pub(super) name: &'static str,
    /// Whether it can be dialled.
    pub(super) is_up: bool,
}

pub(super) struct FakeCluster {
    pub(super) authority: Authority,
    pub(super) shared: Arc<Shared>,
    /// Keeps the sockets open.
    pub(super) endpoints: BTreeMap<&'static str, Endpoint>,
}

pub(super) struct Shared {
    pub(super) topology: Mutex<Topology>,
    pub(super) keyspaces: Mutex<KeyspaceMap>,
    /// Acts of the next gets and puts.
    pub(super) script: Mutex<VecDeque<Act>>,
    /// What follows the script.
    pub(super) otherwise: Mutex<Act>,
    /// Every request with the node that got it.
    pub(super) log: watch::Sender<Vec<(Name, Request)>>,
    /// Connections that have ended.
    pub(super) ended: watch::Sender<usize>,
    records: Mutex<BTreeMap<Bytes, Record>>,
}

pub(super) const CLUSTER: &str = "reef";

pub(super) const fn up(dc: &'static str, name: &'static str) -> FakeNode {
    FakeNode { dc, name, is_up: true }
}

pub(super) const fn down(dc: &'static str, name: &'static str) -> FakeNode {
    FakeNode { dc, name, is_up: false }
}

/// An address that fails at once: the resolver refuses a label of 64 letters without asking anybody.
pub(super) fn nowhere(port: usize) -> String {
    format!("{}:{port}", "x".repeat(64))
}

impl FakeCluster {
    /// Three nodes of one datacenter that replicate everything.
    pub(super) fn three() -> Self {
        Self::new(&[up("eu", "n1"), up("eu", "n2"), up("eu", "n3")], 3)
    }

    pub(super) fn new(nodes: &[FakeNode], replication_factor: i64) -> Self {
        let authority = Authority::new();
        let mut endpoints = BTreeMap::new();
        let mut file = TopologyFile { cluster: CLUSTER.to_owned(), ..TopologyFile::default() };
        for FakeNode { dc, name, is_up } in nodes {
            let mut address = nowhere(7_000 + file.node.len());
            if *is_up {
                let uri = format!("atoll://{CLUSTER}/node/{dc}/rack/{name}");
                let credentials = Credentials::load(&authority.issue(&uri), runtime::wall());
                let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                let config =
                    EndpointConfig::node(any_port, credentials.unwrap(), runtime::spawner());
                let endpoint = Endpoint::bind(config).unwrap();
                address = endpoint.local_addr().unwrap().to_string();
                endpoints.insert(*name, endpoint);
            }
            if file.dc.iter().all(|known| known.name != *dc) {
                let name = (*dc).to_owned();
                file.dc.push(DcEntry { name, replication_factor: Some(replication_factor) });
            }
            file.node.push(NodeEntry {
                id: (*name).to_owned(),
                dc: (*dc).to_owned(),
                rack: "rack".to_owned(),
                address: Some(address),
                capacity: None,
            });
        }
        let topology = file.check(Addresses::Required).unwrap();
        let shared = Arc::new(Shared::new(topology));
        for (name, endpoint) in &endpoints {
            let name = Name::new(name).unwrap();
            runtime::spawn(accept(endpoint.clone(), name, Arc::clone(&shared)));
        }
        Self { authority, shared, endpoints }
    }

    /// A builder with the seeds and a client certificate.
    pub(super) fn builder(&self) -> ClientBuilder {
        let seeds = self.endpoints.values().map(|e| e.local_addr().unwrap().to_string());
        let seeds: Vec<String> = seeds.collect();
        let paths = self.authority.issue(&format!("atoll://{CLUSTER}/client/app"));
        Client::builder().seeds(seeds).credentials(paths)
    }

    pub(super) async fn client(&self) -> Client {
        self.builder().connect().await.unwrap()
    }

    /// Appends acts to the script.
    pub(super) fn script(&self, acts: impl IntoIterator<Item = Act>) {
        self.shared.script.lock().extend(acts);
    }

    /// Gets and puts so far, with the node that got them.
    pub(super) fn data_requests(&self) -> Vec<(Name, Request)> {
        let is_data =
            |(_, request): &&(Name, Request)| matches!(request, Request::Get(_) | Request::Put(_));
        self.shared.log.borrow().iter().filter(is_data).cloned().collect()
    }

    /// Waits until so many requests that `matches` have arrived.
    pub(super) async fn arrived(&self, count: usize, matches: fn(&Request) -> bool) {
        let mut log = self.shared.log.subscribe();
        let enough = |log: &Vec<(Name, Request)>| {
            log.iter().filter(|(_, request)| matches(request)).count() >= count
        };
        log.wait_for(enough).await.unwrap();
    }
}

impl Shared {
    fn new(topology: Topology) -> Self {
        Self {
            keyspaces: Mutex::new(KeyspaceMap::new(&topology)),
            topology: Mutex::new(topology),
            script: Mutex::default(),
            otherwise: Mutex::new(Act::Serve),
            log: watch::Sender::new(Vec::new()),
            ended: watch::Sender::new(0),
            records: Mutex::default(),
        }
    }

    /// The answer of `node`, or none at all.
    fn answer(
        &self,
        node: &Name,
        request: &Request,
        payload: &Bytes,
    ) -> Result<(Reply, Bytes), Act> {
        let empty = Bytes::new();
        match request {
            Request::Cluster => {
                let topology = self.topology.lock().clone();
                let keyspaces = self.keyspaces.lock().clone();
                let view = ClusterView { topology, keyspaces, answered_by: node.clone() };
                return Ok((Reply::Cluster(view), empty));
            }
            Request::Fault(_) => return Ok((Reply::Faults(vec![node.to_string()]), empty)),
            Request::Status => return Ok((Reply::Status(Vec::new()), empty)),
            Request::Hints(_) => return Ok((Reply::Hints(Vec::new()), empty)),
            Request::Repair(_) => return Ok((Reply::Repair(Vec::new()), empty)),
            Request::Storage => return Ok((Reply::Storage(Vec::new()), empty)),
            Request::Tombstones => return Ok((Reply::Tombstones(Vec::new()), empty)),
            Request::Explain { .. } => {
                return Ok((Reply::KeyspaceCreated { known_by: 0 }, empty));
            }
            Request::CreateKeyspace(wanted) => {
                let mut keyspace = Keyspace::default_for(&self.topology.lock());
                keyspace.id = atoll_protocol::ids::KeyspaceId(7);
                keyspace.name = wanted.name.clone();
                keyspace.conflict = wanted.conflict;
                self.keyspaces.lock().insert_new(keyspace).unwrap();
                return Ok((Reply::KeyspaceCreated { known_by: 1 }, empty));
            }
            Request::Get(_) | Request::Put(_) => {}
        }
        let act = self.script.lock().pop_front();
        let act = act.unwrap_or_else(|| self.otherwise.lock().clone());
        match (act, request) {
            (Act::Fail(failure), _) => Ok((Reply::Failed(failure), empty)),
            (Act::Overtake(value), Request::Put(put)) => {
                let blind = PutRequest { context: None, body: PutBody::Value, ..put.clone() };
                self.put(&blind, &value);
                Ok(self.put(put, payload))
            }
            (Act::Serve, Request::Put(put)) => Ok(self.put(put, payload)),
            (Act::Serve, Request::Get(get)) => Ok(self.get(get)),
            (act, _) => Err(act),
        }
    }

    fn definition(&self, name: &Name) -> Result<Arc<Keyspace>, Box<(Reply, Bytes)>> {
        let unknown = Failure::Invalid(Invalid::UnknownKeyspace { name: name.clone() });
        let found = self.keyspaces.lock().by_name(name).cloned();
        found.ok_or_else(|| Box::new((Reply::Failed(unknown), Bytes::new())))
    }

    fn put(&self, put: &PutRequest, value: &Bytes) -> (Reply, Bytes) {
        let keyspace = match self.definition(&put.keyspace) {
            Ok(keyspace) => keyspace,
            Err(unknown) => return *unknown,
        };
        let Token(token) = Token::of(keyspace.id, &put.key);
        let context = match &put.context {
            Some(bytes) => Context::decode(bytes, token).unwrap(),
            None => Context::new(token),
        };
        let mut records = self.records.lock();
        let record = records.entry(put.key.clone());
        let record = record.or_insert_with(|| Record::empty(keyspace.conflict));
        let incarnation = Incarnation(1);
        let seen = context.counter(incarnation).unwrap_or(0);
        let counter = record.counter_max(incarnation).max(seen) + 1;
        let body = match put.body {
            PutBody::Value => CellBody::Value(value.clone()),
            PutBody::Tombstone => CellBody::Tombstone,
        };
        let cell = Cell { timestamp: Timestamp(counter), expires_at: None, body };
        record.apply_put(Dot { incarnation, counter }, cell, &context);
        let siblings = u16::try_from(record.sibling_count()).unwrap();
        let context = record.context(token).encode();
        (Reply::Put(Acknowledged { context, siblings, acked: 2, held: 0 }), Bytes::new())
    }

    fn get(&self, get: &GetRequest) -> (Reply, Bytes) {
        let keyspace = match self.definition(&get.keyspace) {
            Ok(keyspace) => keyspace,
            Err(unknown) => return *unknown,
        };
        let Token(token) = Token::of(keyspace.id, &get.key);
        let records = self.records.lock();
        let empty = Record::empty(Conflict::Siblings);
        let record = records.get(&get.key).unwrap_or(&empty);
        let (mut cells, mut payload) = (Vec::new(), Vec::new());
        for (dot, cell) in record.values(WallTime::from_micros(1)) {
            let CellBody::Value(value) = &cell.body else { continue };
            let length = u32::try_from(value.len()).unwrap();
            cells.push(CellMeta { length, dot, timestamp: cell.timestamp, expires_at: None });
            payload.extend_from_slice(value);
        }
        let context = record.context(token).encode();
        (Reply::Get { context, cells, answered: 2 }, payload.into())
    }

    fn epoch(&self) -> Epoch {
        self.topology.lock().epoch()
    }
}

async fn accept(endpoint: Endpoint, node: Name, shared: Arc<Shared>) {
    while let Some(accepted) = endpoint.accept().await {
        // A refused handshake is what some tests are about.
        let Ok(connection) = accepted else { continue };
        runtime::spawn(serve(connection, node.clone(), Arc::clone(&shared)));
    }
}

async fn serve(connection: Connection, node: Name, shared: Arc<Shared>) {
    while let Some(frame) = connection.recv().await {
        let request: Request = wire::from_frame(&frame).unwrap();
        shared.log.send_modify(|log| log.push((node.clone(), request.clone())));
        match shared.answer(&node, &request, &frame.payload) {
            Ok((reply, payload)) => {
                // A client that is gone needs no answer.
                let _ = connection.send(reply_to(&frame, shared.epoch(), &reply, payload));
            }
            Err(Act::Break) => connection.close(CloseCode::Internal, "scripted"),
            Err(_) => {}
        }
    }
    shared.ended.send_modify(|count| *count += 1);
}

fn reply_to(frame: &Frame, epoch: Epoch, reply: &Reply, payload: Bytes) -> Frame {
    let envelope = Envelope { request: frame.request, epoch, budget: None };
    wire::to_frame(reply, payload, envelope).unwrap()
}
