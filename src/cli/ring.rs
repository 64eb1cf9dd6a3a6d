//! `atoll ring`: who owns which partitions, and where one key lives.
//!
//! Computed here, from the topology and the keyspaces of one node, by the same code that nodes and clients route with.
//!
//! 1. Without a key: per datacenter and node, the partitions that it replicates and those that it leads.
//! 2. With a key: its token, its partition, the replicas of each datacenter in preference order, then the fallbacks.
//!
//! Invariants
//! - Nothing is asked of the key's replicas: this is where the key belongs, not what is there (`atoll explain`).

use std::ffi::OsString;

use atoll_client::{ClusterView, Error as ClientError, Invalid, KeyspaceDefinition, Role};
use atoll_protocol::ids::{DcIndex, Name, NodeIndex};
use atoll_protocol::limits::KEY_BYTES_MAX;
use atoll_protocol::token::{Partition, Token};
use atoll_protocol::topology::Placement;
use clap::Args;
use serde::Serialize;

use super::common::{ConnectArgs, KeyspaceArg, ReportArg, key_bytes};
use super::context::connect;
use super::exit::Error;
use super::output::{Align, Columns, Console, NOTHING, ReportFormat, brief};

#[cfg(test)]
mod tests;

/// Show who owns which partitions, or where one key lives
#[derive(Debug, Args)]
pub(super) struct RingArgs {
    /// The key to locate
    key: Option<OsString>,
    #[command(flatten)]
    keyspace: KeyspaceArg,
    #[command(flatten)]
    output: ReportArg,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// What one node owns of a keyspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Share {
    dc: Name,
    node: Name,
    rack: Name,
    /// In hundredths; an ordinary node has 100.
    capacity: u32,
    partitions: u32,
    /// Partitions of which it is the first replica in its datacenter.
    leads: u32,
}

/// The nodes that own all partitions of a keyspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Ring {
    keyspace: Name,
    partitions: u32,
    epoch: u64,
    nodes: Vec<Share>,
}

/// Where one key lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Location {
    keyspace: Name,
    token: String,
    partition: u32,
    partitions: u32,
    first_token: String,
    last_token: String,
    dcs: Vec<DcReplicas>,
}

/// Where a partition lives in one datacenter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct DcReplicas {
    dc: Name,
    replicas: Vec<Name>,
    fallbacks: Vec<Name>,
}

/// `atoll ring`.
pub(super) async fn ring(args: RingArgs, console: &mut Console) -> Result<(), Error> {
    let RingArgs { key, keyspace, output, connect: connection } = args;
    let key = key.map(key_bytes);
    key.as_deref().map_or(Ok(()), check_key)?;
    let client = connect(&connection, Role::Client).await?;
    let view = client.cluster().await.map_err(Error::read)?;
    client.close().await;
    let Some(definition) = view.keyspaces.by_name(&keyspace.keyspace) else {
        let invalid = Invalid::UnknownKeyspace { name: keyspace.keyspace };
        return Err(Error::read(ClientError::Invalid(invalid)));
    };
    match key {
        None => print_ring(&Ring::of(&view, definition), output.output, console),
        Some(key) => {
            let location = Location::of(&view, definition, &key);
            match location {
                Some(location) => print_location(&location, &key, output.output, console),
                None => {
                    Err(Error::usage("the token has no partition", "this is a defect of atoll"))
                }
            }
        }
    }
}

/// Refuses what cannot be a key.
pub(super) fn check_key(key: &[u8]) -> Result<(), Error> {
    let invalid = match key.len() {
        0 => Invalid::EmptyKey,
        got if got > KEY_BYTES_MAX => {
            Invalid::KeyTooLong { got: u32::try_from(got).unwrap_or(u32::MAX) }
        }
        _ => return Ok(()),
    };
    Err(Error::read(ClientError::Invalid(invalid)))
}

impl Ring {
    fn of(view: &ClusterView, keyspace: &KeyspaceDefinition) -> Self {
        let topology = &view.topology;
        let placement = Placement::compute(topology, keyspace.pairs(topology));
        let owned = |dc: DcIndex, node: NodeIndex, is_counted: &dyn Fn(&[NodeIndex]) -> bool| {
            let factor = keyspace.replicas_in(topology, dc);
            let Some(table) = placement.table(dc, factor) else { return 0 };
            debug_assert!(topology.node(node).is_some_and(|found| found.dc == dc));
            let partitions = topology.partitions().iter();
            let count = partitions.filter(|&partition| is_counted(table.row(partition))).count();
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        let nodes = topology.node_indices().filter_map(|index| {
            let node = topology.node(index)?;
            Some(Share {
                dc: topology.dc(node.dc)?.name.clone(),
                node: node.name.clone(),
                rack: node.rack.clone(),
                capacity: node.capacity,
                partitions: owned(node.dc, index, &|row| row.contains(&index)),
                leads: owned(node.dc, index, &|row| row.first() == Some(&index)),
            })
        });
        Self {
            keyspace: keyspace.name.clone(),
            partitions: topology.partitions().count(),
            epoch: topology.epoch().0,
            nodes: nodes.collect(),
        }
    }
}

impl Location {
    fn of(view: &ClusterView, keyspace: &KeyspaceDefinition, key: &[u8]) -> Option<Self> {
        let topology = &view.topology;
        let placement = Placement::compute(topology, keyspace.pairs(topology));
        let token = Token::of(keyspace.id, key);
        let partition = topology.partitions().partition_of(token);
        let (first, last) = topology.partitions().token_range(partition)?;
        let dcs = topology.dc_indices();
        let dcs = dcs.filter_map(|dc| replicas_in(view, keyspace, &placement, (dc, partition)));
        Some(Self {
            keyspace: keyspace.name.clone(),
            token: token.to_string(),
            partition: partition.0,
            partitions: topology.partitions().count(),
            first_token: first.to_string(),
            last_token: last.to_string(),
            dcs: dcs.collect(),
        })
    }
}

fn replicas_in(
    view: &ClusterView,
    keyspace: &KeyspaceDefinition,
    placement: &Placement,
    (dc, partition): (DcIndex, Partition),
) -> Option<DcReplicas> {
    let topology = &view.topology;
    let factor = keyspace.replicas_in(topology, dc);
    let primaries = placement.replicas(partition, dc, factor).unwrap_or_default();
    let names = |nodes: &[NodeIndex]| {
        nodes.iter().filter_map(|&node| Some(topology.node(node)?.name.clone())).collect()
    };
    Some(DcReplicas {
        dc: topology.dc(dc)?.name.clone(),
        replicas: names(primaries),
        fallbacks: names(&topology.fallbacks(dc, partition, primaries)),
    })
}

fn print_ring(ring: &Ring, output: ReportFormat, console: &mut Console) -> Result<(), Error> {
    if output == ReportFormat::Json {
        return console.json(ring);
    }
    let Ring { keyspace, partitions, epoch, nodes } = ring;
    console.data(format!("keyspace {keyspace}   {partitions} partitions   epoch {epoch}"))?;
    let mut table = Columns::new(&[
        ("DC", Align::Left),
        ("NODE", Align::Left),
        ("RACK", Align::Left),
        ("CAPACITY", Align::Right),
        ("PARTITIONS", Align::Right),
        ("OWNS", Align::Right),
        ("LEADS", Align::Right),
    ]);
    for share in nodes {
        let per_mille = u64::from(share.partitions) * 1_000 / u64::from((*partitions).max(1));
        table.row([
            share.dc.to_string(),
            share.node.to_string(),
            share.rack.to_string(),
            format!("{}.{:02}", share.capacity / 100, share.capacity % 100),
            share.partitions.to_string(),
            format!("{}.{}%", per_mille / 10, per_mille % 10),
            share.leads.to_string(),
        ]);
    }
    console.data(table.render(0))
}

fn print_location(
    location: &Location,
    key: &[u8],
    output: ReportFormat,
    console: &mut Console,
) -> Result<(), Error> {
    if output == ReportFormat::Json {
        return console.json(location);
    }
    let Location { keyspace, token, partition, partitions, first_token, last_token, dcs } =
        location;
    console.data(format!("key        {}", brief(key)))?;
    console.data(format!("keyspace   {keyspace}"))?;
    console.data(format!("token      {token}"))?;
    console
        .data(format!("partition  {partition} of {partitions}: {first_token} to {last_token}"))?;
    let mut table =
        Columns::new(&[("DC", Align::Left), ("REPLICAS", Align::Left), ("FALLBACKS", Align::Left)]);
    for dc in dcs {
        table.row([dc.dc.to_string(), names(&dc.replicas), names(&dc.fallbacks)]);
    }
    console.data(table.render(0))
}

/// Names with spaces between them.
fn names(names: &[Name]) -> String {
    if names.is_empty() {
        return NOTHING.to_owned();
    }
    names.iter().map(Name::as_str).collect::<Vec<_>>().join(" ")
}
