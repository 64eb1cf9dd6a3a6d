//! Round trips, truncations and extensions of every variant of every message.

mod purge;

use std::collections::BTreeSet;
use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::{
    Acknowledged, ApplyOutcome, CacheUsageStatus, CellMeta, ClusterView, DATAGRAM_HEADER_BYTES,
    Datagram, DatagramError, Envelope, Explanation, Failure, FaultCommand, FilesStatus, GetRequest,
    Gossip, HandoffReply, HandoffRequest, HintsCommand, HintsReport, HintsStatus, HintsWaiting,
    Invalid, KeyspaceRequest, Kind, Known, LEVELS_MAX, LinkFault, Message, NodeReport, NodeState,
    NodeStatus, PathStatus, PeerNotice, PeerReply, PeerRequest, PeerStatus, Pool, PutBody,
    PutRequest, QuorumKind, REASON_BYTES_MAX, RepairCommand, RepairReply, RepairReport,
    RepairRequest, RepairStatus, ReplicaReport, ReplicaState, Reply, Request, ScrubStatus,
    SpeculationStatus, StorageReport, StorageStatus, SuspicionState, SuspicionStatus, SyncKind,
    SyncSpans, SyncStatus, VersionSummary, WorkStatus, cut_reason, from_frame, to_frame,
};
use crate::codec::{self, CodecError};
use crate::frame::HEADER_BYTES;
use crate::ids::{DcIndex, Epoch, Incarnation, KeyspaceId, Name, NodeIndex, OperationId};
use crate::keyspace::{Conflict, KeyspaceMap};
use crate::limits::{Limit, META_BYTES_MAX, NAME_BYTES_MAX, NODES_MAX, PAYLOAD_BYTES_MAX};
use crate::merkle::{Holding, Leaf, ReplicaSets};
use crate::quorum::Level;
use crate::record::{Cell, CellBody, Record};
use crate::time::WallTime;
use crate::token::Partition;
use crate::topology::{Addresses, Topology, TopologyFile};
use crate::version::{Context, Dot, Timestamp};

const ENVELOPE: Envelope =
    Envelope { request: 9, epoch: Epoch(3), budget: Some(Duration::from_millis(250)) };

const SECOND: Duration = Duration::from_secs(1);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn topology() -> Topology {
    let text = include_str!("../../../../topology/three-dcs.toml");
    TopologyFile::parse(text).unwrap().check(Addresses::Optional).unwrap()
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn put_request() -> PutRequest {
    PutRequest {
        keyspace: name("default"),
        key: bytes("k"),
        level: Level::LocalQuorumPlus(2),
        context: Some(bytes("c")),
        body: PutBody::Value,
        ttl: Some(SECOND),
        quorum: QuorumKind::Sloppy,
        at_least: Some(bytes("s")),
    }
}

fn requests() -> Vec<Request> {
    let keyspace = name("default");
    let blind = PutRequest { context: None, body: PutBody::Tombstone, ttl: None, ..put_request() };
    let mut all = vec![
        Request::Put(put_request()),
        Request::Put(blind),
        Request::Cluster,
        Request::Status,
        Request::Storage,
        Request::Repair(RepairCommand::Status),
        Request::Repair(RepairCommand::Pause),
        Request::Hints(HintsCommand::List),
        Request::Tombstones,
        Request::Hints(HintsCommand::Replay),
        Request::Hints(HintsCommand::Drop { target: Some(name("n1")) }),
        Request::Explain { keyspace: keyspace.clone(), key: bytes("k") },
        Request::CreateKeyspace(KeyspaceRequest {
            name: name("users"),
            replication_factor: vec![(name("eu"), 3), (name("us"), 1)],
            conflict: Conflict::Lww,
            ttl: Some(SECOND),
            record_bytes_max: Some(1_000),
        }),
    ];
    for level in Level::NAMED.into_iter().chain([Level::LocalQuorumPlus(31)]) {
        let at_least = Some(bytes("s"));
        let (keyspace, key) = (keyspace.clone(), bytes("key"));
        all.push(Request::Get(GetRequest { keyspace, key, level, at_least }));
    }
    let links = [LinkFault::Block, LinkFault::Delay(SECOND), LinkFault::LossPerMille(5)];
    let set = |fault| FaultCommand::Set { nodes: vec![name("n1"), name("n2")], fault };
    let commands = links.into_iter().map(set).chain([FaultCommand::Show, FaultCommand::Heal]);
    all.extend(commands.map(Request::Fault));
    all
}

fn failures() -> Vec<Failure> {
    let (level, dc, node) = (Level::Quorum, Some(name("eu")), name("n1"));
    let text = || "why".to_owned();
    let invalid = [
        Invalid::EmptyKey,
        Invalid::KeyTooLong { got: 2_000 },
        Invalid::TooLarge { limit: 1, got: 2 },
        Invalid::UnknownKeyspace { name: name("x") },
        Invalid::Level { detail: text() },
        Invalid::Context { detail: text() },
        Invalid::TooManySiblings { got: 65 },
        Invalid::Keyspace { detail: text() },
        Invalid::Message { detail: text() },
        Invalid::Fault { detail: text() },
    ];
    let limits = [
        Limit::OperationsInflight,
        Limit::OutboxFrames,
        Limit::StripeQueue,
        Limit::SealedMemtables,
        Limit::ConnectionRequests,
    ];
    let mut all: Vec<Failure> = invalid.into_iter().map(Failure::from).collect();
    all.extend(limits.map(|what| Failure::Overloaded { what, retry_after: SECOND }));
    all.extend([
        Failure::Denied { operation: text(), needed: text() },
        Failure::Unavailable { level, dc: dc.clone(), needed: 2, alive: 1 },
        Failure::Unknown { level, dc: None, needed: 2, acked: 1 },
        Failure::Deadline { level, dc, needed: 2, answered: 1 },
        Failure::NotServing { node, reason: text() },
        Failure::Storage { detail: text() },
        Failure::Internal { detail: text() },
        Failure::SessionBehind { answered: 2 },
    ]);
    all
}

fn dot() -> Dot {
    Dot { incarnation: Incarnation(u64::MAX), counter: 1 }
}

fn status() -> NodeStatus {
    let path = |_| PathStatus {
        silent_for: SECOND,
        sent_packets: 20,
        lost_packets: 21,
        sent_bytes: 22,
        received_bytes: 23,
    };
    let peer = |rtt: Option<Duration>| PeerStatus {
        node: name("n2"),
        rtt,
        since: SECOND,
        path: rtt.map(path),
    };
    let suspicion = |state| SuspicionStatus {
        node: name("n3"),
        state,
        since: SECOND,
        observers: vec![name("n1"), name("n2")],
    };
    NodeStatus {
        version: "0.1.0".to_owned(),
        pid: 1,
        uptime: SECOND,
        epoch: Epoch(1),
        incarnation: Incarnation(7),
        data_bytes: 2,
        tables: 3,
        clients: 4,
        peers: vec![peer(None), peer(Some(SECOND))],
        suspicions: [SuspicionState::Suspect, SuspicionState::Convicted].map(suspicion).to_vec(),
        operations: 5,
        puts: 6,
        gets: 7,
        missed: 8,
        repaired: 9,
        lww_dropped: 10,
        speculation: SpeculationStatus { sent: 11, replaced: 12, won: 13, refused: 14 },
    }
}

/// As large as a node may make it, with a different number everywhere.
fn storage() -> StorageStatus {
    let mut last = 0;
    let mut next = || {
        last += 1;
        last
    };
    let kinds =
        [SyncKind::Log, SyncKind::Table, SyncKind::Values, SyncKind::Manifest, SyncKind::Other];
    let mut spans = || SyncSpans { count: next(), p50_us: next(), p99_us: next(), max_us: next() };
    let syncs = kinds.map(|kind| SyncStatus { kind, since_start: spans(), last_minute: spans() });
    StorageStatus {
        levels: (0..LEVELS_MAX).map(|_| FilesStatus { files: next(), bytes: next() }).collect(),
        value_files: FilesStatus { files: next(), bytes: next() },
        value_live_bytes: next(),
        memtable_bytes: next(),
        memtables_sealed: next(),
        wal_bytes: next(),
        entries: next(),
        written_bytes: next(),
        groups: next(),
        fsyncs: next(),
        flushes: WorkStatus { units: next(), bytes: next() },
        compactions: WorkStatus { units: next(), bytes: next() },
        relocations: WorkStatus { units: next(), bytes: next() },
        stalls: next(),
        merge_failures: next(),
        damaged_values: next(),
        removals_pending: next(),
        torn_bytes: next(),
        write_amplification_per_mille: next(),
        space_amplification_per_mille: next(),
        cache_bytes: next(),
        cache_blocks: CacheUsageStatus { hits: next(), misses: next() },
        cache_values: CacheUsageStatus { hits: next(), misses: next() },
        scrub: ScrubStatus {
            cycles: next(),
            files: next(),
            bytes: next(),
            found: next(),
            mended: next(),
            gathered: next(),
            damaged: next(),
            unmendable: next(),
        },
        syncs: syncs.to_vec(),
    }
}

fn storage_reports() -> Vec<StorageReport> {
    let report = |told| StorageReport { node: name("n1"), dc: name("eu"), told };
    vec![report(Ok(storage())), report(Err("gone".to_owned()))]
}

fn repair_status() -> RepairStatus {
    RepairStatus {
        paused: true,
        cycle: SECOND,
        pending: 1,
        last_round: Some(SECOND),
        compared: 2,
        differed: 3,
        fetched: 4,
        sent: 5,
        wire_bytes: 6,
        failed: 7,
        wrong_trees: 8,
    }
}

fn repair_reports() -> Vec<RepairReport> {
    let report = |told| RepairReport { node: name("n1"), dc: name("eu"), told };
    vec![report(Ok(repair_status())), report(Err("gone".to_owned()))]
}

fn acknowledged() -> Acknowledged {
    Acknowledged { context: bytes("context"), siblings: 2, acked: 3, held: 1 }
}

fn cell(expires_at: Option<WallTime>) -> CellMeta {
    CellMeta { length: 4, dot: dot(), timestamp: Timestamp(5), expires_at }
}

fn reports() -> Vec<NodeReport> {
    let down = |silent_for| NodeState::Down { silent_for, reason: "gone".to_owned() };
    let report = |state| NodeReport {
        node: name("n1"),
        dc: name("eu"),
        rack: name("a"),
        address: "127.0.0.1:1".to_owned(),
        owns_per_mille: 1_000,
        state,
    };
    vec![report(NodeState::Up(status())), report(down(None)), report(down(Some(SECOND)))]
}

fn replicas() -> Vec<ReplicaReport> {
    let version = |length| VersionSummary { dot: dot(), timestamp: Timestamp(1), length };
    let versions = vec![version(None), version(Some(3))];
    let replica = |state| ReplicaReport {
        node: name("n1"),
        dc: name("eu"),
        rack: name("a"),
        state,
        rtt: None,
        local_order: 2,
    };
    let states = [
        ReplicaState::Present { versions, digest: u128::MAX },
        ReplicaState::Absent,
        ReplicaState::Unreachable { reason: "gone".to_owned() },
    ];
    states.into_iter().map(replica).collect()
}

fn replies() -> Vec<Reply> {
    let topology = topology();
    let keyspaces = KeyspaceMap::new(&topology);
    let mut all = vec![
        Reply::Put(acknowledged()),
        Reply::Get { context: bytes("c"), cells: vec![], answered: 1 },
        Reply::Get {
            context: bytes("c"),
            cells: vec![cell(None), cell(Some(WallTime::from_micros(6)))],
            answered: 2,
        },
        Reply::Cluster(ClusterView { topology, keyspaces, answered_by: name("n1") }),
        Reply::Status(reports()),
        Reply::Storage(storage_reports()),
        Reply::Repair(repair_reports()),
        Reply::Hints(hints_reports()),
        Reply::Tombstones(purge::reports()),
        Reply::Explain(Explanation {
            token: 1,
            partition: 2,
            replicas: replicas(),
            fallbacks: vec![name("n4")],
        }),
        Reply::KeyspaceCreated { known_by: 9 },
        Reply::Faults(vec!["a".to_owned(), String::new()]),
    ];
    all.extend(failures().into_iter().map(Reply::Failed));
    all
}

fn hints_status() -> HintsStatus {
    let waiting = HintsWaiting { target: name("n2"), hints: 3, bytes: 99, oldest: SECOND };
    HintsStatus {
        waiting: vec![waiting],
        bytes_max: 1_000,
        written: 9,
        delivered: 1,
        superseded: 2,
        expired: 3,
        dropped: 4,
        overflowed: 5,
    }
}

fn hints_reports() -> Vec<HintsReport> {
    let report = |told| HintsReport { node: name("n1"), dc: name("eu"), told };
    vec![report(Ok(hints_status())), report(Err("not connected".to_owned()))]
}

fn repair_requests() -> Vec<RepairRequest> {
    let (sets, partition, keys) = (ReplicaSets(7), Partition(3), vec![bytes("k"), bytes("l")]);
    let holdings = |after| RepairRequest::Holdings {
        sets,
        partition,
        leaves: vec![Leaf(0), Leaf(255)],
        after,
    };
    vec![
        RepairRequest::Roots { sets, partitions: vec![partition, Partition(9)] },
        RepairRequest::Leaves { sets, partition },
        holdings(None),
        holdings(Some(bytes("k"))),
        RepairRequest::Everything { sets, partition, leaves: vec![Leaf(7)], after: None },
        RepairRequest::Fetch { keys: keys.clone() },
        RepairRequest::Store { keys, lengths: vec![1, u32::MAX] },
        RepairRequest::Frontiers {
            sets,
            partitions: vec![partition],
            frontiers: vec![purge::known()],
            incarnation: Incarnation(5),
        },
        RepairRequest::Forget { purged: vec![purge::purged()] },
        RepairRequest::Done { partition },
    ]
}

fn repair_replies() -> Vec<RepairReply> {
    let holdings = vec![Holding { key: bytes("k"), digest: 5 }];
    vec![
        RepairReply::Roots { roots: vec![0, u64::MAX], frontiers: 9, incarnation: Incarnation(3) },
        RepairReply::Leaves { leaves: vec![1; 256], incarnation: Incarnation(3) },
        RepairReply::Holdings { holdings, more: true },
        RepairReply::Everything { keys: vec![bytes("k")], lengths: vec![4], more: false },
        RepairReply::Records { lengths: vec![0, 4] },
        RepairReply::Stored { purged: vec![purge::purged()] },
        RepairReply::Frontiers(vec![purge::known()]),
        RepairReply::Done,
        RepairReply::Busy,
    ]
}

fn known() -> Known {
    let mut record = Record::empty(Conflict::Siblings);
    let body = CellBody::Value(bytes("v"));
    let cell = Cell { timestamp: Timestamp(5), expires_at: None, body };
    record.apply_put(dot(), cell, &Context::new(7));
    Known { digest: u128::MAX - 1, version: record.version() }
}

fn peer_requests() -> Vec<PeerRequest> {
    let (keyspace, key) = (KeyspaceId(1), bytes("k"));
    let repairs = repair_requests().into_iter().map(PeerRequest::Tree);
    let others = [
        PeerRequest::Read { keyspace, key: key.clone(), known: None },
        PeerRequest::Read { keyspace, key: key.clone(), known: Some(known()) },
        PeerRequest::Repair { keyspace, key },
        PeerRequest::Forward { request: put_request(), local: DcIndex(2) },
        PeerRequest::Status,
        PeerRequest::Storage,
        PeerRequest::Repairs(RepairCommand::Start),
        PeerRequest::Handoff(HandoffRequest::Deliver {
            keys: vec![bytes("k"), bytes("l")],
            lengths: vec![0, 7],
        }),
        PeerRequest::Handoff(HandoffRequest::Offer {
            keys: vec![bytes("k"), bytes("l")],
            digests: vec![0, u64::MAX],
        }),
        PeerRequest::Hints(HintsCommand::Drop { target: None }),
        PeerRequest::Tombstones,
        PeerRequest::Keyspaces(KeyspaceMap::new(&topology())),
    ];
    let purges = purge::requests().into_iter().map(PeerRequest::Purge);
    others.into_iter().chain(repairs).chain(purges).collect()
}

fn peer_replies() -> Vec<PeerReply> {
    let mut all = vec![
        PeerReply::Record,
        PeerReply::Absent,
        PeerReply::Same,
        PeerReply::Older { digest: u128::MAX - 2 },
        PeerReply::Repaired,
        PeerReply::Forwarded(acknowledged()),
        PeerReply::Status(status()),
        PeerReply::Storage(storage()),
        PeerReply::Repairs(repair_status()),
        PeerReply::Handoff(HandoffReply::Wanted {
            lacks: vec![0, 255],
            coming: vec![7],
            rest: Duration::from_millis(3),
        }),
        PeerReply::Handoff(HandoffReply::Held { rest: Duration::MAX }),
        PeerReply::Handoff(HandoffReply::Busy),
        PeerReply::Hints(hints_status()),
        PeerReply::Tombstones(purge::tombstones()),
        PeerReply::Keyspaces(KeyspaceMap::new(&topology())),
    ];
    all.extend(failures().into_iter().map(PeerReply::Failed));
    all.extend(repair_replies().into_iter().map(PeerReply::Tree));
    all.extend(purge::replies().into_iter().map(PeerReply::Purge));
    all
}

fn peer_notices() -> Vec<PeerNotice> {
    let operation = OperationId(77);
    let apply = |relay_to| PeerNotice::Apply {
        operation,
        coordinator: NodeIndex(1),
        keyspace: KeyspaceId(1),
        key: bytes("k"),
        relay_to,
    };
    vec![
        apply(vec![]),
        apply(vec![NodeIndex(2), NodeIndex(300)]),
        PeerNotice::Hold {
            operation,
            coordinator: NodeIndex(1),
            owner: NodeIndex(2),
            keyspace: KeyspaceId(1),
            key: bytes("k"),
        },
        PeerNotice::Applied { operation, outcome: ApplyOutcome::Durable },
        PeerNotice::Applied { operation, outcome: ApplyOutcome::Refused },
        PeerNotice::Cancel { request: 17 },
        PeerNotice::Gossip(Gossip {
            boot: 1,
            topology: 2,
            keyspaces: 3,
            silent: vec![NodeIndex(4), NodeIndex(u16::MAX)],
        }),
    ]
}

/// Round trip, truncations and extension of each message. The number of variants guards the lists above: a new
/// variant shows as an encoding that decodes to something that no list holds.
fn check<M: Message + PartialEq + std::fmt::Debug>(messages: &[M], variants: u32) {
    let mut seen: Vec<Discriminant<M>> = Vec::new();
    let mut numbers = BTreeSet::new();
    for message in messages {
        if !seen.contains(&discriminant(message)) {
            seen.push(discriminant(message));
        }
        let frame = to_frame(message, Bytes::from_static(b"payload"), ENVELOPE).unwrap();
        assert_eq!(Kind::from_byte(frame.kind), Some(M::KIND));
        assert_eq!((frame.request, frame.epoch, frame.budget), (9, Epoch(3), ENVELOPE.budget));
        assert_eq!(&frame.payload[..], b"payload");
        assert_eq!(from_frame::<M>(&frame).as_ref(), Ok(message));
        numbers.insert(u32::from_le_bytes(*frame.meta.first_chunk().unwrap()));
        // Every cut of the small ones; large ones are cut at their ends, where the interesting bytes are.
        let meta = &frame.meta;
        for length in (0..meta.len()).filter(|&at| at < 400 || at + 100 > meta.len()) {
            assert!(codec::decode::<M>(&meta[..length]).is_err(), "{message:?} cut at {length}");
        }
        let longer = [&meta[..], &[0]].concat();
        assert!(codec::decode::<M>(&longer).is_err(), "{message:?} extended");
    }
    assert_eq!(numbers, (0..variants).collect(), "a list above misses a variant");
    assert_eq!(seen.len(), variants as usize);
    let error = codec::decode::<M>(&variants.to_le_bytes()).unwrap_err().to_string();
    assert!(error.contains("variant"), "variant {variants} exists and is not tested: {error}");
}

#[test]
fn every_message_survives_and_every_cut_of_it_is_refused() {
    check(&requests(), 11);
    check(&replies(), 12);
    check(&peer_requests(), 12);
    check(&peer_replies(), 16);
    check(&peer_notices(), 5);
}

/// The bytes of the hot messages: nodes of different builds talk to each other.
#[test]
fn golden_bytes_of_hot_messages() {
    let hex = |bytes: Bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let applied =
        PeerNotice::Applied { operation: OperationId(0x77), outcome: ApplyOutcome::Refused };
    assert_eq!(hex(codec::encode(&applied).unwrap()), "01000000770000000000000001000000");
    let (keyspace, key, level) = (name("ks"), bytes("k"), Level::One);
    let get = GetRequest { keyspace, key, level, at_least: None };
    let expected = [
        "00000000", // Get
        "0200000000000000",
        "6b73", // keyspace
        "0100000000000000",
        "6b", // key
        "0300000000000000",
        "4f4e45", // level, by name
        "00",     // no session
    ];
    assert_eq!(hex(codec::encode(&Request::Get(get)).unwrap()), expected.concat());
}

/// Old nodes and new ones go on understanding each other: whatever is added stands at the end.
#[test]
fn variants_keep_their_numbers() {
    let first = |bytes: Bytes| u32::from_le_bytes(*bytes.first_chunk().unwrap());
    let failure = || Failure::Internal { detail: String::new() };
    let numbers = [
        (codec::encode(&Request::Fault(FaultCommand::Show)), 6),
        (codec::encode(&Request::Storage), 7),
        (codec::encode(&Reply::Failed(failure())), 7),
        (codec::encode(&Reply::Storage(Vec::new())), 8),
        (codec::encode(&PeerRequest::Status), 3),
        (codec::encode(&PeerRequest::Storage), 5),
        (codec::encode(&PeerReply::Failed(failure())), 7),
        (codec::encode(&PeerReply::Storage(storage())), 8),
    ];
    for (bytes, number) in numbers {
        assert_eq!(first(bytes.unwrap()), number);
    }
}

#[test]
fn golden_bytes_of_a_storage_report() {
    let hex = |bytes: Bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let spans = SyncSpans { count: 1, p50_us: 2, p99_us: 3, max_us: 4 };
    let sync = SyncStatus { kind: SyncKind::Other, since_start: spans, last_minute: spans };
    let number = |number: u64| hex(Bytes::copy_from_slice(&number.to_le_bytes()));
    let spans = [1, 2, 3, 4].map(number).concat();
    let expected = ["04000000", &spans, &spans].concat();
    assert_eq!(hex(codec::encode(&sync).unwrap()), expected);
    // Levels, syncs and 36 numbers beside them, each of 8 bytes.
    let status = codec::encode(&storage()).unwrap();
    assert_eq!(status.len(), (8 + LEVELS_MAX * 16) + (8 + 5 * 68) + 36 * 8);
}

/// The largest topology, the longest names, everybody up or everybody silent with the longest reason.
#[test]
fn storage_reports_of_the_largest_cluster_fit_a_frame() {
    let longest = || name(&"n".repeat(NAME_BYTES_MAX));
    for told in [Ok(storage()), Err("r".repeat(REASON_BYTES_MAX))] {
        let report = StorageReport { node: longest(), dc: longest(), told };
        let reply = Reply::Storage(vec![report; NODES_MAX]);
        let bytes = codec::encode(&reply).unwrap().len();
        assert!(bytes <= META_BYTES_MAX, "{bytes}");
    }
}

#[test]
fn kinds_have_stable_bytes() {
    let table = [
        (Kind::Request, 1),
        (Kind::Reply, 2),
        (Kind::PeerRequest, 3),
        (Kind::PeerReply, 4),
        (Kind::PeerNotice, 5),
    ];
    for (kind, byte) in table {
        assert_eq!(kind.as_byte(), byte);
    }
    for byte in 0..=u8::MAX {
        let expected = table.iter().find(|(_, number)| *number == byte).map(|(kind, _)| *kind);
        assert_eq!(Kind::from_byte(byte), expected);
    }
    let kinds = [Request::KIND, Reply::KIND, PeerRequest::KIND, PeerReply::KIND, PeerNotice::KIND];
    assert_eq!(kinds, table.map(|(kind, _)| kind));
}

#[test]
fn what_does_not_fit_a_frame_is_an_error_and_no_panic() {
    let frame =
        to_frame(&Request::Cluster, Bytes::from(vec![0; PAYLOAD_BYTES_MAX]), ENVELOPE).unwrap();
    assert_eq!(frame.encode_header().len(), HEADER_BYTES);
    let (got, limit) = (PAYLOAD_BYTES_MAX + 1, PAYLOAD_BYTES_MAX);
    let error = to_frame(&Request::Cluster, Bytes::from(vec![0; got]), ENVELOPE).unwrap_err();
    assert_eq!(error, CodecError::TooLarge { part: "payload", got, limit });
    let large = Reply::Faults(vec!["x".repeat(META_BYTES_MAX)]);
    let error = to_frame(&large, Bytes::new(), ENVELOPE).unwrap_err();
    assert!(matches!(error, CodecError::TooLarge { part: "meta", .. }), "{error}");
}

/// What a client may conclude from a failure: P11 in one table.
#[test]
fn failures_say_what_may_have_happened() {
    for failure in failures() {
        let (may_have_applied, is_retryable) = match &failure {
            Failure::Invalid(_) | Failure::Denied { .. } => (false, false),
            Failure::Internal { .. } => (true, false),
            Failure::Unknown { .. } => (true, true),
            Failure::Unavailable { .. }
            | Failure::Deadline { .. }
            | Failure::Overloaded { .. }
            | Failure::NotServing { .. }
            | Failure::Storage { .. }
            | Failure::SessionBehind { .. } => (false, true),
        };
        assert_eq!(failure.may_have_applied(), may_have_applied, "{failure}");
        assert_eq!(failure.is_retryable(), is_retryable, "{failure}");
        let claims_nothing_written = failure.to_string().contains("nothing was written");
        assert!(!(claims_nothing_written && may_have_applied), "{failure}");
    }
}

#[test]
fn failures_read_well() {
    let level = Level::LocalQuorum;
    let unavailable = Failure::Unavailable { level, dc: Some(name("eu")), needed: 2, alive: 1 };
    let expected = "not enough live replicas in dc \"eu\" for LOCAL_QUORUM: 2 needed, 1 alive; nothing was written";
    assert_eq!(unavailable.to_string(), expected);
    let unknown = Failure::Unknown { level: Level::All, dc: None, needed: 9, acked: 4 };
    let expected =
        "write outcome unknown: 4 of 9 acknowledgements for ALL; replicas that applied it keep it";
    assert_eq!(unknown.to_string(), expected);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(variant in 0u32..10, tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = variant.to_le_bytes().to_vec();
        bytes.extend(tail);
        drop(codec::decode::<Request>(&bytes));
        drop(codec::decode::<Reply>(&bytes));
        drop(codec::decode::<PeerRequest>(&bytes));
        drop(codec::decode::<PeerReply>(&bytes));
        drop(codec::decode::<PeerNotice>(&bytes));
    }

    /// Damaged real messages reach deeper than random bytes.
    #[test]
    fn damaged_messages_never_panic(pick in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let all = replies();
        let mut bytes = codec::encode(pick.get(&all)).unwrap().to_vec();
        let index = at.index(bytes.len());
        bytes[index] = with;
        drop(codec::decode::<Reply>(&bytes));
    }
}

// format: datagram v1
#[test]
fn a_datagram_is_what_is_drawn() {
    let datagram = Datagram { pool: Pool::Wan, known: 0x0102, packet: bytes("swim") };
    let encoded = datagram.encode();
    assert_eq!(encoded[..], *b"\x01\x01\x02\x01\0\0\0\0\0\0swim");
    assert_eq!(Datagram::decode(encoded.clone()), Ok(datagram));
    for got in 0..DATAGRAM_HEADER_BYTES {
        assert_eq!(Datagram::decode(encoded.slice(..got)), Err(DatagramError::Short { got }));
    }
    let other = |at: usize, byte: u8| {
        let mut bytes = encoded.to_vec();
        bytes[at] = byte;
        Datagram::decode(bytes.into())
    };
    assert_eq!(other(0, 2), Err(DatagramError::Version { got: 2 }));
    assert_eq!(other(1, 7), Err(DatagramError::Pool { got: 7 }));
}

proptest! {
    #[test]
    fn a_datagram_of_anything_is_refused_or_comes_back(data: Vec<u8>) {
        if let Ok(datagram) = Datagram::decode(data.clone().into()) {
            prop_assert_eq!(datagram.encode(), Bytes::from(data));
        }
    }
}

#[test]
fn reasons_are_cut_between_letters() {
    assert_eq!(cut_reason("gone".to_owned()), "gone");
    let long = cut_reason("ü".repeat(200));
    assert_eq!(long, "ü".repeat(128));
    assert_eq!(cut_reason(format!("x{}", "ü".repeat(200))).len(), 255);
}
