use atoll_protocol::keyspace::{Keyspace, KeyspaceMap};
use atoll_protocol::topology::{Addresses, TopologyFile};

use super::*;
use crate::cli::exit::exit_code;

fn view() -> ClusterView {
    let text = include_str!("../../../topology/three-dcs.toml");
    let topology = TopologyFile::parse(text).unwrap().check(Addresses::Optional).unwrap();
    let keyspaces = KeyspaceMap::new(&topology);
    let answered_by = Name::new("eu-1").unwrap();
    ClusterView { topology, keyspaces, answered_by }
}

fn keyspace(view: &ClusterView) -> Keyspace {
    Keyspace::default_for(&view.topology)
}

#[test]
fn every_partition_is_owned_and_led() {
    let view = view();
    let ring = Ring::of(&view, &keyspace(&view));
    assert_eq!((ring.partitions, ring.nodes.len()), (256, 9));
    for dc in ["ap", "eu", "us"] {
        let nodes = || ring.nodes.iter().filter(|share| share.dc.as_str() == dc);
        assert_eq!(nodes().map(|share| share.partitions).sum::<u32>(), 3 * 256);
        assert_eq!(nodes().map(|share| share.leads).sum::<u32>(), 256);
    }
}

#[test]
fn a_keyspace_without_replicas_in_a_datacenter_owns_nothing_there() {
    let view = view();
    let mut local = keyspace(&view);
    local.replication_factor.retain(|dc, _| dc.as_str() == "eu");
    let ring = Ring::of(&view, &local);
    let owned: Vec<u32> = ring.nodes.iter().map(|share| share.partitions).collect();
    assert_eq!(owned, [0, 0, 0, 256, 256, 256, 0, 0, 0]);
    let location = Location::of(&view, &local, b"k").unwrap();
    assert!(location.dcs[0].replicas.is_empty());
    assert_eq!(location.dcs[0].fallbacks.len(), 3);
}

#[test]
fn a_key_has_its_replicas_and_fallbacks() {
    let view = view();
    let mut definition = keyspace(&view);
    for factor in definition.replication_factor.values_mut() {
        *factor = 2;
    }
    let location = Location::of(&view, &definition, b"user:42").unwrap();
    assert_eq!(location.token, "e8bb52a8a1847081");
    assert_eq!(location.partition, 0xe8);
    assert_eq!(location.first_token, "e800000000000000");
    assert_eq!(location.last_token, "e8ffffffffffffff");
    for dc in &location.dcs {
        assert_eq!((dc.replicas.len(), dc.fallbacks.len()), (2, 1));
        assert!(!dc.replicas.contains(&dc.fallbacks[0]));
    }
}

#[test]
fn what_cannot_be_a_key_is_refused() {
    assert!(check_key(b"k").is_ok());
    assert!(check_key(&[b'k'; KEY_BYTES_MAX]).is_ok());
    for key in [&b""[..], &[b'k'; KEY_BYTES_MAX + 1]] {
        assert_eq!(exit_code(&check_key(key).unwrap_err()), 2);
    }
}
