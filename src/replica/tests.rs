//! The replica on a real engine in a temporary folder.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use atoll_protocol::ids::{Incarnation, KeyspaceId};
use atoll_protocol::keyspace::Conflict;
use atoll_protocol::purge::{PurgeFrontier, Trimmed};
use atoll_protocol::record::{Cell, CellBody, Record};
use atoll_protocol::time::{MonoTime, WallTime};
use atoll_protocol::token::Partitions;
use atoll_protocol::version::{Context, Dot, Timestamp};
use atoll_storage::{Engine, Options, RealDisk};
use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::mint::{CounterHistory, MintError, MintRequest, mint};
use super::{Applied, Fate, JoinRecords, Life, Minted, Minter, Reach, Replica, StoredKey};
use crate::env::RealEnv;
use crate::tasks::Tasks;

const FAR: MonoTime = MonoTime::from_nanos(u64::MAX);
const KEYSPACE: KeyspaceId = KeyspaceId(1);

struct Bench {
    replica: Replica,
    _folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let disk = Arc::new(RealDisk::new(folder.path()));
        let engine = Engine::open(disk, Options::default(), Arc::new(JoinRecords)).unwrap();
        let env = RealEnv::create();
        let life =
            Life { incarnation: Incarnation(7), minted: BTreeMap::new(), frontiers: Vec::new() };
        let tasks = Tasks::new(env.clone());
        let partitions = Partitions::new(16).unwrap();
        let replica = Replica::start(env, &tasks, Arc::new(engine), partitions, life);
        Self { replica, _folder: folder }
    }

    async fn put(&self, key: &StoredKey, value: &'static [u8], context: Context) -> Minted {
        self.write(key, CellBody::Value(Bytes::from_static(value)), context).await
    }

    async fn write(&self, key: &StoredKey, body: CellBody, context: Context) -> Minted {
        let request =
            MintRequest { conflict: Conflict::Siblings, body, context, ttl: None, deadline: FAR };
        let (minter, mut told) = told();
        self.replica.mint(key.clone(), request, minter).unwrap();
        let minted = told.recv().await;
        assert!(matches!(told.recv().await, Some(Told::Settled(Fate::Durable))));
        match minted {
            Some(Told::Minted(minted)) => minted.unwrap(),
            other => panic!("not minted first: {other:?}"),
        }
    }
}

/// What a stripe tells a put, in order.
#[derive(Debug)]
enum Told {
    Minted(Result<Minted, MintError>),
    Settled(Fate),
}

struct Listener(mpsc::Sender<Told>);

impl Minter for Listener {
    fn minted(self: Arc<Self>, minted: Result<Minted, MintError>) {
        self.0.try_send(Told::Minted(minted)).unwrap();
    }

    fn settled(self: Arc<Self>, fate: Fate) {
        self.0.try_send(Told::Settled(fate)).unwrap();
    }
}

fn told() -> (Arc<Listener>, mpsc::Receiver<Told>) {
    let (sender, told) = mpsc::channel(2);
    (Arc::new(Listener(sender)), told)
}

fn key(name: &str) -> StoredKey {
    StoredKey::new(KEYSPACE, name.as_bytes())
}

fn blind(key: &StoredKey) -> Context {
    Context::new(key.token().0)
}

fn foreign_record(conflict: Conflict, counter: u64, timestamp: u64) -> Record {
    let mut record = Record::empty(conflict);
    let cell = Cell {
        timestamp: Timestamp(timestamp),
        expires_at: None,
        body: CellBody::Value(Bytes::from(format!("foreign {counter}"))),
    };
    let dot = Dot { incarnation: Incarnation(99), counter };
    record.apply_put(dot, cell, &Context::new(0));
    record
}

#[tokio::test]
async fn a_blind_put_is_a_sibling_and_a_contextual_one_supersedes() {
    let bench = Bench::new();
    let key = key("k");
    bench.put(&key, b"one", blind(&key)).await;
    let two = bench.put(&key, b"two", blind(&key)).await;
    assert_eq!(two.record.sibling_count(), 2);
    let seen = two.record.context(key.token().0);
    let three = bench.put(&key, b"three", seen).await;
    assert_eq!(three.record.sibling_count(), 1);
    assert_eq!(bench.replica.read(&key, Reach::Disk).unwrap(), Some(three.record));
}

#[tokio::test]
async fn puts_of_one_key_that_share_a_batch_see_each_other() {
    let bench = Bench::new();
    let key = key("hot");
    let puts = (0..64).map(|_| bench.put(&key, b"x", blind(&key)));
    let minted = futures_util::future::join_all(puts).await;
    let mut counts: Vec<_> = minted.iter().map(|m| m.record.sibling_count()).collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=64).collect::<Vec<_>>());
    let stored = bench.replica.read(&key, Reach::Disk).unwrap().unwrap();
    assert_eq!(stored.sibling_count(), 64);
    assert!(stored.duplicate_dots().is_empty());
}

#[tokio::test]
async fn blind_applies_join_with_what_is_minted_here() {
    let bench = Bench::new();
    let key = key("k");
    let own = bench.put(&key, b"own", blind(&key)).await;
    let mut expected = own.record;
    for counter in 1..=40 {
        let record = foreign_record(Conflict::Siblings, counter, counter);
        expected.join(&record);
        bench.replica.apply(key.clone(), record.encode()).await.unwrap();
    }
    assert_eq!(bench.replica.read(&key, Reach::Disk).unwrap(), Some(expected));
}

#[tokio::test]
async fn lww_keeps_the_last_and_counts_the_loser() {
    let bench = Bench::new();
    let key = key("k");
    let newer = foreign_record(Conflict::Lww, 2, 200);
    let older = foreign_record(Conflict::Lww, 1, 100);
    bench.replica.apply(key.clone(), newer.encode()).await.unwrap();
    bench.replica.apply(key.clone(), older.encode()).await.unwrap();
    assert_eq!(bench.replica.read(&key, Reach::Disk).unwrap(), Some(newer));
    assert_eq!(bench.replica.counters().lww_dropped.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_is_not_a_record_of_this_key_is_refused() {
    let bench = Bench::new();
    let key = key("k");
    assert!(bench.replica.apply(key.clone(), Bytes::from_static(b"garbage")).await.is_err());
    bench.put(&key, b"own", blind(&key)).await;
    let other_mode = foreign_record(Conflict::Lww, 1, 1);
    assert!(bench.replica.apply(key.clone(), other_mode.encode()).await.is_err());
    assert_eq!(bench.replica.read(&key, Reach::Disk).unwrap().unwrap().sibling_count(), 1);
}

#[test]
fn minting_continues_above_whatever_was_seen_of_us() {
    let us = Incarnation(7);
    let mut record = Record::empty(Conflict::Siblings);
    let mut context = Context::new(0);
    context.observe(us, 41);
    let request = MintRequest {
        conflict: Conflict::Siblings,
        body: CellBody::Tombstone,
        context,
        ttl: None,
        deadline: FAR,
    };
    let mut counter = 3;
    let history = mint(&mut record, &request, (us, &mut counter), Default::default()).unwrap();
    assert_eq!((history, counter), (CounterHistory::RolledBack, 42));
    let blind = MintRequest { context: Context::new(0), ..request };
    let history = mint(&mut record, &blind, (us, &mut counter), Default::default()).unwrap();
    assert_eq!((history, counter), (CounterHistory::Consistent, 43));
}

#[test]
fn a_made_up_context_cannot_exhaust_counters_or_clocks() {
    let us = Incarnation(7);
    let mut far_counter = Context::new(0);
    far_counter.observe(us, u64::MAX);
    let mut far_clock = Context::new(0);
    far_clock.observe_timestamp(Timestamp(u64::MAX));
    for context in [far_counter, far_clock] {
        let request = MintRequest {
            conflict: Conflict::Lww,
            body: CellBody::Tombstone,
            context,
            ttl: None,
            deadline: FAR,
        };
        let (mut record, mut counter) = (Record::empty(Conflict::Lww), 5);
        let now = WallTime::from_micros(1_000_000);
        let refused = mint(&mut record, &request, (us, &mut counter), (now, Timestamp(0)));
        assert!(matches!(refused, Err(MintError::Context { .. })), "{refused:?}");
        assert_eq!((counter, record.is_empty()), (5, true));
    }
}

#[tokio::test]
async fn an_expired_put_is_dropped_at_dequeue() {
    let bench = Bench::new();
    let key = key("late");
    let request = MintRequest {
        conflict: Conflict::Siblings,
        body: CellBody::Tombstone,
        context: blind(&key),
        ttl: None,
        deadline: MonoTime::ZERO,
    };
    let (minter, mut told) = told();
    bench.replica.mint(key.clone(), request, minter).unwrap();
    assert!(matches!(told.recv().await, Some(Told::Minted(Err(MintError::Expired)))));
    assert!(told.recv().await.is_none(), "nothing was written that could settle");
    assert_eq!(bench.replica.read(&key, Reach::Disk).unwrap(), None);
}

#[test]
fn the_sibling_limit_refuses_blind_puts_and_lets_merges_through() {
    let us = Incarnation(7);
    let mut record = Record::empty(Conflict::Siblings);
    let mut counter = 0;
    let blind = MintRequest {
        conflict: Conflict::Siblings,
        body: CellBody::Tombstone,
        context: Context::new(0),
        ttl: None,
        deadline: FAR,
    };
    for _ in 0..64 {
        mint(&mut record, &blind, (us, &mut counter), Default::default()).unwrap();
    }
    let refused = mint(&mut record, &blind, (us, &mut counter), Default::default());
    assert_eq!(refused, Err(MintError::TooManySiblings { siblings: 64 }));
    assert_eq!(record.sibling_count(), 64, "a refusal changes nothing");
    let merge = MintRequest { context: record.context(0), ..blind };
    mint(&mut record, &merge, (us, &mut counter), Default::default()).unwrap();
    assert_eq!(record.sibling_count(), 1);
}

#[test]
fn stored_keys_sort_by_token() {
    let mut keys: Vec<_> = (0..200).map(|n| key(&format!("key-{n}"))).collect();
    keys.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    assert!(keys.windows(2).all(|pair| pair[0].token() <= pair[1].token()));
    let bytes = key("abc");
    assert_eq!(&bytes.as_bytes()[8..], b"\0\0\0\0\0\0\0\x01abc");
}

impl Bench {
    fn adopt(&self, key: &StoredKey, at: u64, counters: &[(u64, u64)]) -> Arc<PurgeFrontier> {
        let mut frontier = PurgeFrontier::at(WallTime::from_micros(at));
        counters.iter().for_each(|(of, counter)| frontier.raise(Incarnation(*of), *counter));
        let of = (KEYSPACE, key.partition(self.replica.partitions()));
        self.replica.frontiers().adopt([(of, frontier.clone())]);
        Arc::new(frontier)
    }

    async fn delete(&self, key: &StoredKey, context: Context) -> Minted {
        self.write(key, CellBody::Tombstone, context).await
    }
}

/// A copy of a deleted value that arrives after its deletion was purged is refused; a new write is not.
#[tokio::test]
async fn what_was_purged_does_not_come_back() {
    let bench = Bench::new();
    let (key, replica) = (key("key"), &bench.replica);
    let put = bench.put(&key, b"value", blind(&key)).await;
    let deleted = bench.delete(&key, put.record.context(key.token().0)).await;
    let early = bench.adopt(&key, u64::MAX / 2, &[(7, 1)]);
    assert_eq!(replica.purge(key.clone(), &early, None).await.unwrap(), Trimmed::Nothing);
    let frontier = bench.adopt(&key, u64::MAX / 2, &[(7, 2)]);
    assert_eq!(replica.purge(key.clone(), &frontier, None).await.unwrap(), Trimmed::All);
    assert_eq!(replica.read(&key, Reach::Disk).unwrap(), None);
    assert_eq!(replica.purge(key.clone(), &frontier, None).await.unwrap(), Trimmed::Nothing);
    for late in [put.bytes, deleted.bytes] {
        let applied = replica.apply(key.clone(), late).await.unwrap();
        assert!(matches!(applied, Applied::Stripped(dots) if dots.len() == 1));
        assert_eq!(replica.read(&key, Reach::Disk).unwrap(), None);
    }
    let news = foreign_record(Conflict::Siblings, 1, 5);
    assert_eq!(replica.apply(key.clone(), news.encode()).await.unwrap(), Applied::Joined);
    assert_eq!(replica.read(&key, Reach::Disk).unwrap(), Some(news));
    let again = bench.put(&key, b"again", blind(&key)).await;
    let dots: Vec<u64> = again.record.cells().map(|(dot, _)| dot.counter).collect();
    assert_eq!(dots, [3, 1], "its counter goes on, and what arrived stands beside it");
}

/// What is written in one batch with a purge comes after it or before it, and is never lost.
#[tokio::test]
async fn a_purge_and_a_write_at_once_keep_the_write() {
    let bench = Bench::new();
    let replica = &bench.replica;
    for number in 0..200 {
        let key = key(&format!("key {number}"));
        let put = bench.put(&key, b"value", blind(&key)).await;
        bench.delete(&key, put.record.context(key.token().0)).await;
        let frontier = bench.adopt(&key, 0, &[(7, u64::MAX)]);
        let news = foreign_record(Conflict::Siblings, 1, 5);
        let (purged, applied) = tokio::join!(
            replica.purge(key.clone(), &frontier, None),
            replica.apply(key.clone(), news.encode())
        );
        assert_eq!(applied.unwrap(), Applied::Joined);
        let left = replica.read(&key, Reach::Disk).unwrap().unwrap();
        assert!(left.cells().any(|cell| news.cells().any(|other| other == cell)), "{purged:?}");
    }
}

/// A cut counts what is durable, and is answered behind it.
#[tokio::test]
async fn a_cut_names_the_last_dot_of_its_partition() {
    let bench = Bench::new();
    let key = key("key");
    let partition = key.partition(bench.replica.partitions());
    assert_eq!(bench.replica.minted_durably(partition).await.unwrap(), 0);
    bench.put(&key, b"value", blind(&key)).await;
    bench.put(&key, b"value", blind(&key)).await;
    assert_eq!(bench.replica.minted_durably(partition).await.unwrap(), 2);
    let frontiers = bench.replica.frontiers();
    frontiers.begin_cut(5, &[partition]);
    assert_eq!(frontiers.is_later(5, partition, Timestamp(u64::MAX / 2)), Some(true));
    bench.put(&key, b"value", blind(&key)).await;
    assert_eq!(frontiers.is_later(5, partition, Timestamp(u64::MAX / 2)), Some(false));
    // Above a frontier, whatever the clock says.
    bench.adopt(&key, u64::MAX / 2, &[]);
    let minted = bench.put(&key, b"value", blind(&key)).await;
    assert!(minted.record.timestamp_max() > Timestamp(u64::MAX / 2));
}
