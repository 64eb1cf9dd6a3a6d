//! Bytes of UDP between datacenters per put at LOCAL_QUORUM, as the nodes' connections count them: frames, what QUIC
//! puts around them, acknowledgements, and what was sent again.
//!
//! Connections that nobody uses cost bytes too, and replicas compare their data: that is measured over the same span
//! just before, and subtracted. What arrives is counted at the other end: the rest was lost on the way.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_client::{Client, Level, NodeState};
use rig::{Asked, AtollAsker, DevCluster, Failure, Loop, Wan, pause};

use crate::topology::{self, Dc};
use crate::{RunArguments, verdict};

/// Target: bytes to a remote datacenter per put, to those of the record.
const RATIO_MAX: f64 = 1.15;

/// Bytes of a key (`rig`).
const KEY_BYTES: usize = 12;

/// Bytes of a record beside its value, of one version by one writer: its head, a writer, a cell
/// (`crates/protocol/src/record/encoding.rs`). Each further writer adds 18.
const RECORD_BYTES: usize = 4 + 18 + 29;

/// Round trip between any two datacenters.
const RTT: &str = "80ms";

/// The datacenter of the client.
const HOME: &str = "eu";

/// Requests under way at most.
const ASKERS: u64 = 16;

/// Different keys; they are new to the cluster.
const KEYS: u64 = 800;

/// After puts, until what they made others do is over.
const SETTLE: Duration = Duration::from_secs(5);

/// Longest time until a cluster that has just started is idle: it connects, and compares everything once.
const WARM_UP: Duration = Duration::from_secs(15);

/// Bytes between datacenters since their connections were made, by sender and receiver.
type Traffic = BTreeMap<(String, String), Sent>;

/// Bytes of one direction, as counted at each end, and packets.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    bytes: f64,
    /// Bytes that arrived: what is missing was lost, and sent again.
    arrived: f64,
    packets: f64,
    lost_packets: f64,
}

/// One direction.
struct Flow {
    per_put: f64,
    arrived_per_put: f64,
    lost_percent: f64,
    idle_per_second: f64,
}

pub(crate) async fn measure(arguments: &RunArguments) -> Result<(), Failure> {
    println!(
        "wan: LOCAL_QUORUM puts in {HOME} (3 nodes, RF 3), {} puts/s for {} s, values of {} bytes, {RTT} apart",
        arguments.rate, arguments.seconds, arguments.value_bytes
    );
    println!("bytes of UDP per put; idle traffic of the same span before is subtracted");
    println!("from > to    sent  and arrived  lost packets %  idle bytes/s sent");
    let dc = |name, nodes, replication_factor| Dc { name, nodes, replication_factor };
    let home = dc(HOME, 3, 3);
    for (name, remotes) in [
        ("wan-3-3-3", [dc("us", 3, 3), dc("ap", 3, 3)]),
        ("wan-3-1-5", [dc("us", 1, 1), dc("ap", 5, 5)]),
    ] {
        let planned = (topology::of(&[home, remotes[0], remotes[1]], RTT), Wan::Emulated);
        let cluster = arguments.start(name, planned, "durability = \"periodic\"").await?;
        let measured = measure_cluster(arguments, &cluster, &remotes).await;
        arguments.end(name, cluster).await?;
        measured?;
    }
    Ok(())
}

async fn measure_cluster(
    arguments: &RunArguments,
    cluster: &DevCluster,
    remotes: &[Dc; 2],
) -> Result<(), Failure> {
    let client = cluster.client_in(HOME).await?;
    let mut askers = AtollAsker::deal(std::slice::from_ref(&client), ASKERS);
    let span = Duration::from_secs(arguments.seconds);
    pause(WARM_UP).await;
    let before = traffic(&client).await?;
    pause(span + SETTLE).await;
    let between = traffic(&client).await?;
    let puts = Loop {
        asked: Asked::Put,
        level: Level::LocalQuorum,
        askers: ASKERS,
        keys: KEYS,
        value_bytes: arguments.value_bytes,
        span,
    };
    let run = puts.run_at(arguments.rate as f64, &mut askers).await?;
    pause((span + SETTLE).saturating_sub(run.took)).await;
    let after = traffic(&client).await?;
    let (idle, busy) = (since(&between, &before)?, since(&after, &between)?);
    let count = run.micros.len() as f64;
    if let Some(error) = &run.error {
        println!("first error: {error}");
    }
    let flow = |from: &str, to: &str| -> Result<Flow, Failure> {
        let (busy, idle) = (sent(&busy, from, to)?, sent(&idle, from, to)?);
        Ok(Flow {
            per_put: (busy.bytes - idle.bytes) / count,
            arrived_per_put: (busy.arrived - idle.arrived) / count,
            lost_percent: 100.0 * busy.lost_packets / busy.packets.max(1.0),
            idle_per_second: idle.bytes / (span + SETTLE).as_secs_f64(),
        })
    };
    let [one, other] = remotes.map(|dc| dc.name);
    println!("{count} puts, {} errors", run.errors);
    for (from, to) in
        [(HOME, one), (HOME, other), (one, HOME), (other, HOME), (one, other), (other, one)]
    {
        let flow = flow(from, to)?;
        println!(
            "{:<8} {:>8.0} {:>12.0} {:>14.2} {:>17.0}",
            format!("{from} > {to}"),
            flow.per_put,
            flow.arrived_per_put,
            flow.lost_percent,
            flow.idle_per_second,
        );
    }
    for Dc { name, replication_factor, .. } in remotes {
        let (sent, written) = (flow(HOME, name)?.per_put, KEY_BYTES + arguments.value_bytes);
        println!(
            "to {name}, RF {replication_factor}: {:.2} x key and value",
            sent / written as f64
        );
        let what = format!("bytes to {name}, RF {replication_factor}, to those of key and record");
        verdict::report(&what, sent / (written + RECORD_BYTES) as f64, (RATIO_MAX, "x"));
    }
    Ok(())
}

/// What all nodes say of their connections to other datacenters.
async fn traffic(client: &Client) -> Result<Traffic, Failure> {
    let reports = client.status().await?;
    let dcs: BTreeMap<_, _> =
        reports.iter().map(|of| (of.node.to_string(), of.dc.to_string())).collect();
    let mut traffic = Traffic::new();
    for report in &reports {
        let NodeState::Up(status) = &report.state else {
            return Err(format!("{} is down", report.node).into());
        };
        let own = report.dc.to_string();
        for peer in &status.peers {
            let dc = dcs.get(peer.node.as_str()).ok_or("an unknown peer")?.clone();
            let path =
                peer.path.ok_or_else(|| format!("{} has no path to {}", report.node, peer.node))?;
            if dc != own {
                let there = traffic.entry((own.clone(), dc.clone())).or_default();
                there.bytes += path.sent_bytes as f64;
                there.packets += path.sent_packets as f64;
                there.lost_packets += path.lost_packets as f64;
                traffic.entry((dc, own.clone())).or_default().arrived += path.received_bytes as f64;
            }
        }
    }
    Ok(traffic)
}

/// What was sent since `earlier`.
fn since(now: &Traffic, earlier: &Traffic) -> Result<Traffic, Failure> {
    let mut all = Traffic::new();
    for (pair, now) in now {
        let earlier = earlier.get(pair).ok_or("a datacenter is new")?;
        let sent = Sent {
            bytes: now.bytes - earlier.bytes,
            arrived: now.arrived - earlier.arrived,
            packets: now.packets - earlier.packets,
            lost_packets: now.lost_packets - earlier.lost_packets,
        };
        if sent.bytes < 0.0 || sent.arrived < 0.0 {
            return Err(format!("{pair:?}: connections were replaced meanwhile").into());
        }
        all.insert(pair.clone(), sent);
    }
    Ok(all)
}

fn sent(traffic: &Traffic, from: &str, to: &str) -> Result<Sent, Failure> {
    Ok(*traffic.get(&(from.to_owned(), to.to_owned())).ok_or("no such pair")?)
}
