use std::collections::BTreeMap;
use std::time::Duration;

use atoll_protocol::ids::{DcIndex, Epoch, Incarnation, KeyspaceId};
use atoll_protocol::keyspace::{Conflict, KeyspaceMap};
use atoll_protocol::merkle::record_digest;
use atoll_protocol::record::{Cell, CellBody, Record};
use atoll_protocol::topology::{Addresses, TopologyFile};
use atoll_protocol::version::{Context, Dot, Timestamp};
use atoll_protocol::wire::{HandoffReply, HandoffRequest, RECORDS_MAX};
use atoll_storage::{Disk, Engine, Options, RealDisk};
use tempfile::TempDir;

use super::store::Hint;
use super::writer::Fate;
use super::*;
use crate::env::RealEnv;
use crate::frontiers::FrontierStore;
use crate::meta::Meta;
use crate::repair::{self, RepairPacing};
use crate::replica::{JoinRecords, Life};

const TARGET: NodeIndex = NodeIndex(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// Node 0 of three, without connections.
struct Lab {
    folder: TempDir,
    handoff: Handoff,
    tasks: Tasks,
}

fn disk_of(folder: &TempDir, name: &str) -> Arc<dyn Disk> {
    let path = folder.path().join(name);
    std::fs::create_dir_all(&path).unwrap();
    Arc::new(RealDisk::new(&path))
}

impl Lab {
    fn open(folder: TempDir, limits: HandoffLimits) -> Self {
        let text = include_str!("../../topology/single-dc.toml");
        let topology = TopologyFile::parse(text).unwrap().check(Addresses::Optional).unwrap();
        let topology = Arc::new(topology);
        let (env, keyspaces) = (RealEnv::create(), KeyspaceMap::new(&topology));
        let tasks = Tasks::new(env.clone());
        let storage = disk_of(&folder, "storage");
        let options = Options::default();
        let engine = Engine::open(storage, options.clone(), Arc::new(JoinRecords)).unwrap();
        let life =
            Life { incarnation: Incarnation(1), minted: BTreeMap::new(), frontiers: Vec::new() };
        let partitions = topology.partitions();
        let replica = Replica::start(env.clone(), &tasks, Arc::new(engine), partitions, life);
        let meta = Arc::new(Meta::open(&folder.path().join("meta.redb")).unwrap());
        let peers = Arc::new(Peers::new(env.clone(), Epoch(1), topology.nodes().len()));
        let own = (NodeIndex(0), DcIndex(0));
        let cluster = Arc::new(Cluster::new(own, topology, keyspaces, meta.clone()));
        let pacing = RepairPacing { cycle: HOUR };
        let repair = repair::Surroundings {
            env: env.clone(),
            cluster: cluster.clone(),
            peers: peers.clone(),
            replica: replica.clone(),
            frontiers: FrontierStore::new(env.clone(), replica.clone(), meta),
        };
        let repair = Repair::new(repair, pacing);
        let store = HintStore::open(&disk_of(&folder, "hints"), &options).unwrap();
        let surroundings = Surroundings { env, cluster, peers, replica, repair, store, limits };
        Self { folder, handoff: Handoff::start(surroundings, &tasks, &tasks), tasks }
    }

    fn new() -> Self {
        Self::open(TempDir::new().unwrap(), HandoffLimits { bytes_max: 1 << 20, age_max: HOUR })
    }

    /// Ends it, its engines closed; the folder stays.
    async fn close(self) -> TempDir {
        self.tasks.stop().await;
        self.handoff.parts.store.close().unwrap();
        self.folder
    }

    /// Waits until everything that has queued up is written.
    async fn written(&self) {
        self.handoff.settle(TARGET, Vec::new()).await;
    }

    fn waiting(&self) -> u64 {
        self.handoff.waiting()
    }

    fn overflowed(&self) -> u64 {
        self.handoff.counters().overflowed.load(Ordering::Relaxed)
    }

    async fn page(&self) -> Arc<[Hint]> {
        self.handoff.oldest(TARGET).await.unwrap().into()
    }
}

fn key(number: usize) -> StoredKey {
    StoredKey::new(KeyspaceId(1), format!("key-{number}").as_bytes())
}

fn all(hints: &[Hint], fate: Fate) -> Vec<(Hint, Fate)> {
    hints.iter().map(|hint| (hint.clone(), fate)).collect()
}

#[tokio::test]
async fn there_is_one_hint_per_key_and_it_ends_once() {
    let lab = Lab::new();
    for _ in 0..3 {
        (0..4).for_each(|number| lab.handoff.miss(TARGET, &key(number)));
        lab.written().await;
    }
    assert_eq!(lab.waiting(), 4);
    let page = lab.page().await;
    assert_eq!(page.len(), 4);
    assert!(page.is_sorted_by_key(|hint| hint.since), "{page:?}");
    for _ in 0..2 {
        assert!(lab.handoff.begin(TARGET, &page).await);
        lab.handoff.settle(TARGET, all(&page[..3], Fate::Delivered)).await;
    }
    assert_eq!((lab.waiting(), lab.page().await.to_vec()), (1, page[3..].to_vec()));
    let status = lab.handoff.status();
    assert_eq!((status.written, status.delivered), (4, 3));
    let backlog = lab.handoff.parts.backlogs.of(TARGET).unwrap().waiting();
    assert_eq!(backlog.bytes, store::bytes_of(&page[3].key, &[]));
    lab.close().await;
}

/// Its record was read before, and may lack what was missed since.
#[tokio::test]
async fn a_key_that_is_missed_again_while_its_hint_is_in_flight_keeps_it() {
    let lab = Lab::new();
    lab.handoff.miss(TARGET, &key(1));
    lab.handoff.miss(TARGET, &key(2));
    lab.written().await;
    let page = lab.page().await;
    assert!(lab.handoff.begin(TARGET, &page).await);
    lab.handoff.miss(TARGET, &key(1));
    lab.handoff.settle(TARGET, all(&page, Fate::Delivered)).await;
    let left: Vec<_> = lab.page().await.iter().map(|hint| hint.key.clone()).collect();
    assert_eq!(left, [key(1)]);
    lab.close().await;
}

/// The delivery that is over did not carry what was missed after it.
#[tokio::test]
async fn a_hint_that_begins_anew_as_it_ends_has_one_place_in_the_order() {
    let lab = Lab::new();
    lab.handoff.miss(TARGET, &key(1));
    lab.written().await;
    let page = lab.page().await;
    assert!(lab.handoff.begin(TARGET, &page).await);
    let (done, settled) = oneshot::channel();
    let change = Change::Settle { target: TARGET, fates: all(&page, Fate::Delivered), done };
    lab.handoff.parts.changes.try_send(change).unwrap();
    lab.handoff.miss(TARGET, &key(1));
    settled.await.unwrap();
    lab.written().await;
    let again = lab.page().await;
    assert_eq!((again.len(), lab.waiting()), (1, 1), "{again:?}");
    assert!(lab.handoff.begin(TARGET, &again).await);
    lab.handoff.settle(TARGET, all(&again, Fate::Delivered)).await;
    assert_eq!((lab.page().await.len(), lab.waiting()), (0, 0));
    let status = lab.handoff.status();
    assert_eq!((status.written, status.delivered), (2, 2));
    lab.close().await;
}

#[tokio::test]
async fn hints_survive_a_restart() {
    let limits = HandoffLimits { bytes_max: 1 << 20, age_max: HOUR };
    let lab = Lab::new();
    (0..10).for_each(|number| lab.handoff.miss(TARGET, &key(number)));
    lab.handoff.miss(NodeIndex(2), &key(1));
    lab.written().await;
    let before = lab.handoff.status().waiting;
    let lab = Lab::open(lab.close().await, limits);
    let after = lab.handoff.status().waiting;
    let sizes = |waiting: &[HintsWaiting]| {
        let sizes = waiting.iter().map(|of| (of.target.clone(), of.hints, of.bytes));
        sizes.collect::<Vec<_>>()
    };
    assert_eq!(sizes(&after), sizes(&before));
    assert_eq!((after.len(), lab.waiting(), lab.handoff.found()), (2, 11, 11));
    assert_eq!(lab.page().await.len(), 10);
    lab.close().await;
}

#[tokio::test]
async fn what_does_not_fit_is_owed() {
    let room = 2 * store::bytes_of(&key(1), &[]);
    let limits = HandoffLimits { bytes_max: room, age_max: HOUR };
    let lab = Lab::open(TempDir::new().unwrap(), limits);
    for number in 0..5 {
        lab.handoff.miss(TARGET, &key(number));
        lab.written().await;
    }
    assert_eq!((lab.waiting(), lab.overflowed()), (2, 3));
    let owed = lab.handoff.parts.repair.command(atoll_protocol::wire::RepairCommand::Status);
    assert!(owed.pending > 0, "{owed:?}");
    lab.handoff.miss(TARGET, &key(0));
    lab.written().await;
    assert_eq!(lab.overflowed(), 3, "there is a hint already");
    lab.close().await;
}

#[tokio::test]
async fn dropped_hints_are_gone_and_owed() {
    let lab = Lab::new();
    (0..5).for_each(|number| lab.handoff.miss(TARGET, &key(number)));
    lab.handoff.miss(NodeIndex(2), &key(1));
    lab.written().await;
    let topology = lab.handoff.parts.cluster.view().topology.clone();
    let target = Some(topology.node(TARGET).unwrap().name.clone());
    let status = lab.handoff.command(HintsCommand::Drop { target }).await;
    assert_eq!((status.dropped, status.waiting.len(), lab.waiting()), (5, 1, 1));
    let owed = lab.handoff.parts.repair.command(atoll_protocol::wire::RepairCommand::Status);
    assert!(owed.pending > 0, "{owed:?}");
    let status = lab.handoff.command(HintsCommand::Drop { target: None }).await;
    assert_eq!((status.dropped, status.waiting.len()), (6, 0));
    lab.close().await;
}

#[tokio::test]
async fn what_is_too_old_ends_and_is_owed() {
    let limits = HandoffLimits { bytes_max: 1 << 20, age_max: Duration::ZERO };
    let lab = Lab::open(TempDir::new().unwrap(), limits);
    (0..5).for_each(|number| lab.handoff.miss(TARGET, &key(number)));
    lab.written().await;
    let backlog = lab.handoff.parts.backlogs.of(TARGET).unwrap();
    while lab.handoff.status().expired < 5 {
        lab.handoff.expire(TARGET, backlog).await;
    }
    assert_eq!((lab.waiting(), lab.page().await.len()), (0, 0));
    let owed = lab.handoff.parts.repair.command(atoll_protocol::wire::RepairCommand::Status);
    assert!(owed.pending > 0, "{owed:?}");
    lab.close().await;
}

/// A start compares everything anyway.
#[tokio::test]
async fn a_damaged_store_is_emptied() {
    let limits = HandoffLimits { bytes_max: 1 << 20, age_max: HOUR };
    let lab = Lab::new();
    (0..100).for_each(|number| lab.handoff.miss(TARGET, &key(number)));
    lab.written().await;
    let folder = lab.close().await;
    let mut damaged = 0;
    for entry in std::fs::read_dir(folder.path().join("hints")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        if path.extension().is_some_and(|ending| ending == "sst") {
            let middle = bytes.len() / 3;
            bytes[middle..middle + 64].iter_mut().for_each(|byte| *byte ^= 0xff);
            std::fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0, "closing flushes");
    let lab = Lab::open(folder, limits);
    assert_eq!(lab.waiting(), 0);
    lab.handoff.miss(TARGET, &key(1));
    lab.written().await;
    assert_eq!(lab.page().await.len(), 1);
    lab.close().await;
}

/// A record of one value, as `dot` 1 of an incarnation that is not ours.
fn record(value: &str) -> Bytes {
    let mut record = Record::empty(Conflict::Siblings);
    let body = CellBody::Value(Bytes::copy_from_slice(value.as_bytes()));
    let cell = Cell { timestamp: Timestamp(1), expires_at: None, body };
    record.apply_put(Dot { incarnation: Incarnation(7), counter: 1 }, cell, &Context::new(0));
    record.encode()
}

impl Lab {
    /// What this node says to an offer of these keys and records.
    async fn offered(&self, from: u16, records: &[(usize, &str)]) -> HandoffReply {
        let keys = records.iter().map(|(number, _)| key(*number).bytes().clone()).collect();
        let digests = records.iter().map(|(_, value)| record_digest(&record(value))).collect();
        let offer = HandoffRequest::Offer { keys, digests };
        self.handoff.answer(NodeIndex(from), offer, Bytes::new()).await.unwrap()
    }

    async fn delivered(&self, from: u16, number: usize, value: &str) -> HandoffReply {
        let (keys, record) = (vec![key(number).bytes().clone()], record(value));
        let lengths = vec![u32::try_from(record.len()).unwrap()];
        let request = HandoffRequest::Deliver { keys, lengths };
        self.handoff.answer(NodeIndex(from), request, record).await.unwrap()
    }
}

/// The places that were asked for, and those that somebody else is bringing.
fn wanted(reply: &HandoffReply) -> (Vec<u16>, Vec<u16>) {
    match reply {
        HandoffReply::Wanted { lacks, coming, .. } => (lacks.clone(), coming.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_target_asks_one_holder_for_what_it_lacks() {
    let lab = Lab::new();
    let (a, b) = (1, 2);
    let offer = [(1, "one"), (2, "two")];
    assert_eq!(wanted(&lab.offered(a, &offer).await), (vec![0, 1], vec![]));
    assert_eq!(wanted(&lab.offered(b, &offer).await), (vec![], vec![0, 1]));
    assert!(matches!(lab.delivered(a, 1, "one").await, HandoffReply::Held { .. }));
    assert_eq!(wanted(&lab.offered(b, &offer).await), (vec![], vec![1]), "the first is held");
    assert_eq!(wanted(&lab.offered(a, &offer).await), (vec![1], vec![]));
    assert_eq!(wanted(&lab.offered(b, &[(1, "else")]).await), (vec![0], vec![]), "it differs");
    lab.close().await;
}

#[tokio::test]
async fn a_malformed_offer_is_refused() {
    let lab = Lab::new();
    let offer = |keys: Vec<Bytes>, digests| HandoffRequest::Offer { keys, digests };
    let good = key(1).bytes().clone();
    for (request, says) in [
        (offer(vec![good.clone()], vec![]), "a digest for each"),
        (offer(vec![good; RECORDS_MAX + 1], vec![0; RECORDS_MAX + 1]), "at most 256"),
        (offer(vec![Bytes::new()], vec![0]), "malformed key"),
    ] {
        let refused = lab.handoff.answer(NodeIndex(1), request, Bytes::new()).await.unwrap_err();
        assert!(refused.to_string().contains(says), "{refused}");
    }
    lab.close().await;
}
