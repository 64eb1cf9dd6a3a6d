//! From a topology file to a topology: every rule, every problem at once.
//!
//! The only way from text to a [`Topology`]. Each `check_*` looks at one part, notes what is wrong and hands on what is
//! usable, so that one mistake hides no other.
//!
//! 1. Datacenters and nodes: names, uniqueness, places, addresses, capacities.
//! 2. Replication factors against the node counts; partitions; links.
//! 3. Nothing noted: sort everything by name and number it. The order in the file leaves no trace.
//!
//! Invariants
//! - A topology is returned exactly when no problem was noted.
//! - A file in any order of its entries gives the same topology.

use std::collections::BTreeMap;
use std::time::Duration;

use super::file::{LinkEntry, NodeEntry, TopologyFile};
use super::problem::{Problems, fix_for_unknown};
use super::values::{is_host_and_port, nearest_powers, parse_rtt, replication_factor_problem};
use super::{CAPACITY_MAX, Dc, Link, Node, Topology};
use crate::ids::{DcIndex, Epoch, Name};
use crate::limits::{DCS_MAX, NODES_MAX, PARTITIONS_MAX, REPLICATION_FACTOR_MAX};
use crate::token::Partitions;

/// Replicas per datacenter where the file is silent: survives one failure with a quorum left.
const REPLICATION_FACTOR_DEFAULT: u8 = 3;

/// Whether a node needs an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// To run a node: every node must be reachable.
    Required,
    /// For files that `atoll dev` completes.
    Optional,
}

/// What the checks know so far.
struct Check<'a> {
    file: &'a TopologyFile,
    problems: Problems,
}

impl TopologyFile {
    /// Checks the file and numbers its datacenters and nodes; the result has epoch 1.
    ///
    /// # Errors
    /// [`Problems`] holds all that is wrong, in the order of the file's sections.
    pub fn check(&self, addresses: Addresses) -> Result<Topology, Problems> {
        let mut check = Check { file: self, problems: Problems::default() };
        let cluster = check.name("cluster", &self.cluster);
        let partitions = check.partitions();
        let dcs = check.dcs();
        let nodes = check.nodes(addresses);
        let dcs = check.replication_factors(dcs);
        let links = check.links();
        let topology = cluster.zip(partitions).map(|(cluster, partitions)| {
            let mut topology = Topology {
                cluster,
                epoch: Epoch(1),
                partitions,
                dcs,
                nodes: Vec::new(),
                links: Vec::new(),
            };
            topology.dcs.sort_by(|a, b| a.name.cmp(&b.name));
            topology.nodes = nodes
                .into_iter()
                .filter_map(|(dc, node)| {
                    topology.dc_by_name(&dc).map(|(dc, _)| Node { dc, ..node })
                })
                .collect();
            topology.nodes.sort_by(|a, b| (a.dc, &a.name).cmp(&(b.dc, &b.name)));
            topology.links =
                links.into_iter().filter_map(|link| numbered(&topology, &link)).collect();
            topology.links.sort_by_key(|link| link.between);
            topology
        });
        check.problems.or(topology)
    }
}

/// A checked link, before datacenters have numbers.
struct NamedLink {
    between: (Name, Name),
    rtt: Duration,
}

fn numbered(topology: &Topology, link: &NamedLink) -> Option<Link> {
    let (a, _) = topology.dc_by_name(&link.between.0)?;
    let (b, _) = topology.dc_by_name(&link.between.1)?;
    Some(Link { between: (a.min(b), a.max(b)), rtt: link.rtt })
}

impl Check<'_> {
    fn name(&mut self, path: &str, text: &str) -> Option<Name> {
        match Name::new(text) {
            Ok(name) => Some(name),
            Err(error) => {
                let fix = "write a name of that form; it appears in certificates and file names";
                self.problems.add(path, error.to_string(), fix);
                None
            }
        }
    }

    fn partitions(&mut self) -> Option<Partitions> {
        let Some(written) = self.file.partitions else {
            return Some(Partitions::DEFAULT);
        };
        let checked = u32::try_from(written).ok().and_then(|count| Partitions::new(count).ok());
        if checked.is_none() {
            let found = format!("{written} is not a power of two from 1 to {PARTITIONS_MAX}");
            self.problems.add("partitions", found, nearest_powers(written));
        }
        checked
    }

    /// Names and written replication factors of the datacenters, by name.
    fn dcs(&mut self) -> BTreeMap<Name, usize> {
        let count = self.file.dc.len();
        if count == 0 {
            self.problems.add("dc", "no datacenter", "add a [[dc]] with a name");
        }
        if count > DCS_MAX {
            let found = format!("{count} datacenters, the limit is {DCS_MAX}");
            self.problems.add("dc", found, format!("remove {}", count - DCS_MAX));
        }
        let mut positions = BTreeMap::new();
        for (position, dc) in self.file.dc.iter().enumerate() {
            let path = format!("dc[{position}].name");
            let Some(name) = self.name(&path, &dc.name) else {
                continue;
            };
            if let Some(first) = positions.get(&name) {
                let found = format!("`{name}` is also the name of dc[{first}]");
                self.problems.add(path, found, "rename or remove one of the two");
            } else {
                positions.insert(name, position);
            }
        }
        positions
    }

    /// The nodes with the names of their datacenters; their `dc` is not yet right.
    fn nodes(&mut self, addresses: Addresses) -> Vec<(Name, Node)> {
        let count = self.file.node.len();
        if count == 0 {
            self.problems.add("node", "no node", "add a [[node]] with id, dc and rack");
        }
        if count > NODES_MAX {
            let found = format!("{count} nodes, the limit is {NODES_MAX}");
            self.problems.add("node", found, format!("remove {}", count - NODES_MAX));
        }
        let mut ids = BTreeMap::new();
        let mut known_addresses = BTreeMap::new();
        let mut nodes = Vec::with_capacity(count);
        for (position, entry) in self.file.node.iter().enumerate() {
            let path = |field| format!("node[{position}].{field}");
            let name = self.name(&path("id"), &entry.id);
            if let Some(first) = ids.insert(&entry.id, position) {
                let found = format!("`{}` is also the id of node[{first}]", entry.id);
                self.problems.add(path("id"), found, "give every node its own id");
            }
            let dc = self.node_dc(&path("dc"), &entry.dc);
            let rack = self.name(&path("rack"), &entry.rack);
            self.address(&path("address"), entry, addresses);
            if let Some(address) = &entry.address
                && let Some(first) = known_addresses.insert(address, position)
            {
                let found = format!("`{address}` is also the address of node[{first}]");
                self.problems.add(path("address"), found, "give every node its own host or port");
            }
            let capacity = self.capacity(&path("capacity"), entry);
            if let (Some(name), Some(dc), Some(rack)) = (name, dc, rack) {
                let address = entry.address.clone();
                nodes.push((dc, Node { name, dc: DcIndex(0), rack, address, capacity }));
            }
        }
        nodes
    }

    fn node_dc(&mut self, path: &str, text: &str) -> Option<Name> {
        let file = self.file;
        let known = file.dc.iter().map(|dc| dc.name.as_str());
        if known.clone().any(|name| name == text) {
            return Name::new(text).ok();
        }
        let found = format!("there is no datacenter `{text}`");
        self.problems.add(path, found, fix_for_unknown(text, known));
        None
    }

    fn address(&mut self, path: &str, entry: &NodeEntry, addresses: Addresses) {
        match &entry.address {
            None if addresses == Addresses::Required => {
                let found = format!("node `{}` has no address", entry.id);
                self.problems.add(path, found, "add address = \"host:port\"");
            }
            Some(address) if !is_host_and_port(address) => {
                let found = format!("`{address}` is not host:port");
                let fix = "write a host name or IP address and a port from 1 to 65535, \
                           such as `10.0.0.1:7411` or `[::1]:7411`";
                self.problems.add(path, found, fix);
            }
            None | Some(_) => {}
        }
    }

    /// Capacity in hundredths.
    fn capacity(&mut self, path: &str, entry: &NodeEntry) -> u32 {
        let written = entry.capacity.unwrap_or(1.0);
        if (0.01..=f64::from(CAPACITY_MAX) / 100.0).contains(&written) {
            #[expect(clippy::cast_possible_truncation, reason = "the line above")]
            return (written * 100.0).round() as u32;
        }
        let found = format!("{written} is outside of 0.01..=1000");
        self.problems.add(
            path,
            found,
            "write the share relative to an ordinary node, which is 1.0",
        );
        100
    }

    /// The datacenters with their final replication factors.
    fn replication_factors(&mut self, positions: BTreeMap<Name, usize>) -> Vec<Dc> {
        let mut dcs = Vec::with_capacity(positions.len());
        for (name, position) in positions {
            let here = |node: &&NodeEntry| node.dc == name.as_str();
            let nodes = self.file.node.iter().filter(here).count();
            if nodes == 0 {
                let fix = format!("add a [[node]] with dc = \"{name}\", or remove the datacenter");
                let path = format!("dc[{position}]");
                self.problems.add(path, format!("datacenter `{name}` has no node"), fix);
                continue;
            }
            let written = self.file.dc.get(position).and_then(|dc| dc.replication_factor);
            let most = u8::try_from(nodes).unwrap_or(u8::MAX).min(REPLICATION_FACTOR_MAX);
            let default = most.min(REPLICATION_FACTOR_DEFAULT);
            let replication_factor = written.map_or(Ok(default), u8::try_from).unwrap_or(u8::MAX);
            if (1..=most).contains(&replication_factor) {
                dcs.push(Dc { name, replication_factor });
                continue;
            }
            let written = written.unwrap_or_default();
            let (found, fix) = replication_factor_problem(&name, written, nodes);
            self.problems.add(format!("dc[{position}].replication_factor"), found, fix);
        }
        dcs
    }

    fn links(&mut self) -> Vec<NamedLink> {
        let mut pairs = BTreeMap::new();
        let mut links = Vec::new();
        for (position, entry) in self.file.link.iter().enumerate() {
            let between = self.link_ends(&format!("link[{position}].between"), entry);
            let rtt = parse_rtt(&entry.rtt);
            if rtt.is_none() {
                let path = format!("link[{position}].rtt");
                let found = format!("`{}` is not a round-trip time up to 60s", entry.rtt);
                self.problems.add(path, found, "write whole milliseconds or seconds: `80ms`, `1s`");
            }
            let Some(between) = between else { continue };
            if let Some(first) = pairs.insert(between.clone(), position) {
                let found = format!("`{}`-`{}` is also link[{first}]", between.0, between.1);
                let path = format!("link[{position}].between");
                self.problems.add(path, found, "keep one of the two; the order does not matter");
            }
            links.extend(rtt.map(|rtt| NamedLink { between, rtt }));
        }
        links
    }

    /// The ends of a link in name order.
    fn link_ends(&mut self, path: &str, entry: &LinkEntry) -> Option<(Name, Name)> {
        let [a, b] = entry.between.as_slice() else {
            let found = format!("{} datacenters", entry.between.len());
            self.problems.add(path, found, "name exactly two: between = [\"eu\", \"us\"]");
            return None;
        };
        let first = self.node_dc(path, a);
        let second = self.node_dc(path, b);
        if a == b {
            let found = format!("`{a}` twice");
            self.problems.add(path, found, "name two different datacenters");
            return None;
        }
        let (first, second) = first.zip(second)?;
        Some(if first < second { (first, second) } else { (second, first) })
    }
}
