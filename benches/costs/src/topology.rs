//! Topologies: datacenters with as many racks as replicas.

use std::fmt::Write;

/// One datacenter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dc {
    pub(crate) name: &'static str,
    pub(crate) nodes: usize,
    pub(crate) replication_factor: usize,
}

/// The file, with `rtt` between any two of `dcs`.
pub(crate) fn of(dcs: &[Dc], rtt: &str) -> String {
    let mut file = "cluster = \"costs\"\npartitions = 256\n".to_owned();
    for Dc { name, replication_factor, .. } in dcs {
        let _ =
            write!(file, "[[dc]]\nname = \"{name}\"\nreplication_factor = {replication_factor}\n");
    }
    for Dc { name, nodes, replication_factor } in dcs {
        for number in 1..=*nodes {
            let rack = number % replication_factor;
            let _ = write!(
                file,
                "[[node]]\nid = \"{name}-{number}\"\ndc = \"{name}\"\nrack = \"{rack}\"\n"
            );
        }
    }
    for (at, one) in dcs.iter().enumerate() {
        for other in dcs.iter().skip(at + 1) {
            let _ = write!(
                file,
                "[[link]]\nbetween = [\"{}\", \"{}\"]\nrtt = \"{rtt}\"\n",
                one.name, other.name
            );
        }
    }
    file
}
