use std::time::Duration;

use atoll_client::{StorageReport, StorageStatus};
use atoll_protocol::ids::{Epoch, Incarnation, Name};
use atoll_protocol::keyspace::KeyspaceMap;
use atoll_protocol::topology::{Addresses, Topology, TopologyFile};
use atoll_protocol::wire::{
    CacheUsageStatus, FilesStatus, PeerStatus, SpeculationStatus, SuspicionState, SuspicionStatus,
    SyncKind, SyncSpans, SyncStatus, WorkStatus,
};

use super::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn view() -> ClusterView {
    let text = include_str!("../../../topology/two-dcs.toml");
    let topology: Topology = TopologyFile::parse(text).unwrap().check(Addresses::Optional).unwrap();
    let keyspaces = KeyspaceMap::new(&topology);
    ClusterView { topology, keyspaces, answered_by: name("eu-2") }
}

fn up(node: &str, others: &[&str]) -> NodeStatus {
    let peer = |other: &&str| PeerStatus {
        node: name(other),
        rtt: (!other.ends_with('3')).then(|| Duration::from_micros(1_250)),
        since: Duration::from_secs(5),
        path: None,
    };
    let peers = others.iter().filter(|other| **other != node).map(peer);
    NodeStatus {
        version: "0.1.0".into(),
        pid: 7,
        uptime: Duration::from_secs(75),
        epoch: Epoch(1),
        incarnation: Incarnation(1),
        data_bytes: 2_048,
        tables: 2,
        clients: 1,
        peers: peers.collect(),
        suspicions: Vec::new(),
        operations: 0,
        puts: 10,
        gets: 20,
        missed: 0,
        repaired: 1,
        lww_dropped: 0,
        speculation: SpeculationStatus { sent: 3, replaced: 2, won: 4, refused: 1 },
    }
}

/// The status of a cluster in which the nodes in `down` do not answer.
fn status(down: &[&str]) -> Status {
    let view = view();
    let names: Vec<String> =
        view.topology.nodes().iter().map(|node| node.name.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let report = |node: &atoll_protocol::topology::Node| NodeReport {
        node: node.name.clone(),
        dc: view.topology.dc(node.dc).unwrap().name.clone(),
        rack: node.rack.clone(),
        address: "127.0.0.1:1".into(),
        owns_per_mille: 1_000,
        state: if down.contains(&node.name.as_str()) {
            let silent_for = Some(Duration::from_secs(252));
            NodeState::Down { silent_for, reason: "timed out".into() }
        } else {
            NodeState::Up(up(node.name.as_str(), &names))
        },
    };
    let reports: Vec<NodeReport> = view.topology.nodes().iter().map(report).collect();
    let health = Health::of(&view, &reports);
    Status { view, reports, health }
}

#[test]
fn a_whole_cluster_is_ok() {
    let status = status(&[]);
    assert_eq!(status.health.verdict(), "OK");
    assert!(status.health.problems.is_empty());
    let dcs: Vec<(usize, u32, u32)> =
        status.health.dcs.iter().map(|dc| (dc.up, dc.without_quorum, dc.without_all)).collect();
    assert_eq!(dcs, [(3, 0, 0), (3, 0, 0)]);
}

#[test]
fn one_node_down_leaves_the_quorum() {
    let status = status(&["us-2"]);
    let health = &status.health;
    assert_eq!(health.verdict(), "DEGRADED (1 node(s) down, quorum intact everywhere)");
    assert_eq!(health.problems, ["node us-2 of us is down"]);
    assert_eq!((health.dcs[1].without_quorum, health.dcs[1].without_all), (0, 256));
}

#[test]
fn two_nodes_down_lose_it() {
    let status = status(&["us-2", "us-1"]);
    assert_eq!(status.health.verdict(), "DEGRADED (2 node(s) down, quorum lost in us)");
    let expected = "256 of 256 partitions have no LOCAL_QUORUM in us for keyspaces with rf 3";
    assert_eq!(status.health.problems.last().unwrap(), expected);
}

#[test]
fn the_table_is_grouped_by_datacenter() {
    let lines = status(&["us-2"]).lines();
    let expected = [
        "cluster demo   epoch 1   2 DCs  6 nodes   health DEGRADED (1 node(s) down, quorum intact everywhere)",
        "rtt to eu-2",
        "",
        "DC eu   3/3 up   rf 3   LOCAL_QUORUM ok   ALL ok",
    ];
    assert_eq!(lines[..4], expected);
    assert!(lines[4].starts_with("  ST  NODE  ADDRESS      RACK"), "{}", lines[4]);
    assert!(lines[5].starts_with("  UN  eu-1  127.0.0.1:1  a     0.1.0"), "{}", lines[5]);
    assert!(lines[5].contains("1m15s  100.0%  2.0 KiB       2      4  1.3ms"), "{}", lines[5]);
    assert!(lines[5].ends_with("no link to eu-3 us-3"), "{}", lines[5]);
    assert_eq!(lines[9], "DC us   2/3 up   rf 3   LOCAL_QUORUM ok   ALL 0/256 partitions");
    assert!(lines[12].starts_with("  DN  us-2"), "{}", lines[12]);
    assert!(lines[12].ends_with("silent 4m12s: timed out"), "{}", lines[12]);
    assert_eq!(lines.len(), 14);
}

#[test]
fn round_trips_are_to_a_node_that_is_up() {
    let asked = |status: &Status| status.reference().unwrap().node.to_string();
    assert_eq!(asked(&status(&[])), "eu-2");
    assert_eq!(asked(&status(&["eu-2"])), "eu-1");
}

#[test]
fn the_document_has_units_in_its_names() {
    let status = status(&["us-2"]);
    let document = serde_json::to_value(report::of(&status)).unwrap();
    assert_eq!(document["health"], "degraded");
    assert_eq!(document["problems"][0], "node us-2 of us is down");
    assert_eq!(document["dcs"][1]["partitions_without_all"], 256);
    let up = &document["nodes"][0];
    assert_eq!(
        (&up["state"], &up["uptime_ms"], &up["data_bytes"]),
        (&"up".into(), &75_000.into(), &2_048.into())
    );
    assert_eq!(up["peers"][0]["rtt_us"], 1_250);
    let down =
        document["nodes"].as_array().unwrap().iter().find(|it| it["node"] == "us-2").unwrap();
    assert_eq!((&down["state"], &down["silent_for_ms"]), (&"down".into(), &252_000.into()));
}

fn storage_reports() -> Vec<StorageReport> {
    let files = |files, bytes| FilesStatus { files, bytes };
    let work = |units, bytes| WorkStatus { units, bytes };
    let spans = SyncSpans { count: 40, p50_us: 350, p99_us: 2_100, max_us: 80_000 };
    let idle = SyncSpans::default();
    let log = SyncStatus { kind: SyncKind::Log, since_start: spans, last_minute: idle };
    let status = StorageStatus {
        levels: vec![files(3, 1_024), files(12, 1_024), files(0, 0), files(0, 0)],
        value_files: files(2, 4_096),
        value_live_bytes: 3_072,
        memtable_bytes: 2_048,
        memtables_sealed: 1,
        entries: 70,
        written_bytes: 10_240,
        flushes: work(3, 1_024),
        write_amplification_per_mille: 2_346,
        space_amplification_per_mille: 1_204,
        damaged_values: 2,
        removals_pending: 1,
        cache_bytes: 512,
        cache_blocks: CacheUsageStatus { hits: 2, misses: 1 },
        syncs: vec![SyncStatus { kind: SyncKind::Table, ..log }, log],
        ..StorageStatus::default()
    };
    let report = |node, told| StorageReport { node: name(node), dc: name("eu"), told };
    vec![report("eu-1", Ok(status)), report("eu-2", Err("timed out".to_owned()))]
}

#[test]
fn storage_is_three_tables_with_a_line_per_node() {
    let lines = storage::lines(&storage_reports());
    let words = |line: usize| lines[line].split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words(0), "what it holds");
    assert_eq!(
        words(1),
        "NODE DC LEVELS TABLES VALUES GARBAGE MEMTABLES SEALED LOG CACHE SPACE AMP NOTE"
    );
    let holds = "eu-1 eu 3/12 2.0 KiB 4.0 KiB 1.0 KiB 2.0 KiB 1 0 B 512 B 1.20 2 damaged value(s), 1 file(s) to remove";
    assert_eq!(words(2), holds);
    assert_eq!(words(3), "eu-2 eu - - - - - - - - - timed out");
    assert_eq!(
        words(6),
        "NODE ENTRIES WRITTEN GROUPS FLUSHES COMPACTIONS RELOCATIONS WRITE AMP STALLS"
    );
    assert_eq!(words(7), "eu-1 70 10.0 KiB 0 3, 1.0 KiB 0, 0 B 0, 0 B 2.35 0");
    assert_eq!(words(10), "NODE BLOCK HITS VALUE HITS SYNCS P50 P99 MAX LAST MINUTE P50 P99 MAX");
    assert_eq!(words(11), "eu-1 66.6% - 40 350µs 2.1ms 80.0ms 0 - - -");
    assert_eq!(lines.len(), 12, "{lines:#?}");
}

#[test]
fn storage_as_a_document_has_every_fact() {
    let reports = storage_reports();
    let document = serde_json::to_value(storage::document(&reports)).unwrap();
    let [up, silent] = &document["nodes"].as_array().unwrap()[..] else { panic!("{document}") };
    assert_eq!((&up["node"], &up["state"]), (&"eu-1".into(), &"up".into()));
    assert_eq!(
        (&up["levels"][1]["files"], &up["value_files"]["bytes"]),
        (&12.into(), &4_096.into())
    );
    assert_eq!((&up["flushes"]["units"], &up["flushes"]["bytes"]), (&3.into(), &1_024.into()));
    assert_eq!((&up["cache"]["block_hits"], &up["cache"]["bytes"]), (&2.into(), &512.into()));
    let log = &up["syncs"][1];
    assert_eq!((&log["kind"], &log["since_start"]["p99_us"]), (&"log".into(), &2_100.into()));
    assert_eq!(log["last_minute"]["count"], 0);
    // What the wire has, the document has: as many numbers, under whatever names.
    fn numbers(value: &serde_json::Value) -> usize {
        match value {
            serde_json::Value::Array(all) => all.iter().map(numbers).sum(),
            serde_json::Value::Object(all) => all.values().map(numbers).sum(),
            serde_json::Value::Number(_) => 1,
            _ => 0,
        }
    }
    let on_wire = serde_json::to_value(reports[0].told.as_ref().unwrap()).unwrap();
    assert_eq!(numbers(up), numbers(&on_wire));
    let expected = serde_json::json!({
        "node": "eu-2", "dc": "eu", "state": "silent", "reason": "timed out"
    });
    assert_eq!(*silent, expected);
}

#[test]
fn suspicions_are_told_with_their_observers() {
    let mut status = status(&[]);
    let suspicion = |node: &str, state, observers: &[&str]| SuspicionStatus {
        node: name(node),
        state,
        since: Duration::from_secs(12),
        observers: observers.iter().map(|observer| name(observer)).collect(),
    };
    let NodeState::Up(first) = &mut status.reports[0].state else { panic!("it is up") };
    first.suspicions = vec![
        suspicion("eu-2", SuspicionState::Suspect, &[]),
        suspicion("us-1", SuspicionState::Convicted, &["eu-1", "eu-2"]),
    ];
    let told = "suspects eu-2 (12s), convicted us-1 (12s, not heard by eu-1 eu-2)";
    let lines = status.lines();
    assert!(lines.iter().any(|line| line.contains(told)), "{lines:#?}");
    let document = serde_json::to_value(report::of(&status)).unwrap();
    let expected = serde_json::json!([
        { "node": "eu-2", "state": "suspect", "since_ms": 12_000, "observers": [] },
        { "node": "us-1", "state": "convicted", "since_ms": 12_000, "observers": ["eu-1", "eu-2"] },
    ]);
    assert_eq!(document["nodes"][0]["suspicions"], expected);
}
