//! What `atoll dev` prints when the cluster is ready: who runs where, and what to try next.
//!
//! Text from facts: examples name what this cluster really has.

use atoll_protocol::topology::{Node, Topology};
use comfy_table::CellAlignment::{self, Left, Right};

use super::cluster::DevCluster;
use super::supervisor::NodeState;
use super::table::table;
use crate::net::FaultPolicy;
use crate::node::Wan;

/// The banner of `cluster`, several lines.
pub(super) fn banner(cluster: &DevCluster, wan: Wan, faults: FaultPolicy) -> String {
    let topology = cluster.topology();
    let profile = cluster.layout().profile();
    let mut text = nodes(topology, &cluster.states());
    let (count, dcs) = (topology.nodes().len(), topology.dcs().len());
    text.push_str(&format!(
        "\nready: {count} node(s) in {dcs} datacenter(s){}\n",
        emulation(topology, wan)
    ));
    text.push_str(&format!("profile: {}\n", profile.display()));
    text.push_str("\nTry in another terminal:\n");
    for example in examples(topology, faults) {
        text.push_str(&format!("  {example}\n"));
    }
    let here =
        std::env::current_dir().is_ok_and(|here| here.join(".atoll") == cluster.layout().root());
    if !here {
        text.push_str(&format!(
            "with ATOLL_PROFILE={} in its environment, and --dir {} behind `atoll dev`\n",
            profile.display(),
            cluster.layout().root().display()
        ));
    }
    text.push_str("\nCtrl-C stops everything; the data stays.\n");
    text
}

/// One row per node.
pub(super) fn nodes(topology: &Topology, states: &[NodeState]) -> String {
    const COLUMNS: [(&str, CellAlignment); 5] =
        [("NODE", Left), ("DC", Left), ("RACK", Left), ("PID", Right), ("ADDRESS", Left)];
    let row = |node: &Node| {
        let dc = topology.dc(node.dc).map(|dc| dc.name.to_string());
        let state = states.iter().find(|state| state.id == node.name);
        let pid = state.and_then(|state| state.pid);
        [
            node.name.to_string(),
            dc.unwrap_or_default(),
            node.rack.to_string(),
            pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            node.address.clone().unwrap_or_default(),
        ]
    };
    table(COLUMNS, topology.nodes().iter().map(row))
}

fn emulation(topology: &Topology, wan: Wan) -> String {
    let mut links = Vec::new();
    for (a, first) in topology.dc_indices().zip(topology.dcs()) {
        for (b, second) in topology.dc_indices().zip(topology.dcs()) {
            let rtt = topology.rtt(a, b);
            if a < b && !rtt.is_zero() {
                links.push(format!("{}-{} {rtt:?}", first.name, second.name));
            }
        }
    }
    match wan {
        Wan::Emulated if links.is_empty() => {
            "; --wan has no effect: the topology has no [[link]]".to_owned()
        }
        Wan::Emulated => format!("; emulated round trips: {}", links.join(", ")),
        Wan::Real => String::new(),
    }
}

fn examples(topology: &Topology, faults: FaultPolicy) -> Vec<String> {
    let mut examples = vec![
        "atoll put hello world".to_owned(),
        "atoll get hello".to_owned(),
        "atoll status".to_owned(),
    ];
    // The last datacenter, since the first is the profile's own.
    if let [first, .., last] = topology.dcs() {
        examples.push(format!("atoll dev kill {}", last.name));
        examples.push("atoll put hello \"still here\" --level QUORUM".to_owned());
        examples.push(format!("atoll dev start {}", last.name));
        if faults == FaultPolicy::Allowed {
            examples.push(format!("atoll fault partition {} {}", first.name, last.name));
            examples.push("atoll fault heal".to_owned());
        }
    }
    examples
}
