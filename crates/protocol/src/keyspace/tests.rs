use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::limits::KEYSPACES_MAX;
use crate::topology::{Addresses, TopologyFile};

const THREE_DCS: &str = include_str!("../../../../topology/three-dcs.toml");

fn topology() -> Topology {
    TopologyFile::parse(THREE_DCS).unwrap().check(Addresses::Optional).unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn keyspace(text: &str, id: u64, created: u64) -> Keyspace {
    Keyspace { id: KeyspaceId(id), name: name(text), created, ..Keyspace::default_for(&topology()) }
}

#[test]
fn the_default_keyspace() {
    let topology = topology();
    let map = KeyspaceMap::new(&topology);
    let default = map.by_name(&name("default")).unwrap();
    assert_eq!(map.by_id(DEFAULT_KEYSPACE_ID), Some(default));
    assert_eq!((default.created, default.ttl), (0, None));
    assert_eq!(default.conflict, Conflict::Siblings);
    assert_eq!(default.replicas_in(&topology, DcIndex(2)), 3);
    assert_eq!(default.replicas_in(&topology, DcIndex(3)), 0);
    let all: Vec<_> = (0..3).map(|dc| (DcIndex(dc), 3)).collect();
    assert_eq!(map.pairs(&topology).into_iter().collect::<Vec<_>>(), all);
}

#[test]
fn conflict_modes_are_words() {
    for mode in [Conflict::Siblings, Conflict::Lww] {
        assert_eq!(mode.to_string().parse(), Ok(mode));
    }
    let error = "LWW".parse::<Conflict>().unwrap_err();
    assert_eq!(error.to_string(), "`LWW` is not a conflict mode: write `siblings` or `lww`");
}

#[test]
fn first_come_first_served() {
    let mut map = KeyspaceMap::new(&topology());
    map.insert_new(keyspace("carts", 7, 100)).unwrap();
    let taken = map.insert_new(keyspace("carts", 8, 50)).unwrap_err();
    assert_eq!(taken.to_string(), "keyspace `carts` exists already (id 0000000000000007)");
    assert_eq!(taken.existing.id, KeyspaceId(7));
    let same_id = map.insert_new(keyspace("users", 7, 100)).unwrap_err();
    assert_eq!(same_id.existing.name, name("carts"));
    assert_eq!(map.len(), 2);
}

#[test]
fn the_earlier_definition_stands() {
    let mut ours = KeyspaceMap::new(&topology());
    let mut peer = ours.clone();
    ours.insert_new(keyspace("carts", 7, 100)).unwrap();
    peer.insert_new(keyspace("carts", 8, 99)).unwrap();
    peer.insert_new(keyspace("users", 9, 101)).unwrap();
    assert_ne!(ours.digest(), peer.digest());
    let changes = ours.merge(&peer);
    let lost = Arc::new(keyspace("carts", 7, 100));
    let stands = Arc::new(keyspace("carts", 8, 99));
    let expected = [
        KeyspaceChange::Replaced { lost, stands },
        KeyspaceChange::Added { keyspace: Arc::new(keyspace("users", 9, 101)) },
    ];
    assert_eq!(changes, expected);
    assert_eq!(ours, peer);
    assert_eq!(ours.digest(), peer.digest());
    assert_eq!(ours.by_id(KeyspaceId(7)), None);
    assert_eq!(ours.merge(&peer), []);
}

/// Every problem of a wanted definition, as it is printed.
#[test]
fn problems_of_a_definition() {
    let topology = topology();
    let map = KeyspaceMap::new(&topology);
    let with = |dc: &str, replicas: u8| Keyspace {
        replication_factor: BTreeMap::from([(name(dc), replicas)]),
        ..keyspace("carts", 7, 1)
    };
    let carts = keyspace("carts", 7, 1);
    let rows = [
        (
            with("zz", 3),
            "replication_factor.zz: there is no datacenter `zz`\n  fix: use one of `ap`, `eu`, `us`, or add it",
        ),
        (
            with("usa", 3),
            "replication_factor.usa: there is no datacenter `usa`\n  fix: did you mean `us`?",
        ),
        (
            with("eu", 0),
            "replication_factor.eu: replication factor 0 in `eu`\n  fix: write at least 1, or leave `eu` out",
        ),
        (
            with("eu", 4),
            "replication_factor.eu: replication factor 4, but `eu` has 3 node(s)\n  fix: write at most 3, or add nodes to `eu`",
        ),
        (
            with("eu", 16),
            "replication_factor.eu: replication factor 16 in `eu`, the limit is 15\n  fix: write at most 3",
        ),
        (
            Keyspace { replication_factor: BTreeMap::new(), ..carts.clone() },
            "replication_factor: no datacenter has a replica\n  fix: give a replication factor for at least one datacenter",
        ),
        (
            Keyspace { ttl: Some(Duration::ZERO), ..carts.clone() },
            "ttl: 0: every record would be born expired\n  fix: leave it out for no expiry",
        ),
        (
            Keyspace { record_bytes_max: 1_048_577, ..carts.clone() },
            "record_bytes_max: 1048577 bytes, the limit is 1048576\n  fix: write 1 to 1048576, and split larger values",
        ),
    ];
    for (wanted, expected) in rows {
        assert_eq!(map.check(&wanted, &topology).unwrap_err().to_string(), expected);
    }
    let both = Keyspace { ttl: Some(Duration::ZERO), ..with("eu", 0) };
    assert_eq!(map.check(&both, &topology).unwrap_err().problems.len(), 2);
    map.check(&with("eu", 3), &topology).unwrap();
    map.check(&carts, &topology).unwrap();
}

#[test]
fn too_many_keyspaces() {
    let topology = topology();
    let mut map = KeyspaceMap::new(&topology);
    for id in 2..=KEYSPACES_MAX as u64 {
        map.insert_new(keyspace(&format!("k{id}"), id, 1)).unwrap();
    }
    let problems = map.check(&keyspace("one-more", 9_999, 1), &topology).unwrap_err().to_string();
    let expected = "keyspace: 1024 keyspaces, the limit is 1024\n  fix: put the keys into an existing keyspace";
    assert_eq!(problems, expected);
}

#[test]
fn maps_survive_the_codec() {
    let mut map = KeyspaceMap::new(&topology());
    map.insert_new(keyspace("carts", 7, 100)).unwrap();
    let bytes = bincode::serde::encode_to_vec(&map, bincode::config::legacy()).unwrap();
    let (back, _): (KeyspaceMap, usize) =
        bincode::serde::decode_from_slice(&bytes, bincode::config::legacy()).unwrap();
    assert_eq!(back, map);
    assert_eq!(format!("{:016x}", back.digest()), "71c330bb965f9531");
}

prop_compose! {
    /// Few names, ids and times, so that definitions collide in every way.
    fn any_map()(definitions in prop::collection::vec((0u8..4, 2u64..6, 0u64..3, 1u8..3), 0..6)) -> KeyspaceMap {
        let define = |(text, id, created, replicas): (u8, u64, u64, u8)| Arc::new(Keyspace {
            replication_factor: BTreeMap::from([(name("eu"), replicas)]),
            id: KeyspaceId(id),
            name: name(&format!("k{text}")),
            created,
            conflict: Conflict::Siblings,
            ttl: None,
            record_bytes_max: DEFAULT_RECORD_BYTES_MAX,
        });
        KeyspaceMap::from(definitions.into_iter().map(define).collect::<Vec<_>>())
    }
}

fn joined(a: &KeyspaceMap, b: &KeyspaceMap) -> KeyspaceMap {
    let mut map = a.clone();
    map.merge(b);
    map
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn merge_is_a_join(a in any_map(), b in any_map(), c in any_map()) {
        prop_assert_eq!(joined(&a, &b), joined(&b, &a));
        prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
        prop_assert_eq!(joined(&a, &a), a.clone());
        prop_assert_eq!(joined(&joined(&a, &b), &b), joined(&a, &b));
        prop_assert_eq!(joined(&a, &b).digest(), joined(&b, &a).digest());
    }

    #[test]
    fn changes_tell_the_difference(a in any_map(), b in any_map()) {
        let mut map = a.clone();
        let changes = map.merge(&b);
        prop_assert_eq!(changes.is_empty(), map == a);
        for change in changes {
            let stands = match change {
                KeyspaceChange::Added { keyspace } => keyspace,
                KeyspaceChange::Replaced { stands, .. } => stands,
            };
            prop_assert_eq!(map.by_name(&stands.name), Some(&stands));
        }
    }
}
