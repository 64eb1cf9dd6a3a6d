//! The pure parts: names, links, life of a node, addresses, readiness, nodes.json, percentages; and the folder.

use std::net::UdpSocket;
use std::time::Duration;

use atoll_client::{ProfileFile, Role};
use atoll_protocol::ids::{Epoch, Incarnation, Name};
use atoll_protocol::time::{MonoTime, WallTime};
use atoll_protocol::topology::{Addresses, Topology, TopologyFile};
use atoll_protocol::wire::{
    FaultCommand, LinkFault, NodeReport, NodeState as ReportedState, NodeStatus, PeerStatus,
    SpeculationStatus,
};

use super::faults::{FaultError, FaultOrder, grouped, parse_percent, plan};
use super::life::{Deed, Input, NodeLife, REST, Restart, RunState, Verb};
use super::names::{expand, links_between};
use super::prepare::{is_same, prepare};
use super::ready::lacking;
use super::roster::{RosterEntry, entries, to_json};
use super::supervisor::NodeState;
use super::{DevError, access, addresses};
use crate::config::Config;

const THREE_DCS: &str = include_str!("../../topology/three-dcs.toml");
const TWO_DCS: &str = include_str!("../../topology/two-dcs.toml");

/// A moment at which nothing expires for a year: 2026-01-01.
const NOW: WallTime = WallTime::from_micros(1_767_225_600_000_000);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn names(texts: &[&str]) -> Vec<Name> {
    texts.iter().map(|text| name(text)).collect()
}

fn file(text: &str) -> TopologyFile {
    TopologyFile::parse(text).unwrap()
}

fn three_dcs() -> Topology {
    file(THREE_DCS).check(Addresses::Optional).unwrap()
}

fn at(seconds: u64) -> MonoTime {
    MonoTime::ZERO.after(Duration::from_secs(seconds))
}

#[test]
fn a_datacenter_expands_to_its_nodes_and_a_node_to_itself() {
    let topology = three_dcs();
    assert_eq!(expand(&topology, "us"), Ok(names(&["us-1", "us-2", "us-3"])));
    assert_eq!(expand(&topology, "eu-2"), Ok(names(&["eu-2"])));
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    let error = expand(&three_dcs(), "eu-9").unwrap_err().to_string();
    for part in ["`eu-9`", "eu-1, eu-2, eu-3", "datacenters: ap, eu, us"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(expand(&three_dcs(), "").is_err());
}

#[test]
fn links_are_known_at_both_ends_and_join_different_nodes() {
    let links = links_between(&names(&["a", "b"]), &names(&["b", "c"]));
    let expected =
        [("a", names(&["b", "c"])), ("b", names(&["a", "c"])), ("c", names(&["a", "b"]))];
    assert_eq!(links, expected.map(|(node, others)| (name(node), others)).into());
    assert!(links_between(&names(&["a"]), &names(&["a"])).is_empty());
}

#[test]
fn a_partition_tells_every_node_of_both_sides() {
    let order = |one: &str, other: Option<&str>| FaultOrder::Set {
        one: one.to_owned(),
        other: other.map(str::to_owned),
        fault: LinkFault::Block,
    };
    let told = plan(&three_dcs(), &order("eu", Some("us-2"))).unwrap();
    let set = |nodes: &[&str]| FaultCommand::Set { nodes: names(nodes), fault: LinkFault::Block };
    let expected = [
        ("eu-1", set(&["us-2"])),
        ("eu-2", set(&["us-2"])),
        ("eu-3", set(&["us-2"])),
        ("us-2", set(&["eu-1", "eu-2", "eu-3"])),
    ];
    assert_eq!(told, expected.map(|(node, command)| (name(node), command)));
    let isolated = plan(&three_dcs(), &order("ap", None)).unwrap();
    assert_eq!(isolated.len(), 9);
    let own_link = plan(&three_dcs(), &order("eu-1", Some("eu-1")));
    assert!(matches!(own_link, Err(FaultError::NoLink { .. })));
    let everybody = plan(&three_dcs(), &FaultOrder::Heal).unwrap();
    assert_eq!(everybody.len(), 9);
}

#[test]
fn percentages_become_thousandths() {
    for (text, per_mille) in [("5", 50), ("2.5", 25), ("0.1%", 1), ("100", 1_000), ("1%", 10)] {
        assert_eq!(parse_percent(text).unwrap(), per_mille, "{text}");
    }
    for text in ["", "0", "0.0", "100.1", "-1", "1.25", "1.", "7000", "x", "+3", "NaN"] {
        assert!(parse_percent(text).is_err(), "{text}");
    }
}

#[test]
fn links_that_say_the_same_are_shown_together() {
    let links = ["→ a: wan 60ms", "→ b: wan 60ms", "→ c: wan 60ms, blocked", "→ d: wan 60ms"];
    let shown = grouped(&links.map(str::to_owned));
    assert_eq!(shown, ["→ a, b: wan 60ms", "→ c: wan 60ms, blocked", "→ d: wan 60ms"]);
}

#[test]
fn a_node_that_dies_rests_and_comes_back() {
    let mut life = NodeLife::new(Restart::AfterPause);
    assert_eq!(life.handle(at(0), Input::Order(Verb::Start)), Some(Deed::Spawn));
    assert_eq!(life.handle(at(5), Input::Exited), None);
    assert_eq!((life.shown(), life.deaths()), (RunState::Restarting, 1));
    assert_eq!(life.wakes_at(), Some(at(5).after(REST)));
    assert_eq!(life.handle(at(6), Input::Tick), None);
    assert_eq!(life.handle(at(5).after(REST), Input::Tick), Some(Deed::Spawn));
    assert_eq!((life.shown(), life.wakes_at()), (RunState::Running, None));
}

#[test]
fn without_restarts_a_node_that_dies_stays_down() {
    let mut life = NodeLife::new(Restart::Never);
    life.handle(at(0), Input::Order(Verb::Start));
    assert_eq!(life.handle(at(1), Input::Exited), None);
    assert_eq!((life.shown(), life.wakes_at()), (RunState::Down, None));
    assert_eq!(life.handle(at(9), Input::Tick), None);
    assert_eq!(life.handle(at(9), Input::Order(Verb::Start)), Some(Deed::Spawn));
}

#[test]
fn a_node_that_was_killed_or_stopped_stays_down() {
    for (verb, deed) in [(Verb::Kill, Deed::Kill), (Verb::Stop, Deed::Terminate)] {
        let mut life = NodeLife::new(Restart::AfterPause);
        life.handle(at(0), Input::Order(Verb::Start));
        assert_eq!(life.handle(at(1), Input::Order(verb)), Some(deed));
        assert!(!life.is_settled());
        assert_eq!(life.handle(at(2), Input::Exited), None);
        assert_eq!((life.shown(), life.deaths()), (RunState::Down, 0));
        assert!(life.is_settled());
        assert_eq!(life.handle(at(99), Input::Tick), None);
        assert_eq!(life.handle(at(99), Input::Order(verb)), None);
    }
}

#[test]
fn orders_overtake_each_other() {
    let mut life = NodeLife::new(Restart::AfterPause);
    life.handle(at(0), Input::Order(Verb::Start));
    assert_eq!(life.handle(at(1), Input::Order(Verb::Start)), None);
    // A kill overtakes a stop; a start waits for the end of the process.
    assert_eq!(life.handle(at(1), Input::Order(Verb::Stop)), Some(Deed::Terminate));
    assert_eq!(life.handle(at(1), Input::Order(Verb::Kill)), Some(Deed::Kill));
    assert_eq!(life.handle(at(1), Input::Order(Verb::Start)), None);
    assert_eq!(life.handle(at(2), Input::Exited), Some(Deed::Spawn));
    // A kill while it rests cancels the restart, a start while it rests comes at once.
    life.handle(at(3), Input::Exited);
    assert_eq!(life.handle(at(4), Input::Order(Verb::Kill)), None);
    assert_eq!((life.shown(), life.wakes_at()), (RunState::Down, None));
    life.handle(at(4), Input::Order(Verb::Start));
    life.handle(at(5), Input::Exited);
    assert_eq!(life.handle(at(5), Input::Order(Verb::Start)), Some(Deed::Spawn));
}

#[test]
fn a_kill_after_a_start_that_waits_leaves_it_down() {
    let mut life = NodeLife::new(Restart::AfterPause);
    for verb in [Verb::Start, Verb::Stop, Verb::Start, Verb::Kill] {
        life.handle(at(0), Input::Order(verb));
    }
    assert_eq!(life.handle(at(1), Input::Exited), None);
    assert_eq!(life.shown(), RunState::Down);
}

#[test]
fn missing_addresses_are_filled_in_with_different_ports() {
    let mut file = file(THREE_DCS);
    addresses::assign(&mut file, 300).unwrap();
    let filled = file.clone();
    let mut all: Vec<&String> = filled.node.iter().flat_map(|node| &node.address).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 9);
    assert!(all.iter().all(|address| address.starts_with("127.0.0.1:")));
    addresses::assign(&mut file, 600).unwrap();
    assert_eq!(file, filled, "addresses that are there stay");
}

#[test]
fn addresses_that_cannot_be_used_name_the_node() {
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let error_of = |address: &str| {
        let mut file = file(THREE_DCS);
        file.node[4].address = Some(address.to_owned());
        addresses::assign(&mut file, 900).unwrap_err()
    };
    let error = error_of(&taken);
    assert!(matches!(&error, DevError::PortTaken { node, .. } if node == "eu-2"), "{error}");
    // A name, and an address of documentation (RFC 5737) that no machine has.
    for address in ["db1.example:7400", "192.0.2.1:7400"] {
        let error = error_of(address);
        assert!(matches!(&error, DevError::Address { node, .. } if node == "eu-2"), "{error}");
    }
}

#[test]
fn a_folder_is_recognised_by_its_topology() {
    let (asked, mut remembered) = (file(THREE_DCS), file(THREE_DCS));
    addresses::assign(&mut remembered, 1200).unwrap();
    assert!(is_same(&remembered, &asked));
    assert!(!is_same(&remembered, &file(TWO_DCS)));
    let mut fixed = asked.clone();
    fixed.node[0].address = Some("127.0.0.1:1".to_owned());
    assert!(!is_same(&remembered, &fixed));
}

/// A report in which `node` is connected to `peers`; `None` for one that is down.
fn report(node: &str, peers: Option<&[&str]>) -> NodeReport {
    let connected = |peer: &&str| PeerStatus {
        node: name(peer),
        rtt: Some(Duration::from_millis(1)),
        since: Duration::ZERO,
        path: None,
    };
    let state = match peers {
        Some(peers) => ReportedState::Up(NodeStatus {
            version: String::new(),
            pid: 1,
            uptime: Duration::ZERO,
            epoch: Epoch(1),
            incarnation: Incarnation(1),
            data_bytes: 0,
            tables: 0,
            clients: 0,
            peers: peers.iter().map(connected).collect(),
            suspicions: Vec::new(),
            operations: 0,
            puts: 0,
            gets: 0,
            missed: 0,
            repaired: 0,
            lww_dropped: 0,
            speculation: SpeculationStatus::default(),
        }),
        None => ReportedState::Down { silent_for: None, reason: "refused".to_owned() },
    };
    NodeReport {
        node: name(node),
        dc: name("dc"),
        rack: name("rack"),
        address: String::new(),
        owns_per_mille: 0,
        state,
    }
}

#[test]
fn ready_means_that_all_expected_nodes_see_each_other() {
    let all = names(&["a", "b", "c"]);
    let full = [
        report("a", Some(&["b", "c"])),
        report("b", Some(&["a", "c"])),
        report("c", Some(&["a", "b"])),
    ];
    assert_eq!(lacking(&full, &all), []);
    let one_way = [full[0].clone(), full[1].clone(), report("c", Some(&["a"]))];
    assert_eq!(lacking(&one_way, &all), [(name("c"), "not connected to b".to_owned())]);
    // Who is down is named, who merely misses it is not.
    let down = [report("a", Some(&["b"])), report("b", Some(&["a"])), report("c", None)];
    assert_eq!(lacking(&down, &all), [(name("c"), "refused".to_owned())]);
    assert_eq!(lacking(&down, &names(&["a", "b"])), []);
    assert_eq!(lacking(&full[..2], &all).len(), 1);
}

#[test]
fn the_folder_is_made_once_and_used_again() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("cluster");
    let first = prepare(&dir, None, (NOW, 1500)).unwrap();
    assert_eq!(first.nodes.len(), 9);
    let busy = prepare(&dir, None, (NOW, 1800)).unwrap_err();
    assert!(matches!(busy, DevError::AlreadyRunning { .. }), "{busy}");
    for node in &first.nodes {
        let config = Config::load(&node.config).unwrap();
        assert_eq!((config.node, config.listen), (node.name.clone(), node.address));
        assert!(config.certificate.is_file() && config.key.is_file());
        let data = config.data_dir.parent().unwrap().canonicalize().unwrap();
        assert_eq!(Some(data.as_path()), node.data_dir.parent());
    }
    let (addresses, layout) = (first.topology.clone(), first.layout.clone());
    drop(first.lock);
    let ca = std::fs::read(layout.ca()).unwrap();
    let second = prepare(&dir, None, (NOW, 2100)).unwrap();
    assert_eq!(second.topology, addresses);
    assert_eq!(std::fs::read(layout.ca()).unwrap(), ca);
    access::write_profile(&layout, &second.topology).unwrap();
    let profile = ProfileFile::load(&layout.profile()).unwrap();
    assert_eq!((profile.seeds.len(), profile.dc.clone()), (9, Some(name("ap"))));
    for role in [Role::Client, Role::Admin] {
        assert!(profile.credentials(role).unwrap().certificate.is_file());
    }
}

#[test]
fn another_topology_and_reserved_names_are_refused() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("cluster");
    let two = parent.path().join("two.toml");
    std::fs::write(&two, TWO_DCS).unwrap();
    drop(prepare(&dir, None, (NOW, 2400)).unwrap());
    let error = prepare(&dir, Some(&two), (NOW, 2700)).unwrap_err();
    assert!(matches!(error, DevError::OtherTopology { .. }), "{error}");
    std::fs::write(&two, TWO_DCS.replace("eu-1", "admin")).unwrap();
    let error = prepare(&parent.path().join("other"), Some(&two), (NOW, 3000)).unwrap_err();
    assert!(matches!(&error, DevError::ReservedName { node } if node == "admin"), "{error}");
    std::fs::write(&two, TWO_DCS.replace("eu-1", "us-1")).unwrap();
    let error = prepare(&parent.path().join("third"), Some(&two), (NOW, 3300)).unwrap_err();
    assert!(matches!(error, DevError::Topology { .. }) && error.is_usage(), "{error}");
}

#[test]
fn nodes_json_says_who_runs_where() {
    let parent = tempfile::tempdir().unwrap();
    let prepared = prepare(&parent.path().join("cluster"), None, (NOW, 3600)).unwrap();
    let running =
        NodeState { id: name("ap-2"), state: RunState::Running, pid: Some(4_711), deaths: 0 };
    let json = to_json(&entries(&prepared.nodes, &[running]));
    let read: Vec<RosterEntry> = serde_json::from_slice(&json).unwrap();
    assert_eq!(read.len(), 9);
    assert_eq!((read[0].pid, read[1].pid), (None, Some(4_711)));
    assert_eq!((read[1].id.as_str(), read[1].dc.as_str()), ("ap-2", "ap"));
    assert_eq!(read[1].address, prepared.nodes[1].address.to_string());
    assert!(read[1].data_dir.is_absolute());
    let text = String::from_utf8(json).unwrap();
    assert!(text.contains(r#""id":"ap-1","dc":"ap","rack":"a","pid":null,"address":"127.0.0.1:"#));
    assert_eq!(to_json(&[]), b"[\n]\n");
}
