use std::collections::BTreeSet;

use proptest::prelude::*;

use super::raw::RawTopology;
use super::*;
use crate::limits::{DCS_MAX, NODES_MAX};

const THREE_DCS: &str = include_str!("../../../../topology/three-dcs.toml");
const TWO_DCS: &str = include_str!("../../../../topology/two-dcs.toml");
const SINGLE_DC: &str = include_str!("../../../../topology/single-dc.toml");

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn topology(text: &str) -> Topology {
    TopologyFile::parse(text).unwrap().check(Addresses::Optional).unwrap()
}

/// The problems of a file as they are printed.
fn problems(text: &str, addresses: Addresses) -> String {
    match TopologyFile::parse(text) {
        Ok(file) => file.check(addresses).unwrap_err().to_string(),
        Err(problems) => problems.to_string(),
    }
}

/// A legal file of two datacenters with `extra` lines at its head.
fn file(extra: &str) -> String {
    let tail = r#"
        [[dc]]
        name = "eu"
        [[dc]]
        name = "us"
        [[node]]
        id = "eu-1"
        dc = "eu"
        rack = "a"
        [[node]]
        id = "us-1"
        dc = "us"
        rack = "a"
        "#;
    format!("cluster = \"demo\"\n{extra}\n{tail}")
}

#[test]
fn shipped_files_are_legal() {
    for (text, dcs) in [(THREE_DCS, 3), (TWO_DCS, 2), (SINGLE_DC, 1)] {
        let topology = topology(text);
        assert_eq!(topology.cluster().as_str(), "demo");
        assert_eq!(topology.partitions().count(), 256);
        assert_eq!((topology.dcs().len(), topology.nodes().len()), (dcs, 3 * dcs));
        assert_eq!(topology.warnings(), []);
        assert!(topology.dcs().iter().all(|dc| dc.replication_factor == 3));
    }
}

#[test]
fn defaults_and_lookups() {
    let found = topology(THREE_DCS);
    assert_eq!(found.epoch(), Epoch(1));
    assert_eq!(found.at_epoch(Epoch(7)).epoch(), Epoch(7));
    let found = topology(THREE_DCS);
    let (ap, eu, us) = (DcIndex(0), DcIndex(1), DcIndex(2));
    assert_eq!(found.dc_by_name(&name("eu")).unwrap().0, eu);
    assert_eq!(found.dc(DcIndex(3)), None);
    assert_eq!(found.nodes_in(us).collect::<Vec<_>>(), [NodeIndex(6), NodeIndex(7), NodeIndex(8)]);
    let (index, node) = found.node_by_name(&name("eu-2")).unwrap();
    assert_eq!((index, node.dc, node.capacity), (NodeIndex(4), eu, 100));
    assert_eq!(found.node(index), Some(node));
    assert_eq!(found.node(NodeIndex(9)), None);
    assert_eq!(found.rtt(us, eu), Duration::from_millis(80));
    assert_eq!(found.rtt(ap, eu), found.rtt(eu, ap));
    assert_eq!(found.rtt(ap, ap), Duration::ZERO);
    let small = topology(&file(""));
    assert_eq!(small.partitions(), Partitions::DEFAULT);
    assert_eq!(small.dcs()[0].replication_factor, 1, "no more than there are nodes");
    assert_eq!(small.rtt(DcIndex(0), DcIndex(1)), Duration::ZERO, "no link");
}

#[test]
fn files_survive_a_round_trip() {
    let mut file = TopologyFile::parse(THREE_DCS).unwrap();
    file.node[0].address = Some("127.0.0.1:7411".to_owned());
    file.node[0].capacity = Some(2.5);
    let text = file.to_toml().unwrap();
    assert_eq!(TopologyFile::parse(&text).unwrap(), file);
    assert_eq!(topology(&text).nodes()[0].capacity, 250);
}

/// Every rule for the file as a whole: lines at its head, and what is printed.
#[test]
fn problems_of_the_file() {
    let rows = [
        (
            "partitions = 1000",
            "partitions: 1000 is not a power of two from 1 to 65536\n  fix: write 512 or 1024",
        ),
        (
            "partitions = 0",
            "partitions: 0 is not a power of two from 1 to 65536\n  fix: write 1 or more; the default is 1024",
        ),
        (
            "partitions = 131072",
            "partitions: 131072 is not a power of two from 1 to 65536\n  fix: write 65536 or less; the default is 1024",
        ),
        (
            "[[dc]]\nname = \"eu\"",
            "dc[1].name: `eu` is also the name of dc[0]\n  fix: rename or remove one of the two",
        ),
        (
            "[[dc]]\nname = \"ap\"",
            "dc[0]: datacenter `ap` has no node\n  fix: add a [[node]] with dc = \"ap\", or remove the datacenter",
        ),
        (
            "[[link]]\nbetween = [\"eu\", \"uss\"]\nrtt = \"1s\"",
            "link[0].between: there is no datacenter `uss`\n  fix: did you mean `us`?",
        ),
        (
            "[[link]]\nbetween = [\"eu\", \"eu\"]\nrtt = \"1s\"",
            "link[0].between: `eu` twice\n  fix: name two different datacenters",
        ),
        (
            "[[link]]\nbetween = [\"eu\"]\nrtt = \"1s\"",
            "link[0].between: 1 datacenters\n  fix: name exactly two: between = [\"eu\", \"us\"]",
        ),
        (
            "[[link]]\nbetween = [\"eu\", \"us\"]\nrtt = \"80\"",
            "link[0].rtt: `80` is not a round-trip time up to 60s\n  fix: write whole milliseconds or seconds: `80ms`, `1s`",
        ),
        (
            "[[link]]\nbetween = [\"eu\", \"us\"]\nrtt = \"1.5s\"",
            "link[0].rtt: `1.5s` is not a round-trip time up to 60s\n  fix: write whole milliseconds or seconds: `80ms`, `1s`",
        ),
        (
            "[[link]]\nbetween = [\"eu\", \"us\"]\nrtt = \"1s\"\n[[link]]\nbetween = [\"us\", \"eu\"]\nrtt = \"2s\"",
            "link[1].between: `eu`-`us` is also link[0]\n  fix: keep one of the two; the order does not matter",
        ),
        (
            "parttions = 4",
            "line 2: unknown field `parttions`, expected one of `cluster`, `partitions`, `dc`, `node`, `link`\n  fix: write it as in the examples under `topology/`",
        ),
    ];
    for (head, expected) in rows {
        assert_eq!(problems(&file(head), Addresses::Optional), expected, "{head}");
    }
}

/// Every rule for a datacenter and a node: lines of dc `ap` and of its only node, and what is printed.
#[test]
fn problems_of_an_entry() {
    let node = "id = \"n\"\ndc = \"ap\"\nrack = \"a\"";
    let rows = [
        (
            "replication_factor = 0",
            node,
            "dc[0].replication_factor: replication factor 0 in `ap`\n  fix: write at least 1, or remove the line for the default of 3",
        ),
        (
            "replication_factor = -300",
            node,
            "dc[0].replication_factor: replication factor -300 in `ap`\n  fix: write at least 1, or remove the line for the default of 3",
        ),
        (
            "replication_factor = 16",
            node,
            "dc[0].replication_factor: replication factor 16 in `ap`, the limit is 15\n  fix: write at most 1",
        ),
        (
            "replication_factor = 2",
            node,
            "dc[0].replication_factor: replication factor 2, but `ap` has 1 node(s)\n  fix: write at most 1, or add nodes to `ap`",
        ),
        (
            "",
            "id = \"eu-1\"\ndc = \"ap\"\nrack = \"a\"",
            "node[1].id: `eu-1` is also the id of node[0]\n  fix: give every node its own id",
        ),
        (
            "",
            "id = \"n\"\ndc = \"ap\"\nrack = \"a b\"",
            "node[0].rack: `a b` is not a name: use 1 to 48 letters, digits, `.`, `_` or `-`, beginning with a letter or digit\n  fix: write a name of that form; it appears in certificates and file names",
        ),
        (
            "",
            &format!("{node}\ncapacity = 0.001"),
            "node[0].capacity: 0.001 is outside of 0.01..=1000\n  fix: write the share relative to an ordinary node, which is 1.0",
        ),
        (
            "",
            &format!("{node}\ncapacity = 1001"),
            "node[0].capacity: 1001 is outside of 0.01..=1000\n  fix: write the share relative to an ordinary node, which is 1.0",
        ),
        (
            "",
            &format!("{node}\ncapacity = nan"),
            "node[0].capacity: NaN is outside of 0.01..=1000\n  fix: write the share relative to an ordinary node, which is 1.0",
        ),
    ];
    for (dc, node, expected) in rows {
        let text = file(&format!("[[dc]]\nname = \"ap\"\n{dc}\n[[node]]\n{node}"));
        assert_eq!(problems(&text, Addresses::Optional), expected, "{dc} {node}");
    }
}

#[test]
fn problems_of_addresses() {
    let fix = "fix: write a host name or IP address and a port from 1 to 65535, such as `10.0.0.1:7411` or `[::1]:7411`";
    for address in [
        "host",
        "host:",
        ":1",
        "host:0",
        "host:65536",
        "host:+1",
        "::1:7411",
        "[::x]:1",
        "a b:1",
        "http://h:1",
    ] {
        let text =
            file("").replacen("rack = \"a\"", &format!("rack = \"a\"\naddress = \"{address}\""), 1);
        let expected = format!("node[0].address: `{address}` is not host:port\n  {fix}");
        assert_eq!(problems(&text, Addresses::Optional), expected);
    }
    for address in ["h:1", "10.0.0.1:7411", "[::1]:7411", "a-b.example.com:65535"] {
        let text =
            file("").replacen("rack = \"a\"", &format!("rack = \"a\"\naddress = \"{address}\""), 1);
        assert_eq!(topology(&text).nodes()[0].address.as_deref(), Some(address));
    }
    let text = file("").replace("rack = \"a\"", "rack = \"a\"\naddress = \"h:1\"");
    let expected = "node[1].address: `h:1` is also the address of node[0]\n  fix: give every node its own host or port";
    assert_eq!(problems(&text, Addresses::Required), expected);
}

#[test]
fn all_problems_come_at_once() {
    let text = r#"
        cluster = "my cluster"
        partitions = 3
        [[dc]]
        name = "eu"
        replication_factor = 4
        [[node]]
        id = "eu-1"
        dc = "ue"
        rack = "a"
        [[node]]
        id = "eu-2"
        dc = "eu"
        rack = "a"
        "#;
    let found = TopologyFile::parse(text).unwrap().check(Addresses::Required).unwrap_err();
    let paths: Vec<&str> = found.problems.iter().map(|problem| problem.path.as_str()).collect();
    let expected = [
        "cluster",
        "partitions",
        "node[0].dc",
        "node[0].address",
        "node[1].address",
        "dc[0].replication_factor",
    ];
    assert_eq!(paths, expected);
    assert_eq!(found.to_string().lines().count(), 2 * expected.len());

    let empty = problems("cluster = \"demo\"", Addresses::Required);
    let expected = "dc: no datacenter\n  fix: add a [[dc]] with a name\n\
                    node: no node\n  fix: add a [[node]] with id, dc and rack";
    assert_eq!(empty, expected);
}

#[test]
fn too_many_of_everything() {
    let entry = |n: usize| DcEntry { name: format!("d{n}"), replication_factor: None };
    let node = |n: usize| NodeEntry {
        id: format!("n{n}"),
        dc: format!("d{}", n % (DCS_MAX + 1)),
        rack: "a".to_owned(),
        address: None,
        capacity: None,
    };
    let file = TopologyFile {
        cluster: "demo".to_owned(),
        dc: (0..=DCS_MAX).map(entry).collect(),
        node: (0..=NODES_MAX).map(node).collect(),
        ..TopologyFile::default()
    };
    let expected = "dc: 33 datacenters, the limit is 32\n  fix: remove 1\n\
                    node: 1025 nodes, the limit is 1024\n  fix: remove 1";
    assert_eq!(file.check(Addresses::Optional).unwrap_err().to_string(), expected);
}

#[test]
fn more_replicas_than_racks_is_a_warning() {
    let text = SINGLE_DC.replace("rack = \"c\"", "rack = \"b\"");
    let expected = "dc `eu`: replication factor 3, but `eu` has 2 rack(s)\n  \
                    fix: a rack that fails takes several replicas of a partition with it: \
                    spread the nodes over more racks, or lower the replication factor";
    let warnings: Vec<String> = topology(&text).warnings().iter().map(Problem::to_string).collect();
    assert_eq!(warnings, [expected]);
}

#[test]
fn digests_tell_topologies_apart() {
    let texts = [
        THREE_DCS.to_owned(),
        TWO_DCS.to_owned(),
        SINGLE_DC.to_owned(),
        SINGLE_DC.replace("demo", "other"),
        SINGLE_DC.replace("rack = \"c\"", "rack = \"d\""),
        SINGLE_DC.replacen("rack = \"a\"", "rack = \"a\"\naddress = \"h:1\"", 1),
        SINGLE_DC.replacen("rack = \"a\"", "rack = \"a\"\ncapacity = 1.01", 1),
        THREE_DCS.replace("80ms", "81ms"),
    ];
    let mut digests: BTreeSet<u64> = texts.iter().map(|text| topology(text).digest()).collect();
    digests.insert(topology(SINGLE_DC).at_epoch(Epoch(2)).digest());
    assert_eq!(digests.len(), texts.len() + 1);
    assert_eq!(format!("{:016x}", topology(THREE_DCS).digest()), "d3e145725dd638bf");
}

#[test]
fn decoded_topologies_are_checked() {
    let config = bincode::config::legacy();
    let good = topology(THREE_DCS);
    let bytes = bincode::serde::encode_to_vec(&good, config).unwrap();
    let (back, _): (Topology, usize) = bincode::serde::decode_from_slice(&bytes, config).unwrap();
    assert_eq!(back, good);

    type Spoil = fn(&mut RawTopology);
    let rows: [(Spoil, &str); 6] = [
        (|raw| raw.dcs.swap(0, 1), "datacenters are sorted by name"),
        (|raw| raw.nodes.swap(0, 1), "nodes are sorted by datacenter and name"),
        (|raw| raw.nodes[8].dc = DcIndex(3), "nodes are in known datacenters"),
        (|raw| raw.nodes[3].name = raw.nodes[0].name.clone(), "node names are unique"),
        (
            |raw| raw.dcs[0].replication_factor = 4,
            "replication factors are from 1 to the nodes of the datacenter",
        ),
        (|raw| raw.links[0].between.1 = DcIndex(0), "links join two datacenters"),
    ];
    for (spoil, rule) in rows {
        let mut raw = RawTopology::from(good.clone());
        spoil(&mut raw);
        assert_eq!(Topology::try_from(raw).unwrap_err(), TopologyInvalid { rule });
    }
}

#[test]
fn placement_looks_up_replicas() {
    let topology = topology(THREE_DCS);
    let eu = DcIndex(1);
    let mut placement = Placement::compute(&topology, [(eu, 3), (eu, 0)]);
    assert_eq!(placement.pairs().collect::<Vec<_>>(), [(eu, 3)]);
    let row = placement.replicas(Partition(255), eu, 3).unwrap();
    assert_eq!(BTreeSet::from_iter(row.iter().copied()), topology.nodes_in(eu).collect());
    assert_eq!(placement.replicas(Partition(256), eu, 3), None);
    assert_eq!(placement.replicas(Partition(0), eu, 2), None);
    placement.extend(&topology, eu, 2);
    let row = placement.replicas(Partition(0), eu, 2).unwrap();
    let fallbacks = topology.fallbacks(eu, Partition(0), row);
    assert_eq!((row.len(), fallbacks.len()), (2, 1));
    assert!(!row.contains(&fallbacks[0]));
    let bytes = bincode::serde::encode_to_vec(&placement, bincode::config::legacy()).unwrap();
    let (back, _): (Placement, usize) =
        bincode::serde::decode_from_slice(&bytes, bincode::config::legacy()).unwrap();
    assert_eq!(back, placement);
}

/// A node that comes first by name shifts every index; the data must not move for it.
#[test]
fn placement_follows_names_not_numbers() {
    let old = topology(SINGLE_DC);
    let grown = "[[node]]\nid = \"eu-0\"\ndc = \"eu\"\nrack = \"d\"\n[[dc]]\nname = \"ap\"\n\
                 [[node]]\nid = \"ap-1\"\ndc = \"ap\"\nrack = \"a\"\n";
    let new = topology(&format!("{SINGLE_DC}\n{grown}"));
    let before = Placement::compute(&old, [(DcIndex(0), 3)]);
    let pairs = [(DcIndex(0), 1), (DcIndex(1), 3)];
    let after = Placement::recompute(&new, pairs, (&old, &before));
    let late = Placement::recompute(&new, pairs, (&old, &Placement::default()));
    assert_eq!(after, late, "who learns of a pair late computes the same");
    let mut moved = 0;
    for partition in old.partitions().iter() {
        let names = |topology: &Topology, row: &[NodeIndex]| -> BTreeSet<Name> {
            row.iter().map(|node| topology.node(*node).unwrap().name.clone()).collect()
        };
        let was = names(&old, before.replicas(partition, DcIndex(0), 3).unwrap());
        let is = names(&new, after.replicas(partition, DcIndex(1), 3).unwrap());
        moved += is.difference(&was).count();
    }
    assert_eq!(moved, 256 * 3 / 4, "only what the new node takes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_the_file_does_not_matter(
        dcs in Just((0..3usize).collect::<Vec<_>>()).prop_shuffle(),
        nodes in Just((0..9usize).collect::<Vec<_>>()).prop_shuffle(),
        links in Just((0..3usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut file = TopologyFile::parse(THREE_DCS).unwrap();
        let original = file.check(Addresses::Optional).unwrap();
        file.dc = dcs.iter().map(|at| file.dc[*at].clone()).collect();
        file.node = nodes.iter().map(|at| file.node[*at].clone()).collect();
        file.link = links.iter().map(|at| file.link[*at].clone()).collect();
        for link in &mut file.link {
            link.between.reverse();
        }
        let shuffled = file.check(Addresses::Optional).unwrap();
        prop_assert_eq!(shuffled.digest(), original.digest());
        prop_assert_eq!(shuffled, original);
    }

    #[test]
    fn no_text_panics(text in "[a-z0-9\\[\\]=\"\n .]{0,200}") {
        if let Ok(file) = TopologyFile::parse(&text) {
            let _ = file.check(Addresses::Required);
        }
    }
}
