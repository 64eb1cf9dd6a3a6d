//! Measures how a cluster of real processes (`atoll dev`) heals while it is written to: latencies before, during and after
//! a fault, relative to before, in one run.
//!
//! The load is an open loop: each put has its moment, and its latency counts from there, so that a stall is seen by all
//! that had to wait for it. Puts whose moment has come are not begun beyond a bound; those count as errors.
//!
//! One scene measures no latencies: `recreate` looks for deletions that do not last.

mod load;
mod recreate;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use atoll_client::{Client, HintsCommand, Level, RepairCommand, ReplicaState};
use clap::{Parser, Subcommand};

use load::{Load, Shape};
use recreate::Recreation;
use rig::{DevCluster, Failure, Wan, pause};

/// Longest wait for replicas to become equal.
const HEALING_MAX: Duration = Duration::from_secs(300);

/// Questions about keys under way at once.
const ASKED_AT_ONCE: usize = 64;

/// Measures how a cluster heals under load.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    scene: Scene,
    /// The binary
    #[arg(long, global = true, default_value = "target/release/atoll")]
    atoll: PathBuf,
    /// Folder of the cluster; must not exist
    #[arg(long, global = true, default_value = "healing-cluster")]
    dir: PathBuf,
    /// Puts per second
    #[arg(long, global = true, default_value_t = 2_000)]
    rate: u64,
    /// Bytes of a value
    #[arg(long, global = true, default_value_t = 1_024)]
    value_bytes: usize,
    /// Different keys
    #[arg(long, global = true, default_value_t = 20_000)]
    keys: u64,
    /// Gets of 100 operations; the others are puts
    #[arg(long, global = true, default_value_t = 0)]
    gets_percent: u64,
    /// Seconds of load before the fault: longer than it takes to fill a memtable, so that flushes are among them
    #[arg(long, global = true, default_value_t = 60)]
    before: u64,
    /// Seconds of load after all is healed
    #[arg(long, global = true, default_value_t = 20)]
    after: u64,
}

/// What goes wrong.
#[derive(Clone, Debug, Subcommand)]
enum Scene {
    /// One node of three is killed, and returns
    Kill {
        /// Seconds that it is away
        #[arg(long, default_value_t = 60)]
        away: u64,
    },
    /// One datacenter of three is killed, and returns; the load is at LOCAL_QUORUM in another one
    DcLoss {
        /// Seconds that it is away
        #[arg(long, default_value_t = 120)]
        away: u64,
    },
    /// One node of three runs for one millisecond in a hundred
    Slow {
        /// Seconds that it does
        #[arg(long, default_value_t = 60)]
        away: u64,
    },
    /// Keys are deleted and recreated while nodes are killed, frozen and cut off; nothing that was deleted comes back
    Recreate(Recreation),
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let (topology, lost, level, away) = match arguments.scene {
        Scene::Recreate(ref asked) => return recreate(&arguments, asked).await,
        Scene::Kill { away } => ("topology/single-dc.toml", "eu-3", Level::Quorum, away),
        Scene::Slow { away } => ("topology/single-dc.toml", "eu-3", Level::LocalQuorum, away),
        Scene::DcLoss { away } => ("topology/three-dcs.toml", "us", Level::LocalQuorum, away),
    };
    let planned = (Path::new(topology), Wan::Emulated);
    let mut cluster = DevCluster::start(&arguments.atoll, planned, &arguments.dir).await?;
    let measured = measure(&arguments, &cluster, (lost, level), Duration::from_secs(away)).await;
    cluster.stop().await?;
    measured
}

async fn recreate(arguments: &Arguments, asked: &Recreation) -> Result<(), Failure> {
    let topology = asked.write_topology(&arguments.dir)?;
    let planned = (topology.as_path(), asked.wan());
    let mut cluster = DevCluster::start(&arguments.atoll, planned, &arguments.dir).await?;
    let outcome = recreate::run(asked, &cluster).await;
    cluster.stop().await?;
    outcome
}

async fn measure(
    arguments: &Arguments,
    cluster: &DevCluster,
    (lost, level): (&str, Level),
    away: Duration,
) -> Result<(), Failure> {
    let client = cluster.client().await?;
    let Arguments { rate, value_bytes, keys, gets_percent, .. } = *arguments;
    let shape = Shape { rate, value_bytes, keys, gets_percent, level };
    let load = Load::start(client.clone(), shape);
    pause(Duration::from_secs(3)).await;
    load.phase("warm-up");
    pause(Duration::from_secs(arguments.before)).await;
    load.phase("before");
    if matches!(arguments.scene, Scene::Slow { .. }) {
        cluster.slow_down(lost, Duration::from_secs(5)).await?;
        load.phase("first seconds slow");
        cluster.slow_down(lost, away.saturating_sub(Duration::from_secs(5))).await?;
        load.phase("slow");
        pause(Duration::from_secs(10)).await;
        load.phase("after");
        load.stop().await;
        load.report("before");
        return Ok(());
    }
    cluster.steer("kill", lost).await?;
    pause(Duration::from_secs(1)).await;
    load.phase("first second away");
    pause(away.saturating_sub(Duration::from_secs(1))).await;
    load.phase("away");
    println!("hints for {lost}: {}", waiting(&client).await?);
    let returned = Instant::now();
    cluster.steer("start", lost).await?;
    load.phase("start");
    until(returned, || async { Ok(waiting(&client).await? == 0) }).await?;
    println!("hints delivered {:.1} s after the start", returned.elapsed().as_secs_f64());
    load.phase("replay");
    until(returned, || async { Ok(pending(&client).await? == 0) }).await?;
    println!("comparisons done {:.1} s after the start", returned.elapsed().as_secs_f64());
    load.phase("compared");
    pause(Duration::from_secs(arguments.after)).await;
    load.phase("after");
    load.stop().await;
    let written = load.written();
    let apart = until(returned, || async { Ok(apart(&client, &written).await? == 0) }).await;
    println!(
        "replicas of {} keys were found equal {:.1} s after the start, when the load had ended",
        written.len(),
        returned.elapsed().as_secs_f64()
    );
    apart?;
    load.report("before");
    Ok(())
}

/// Waits until `is_so`.
async fn until<F: Future<Output = Result<bool, Failure>>>(
    since: Instant,
    mut is_so: impl FnMut() -> F,
) -> Result<(), Failure> {
    while !is_so().await? {
        if since.elapsed() > HEALING_MAX {
            return Err(format!("not healed within {HEALING_MAX:?}").into());
        }
        pause(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Hints that wait at all nodes; a node that does not answer counts as one.
async fn waiting(client: &Client) -> Result<u64, Failure> {
    let reports = client.hints(HintsCommand::List).await?;
    let of = |report: &atoll_client::HintsReport| match &report.told {
        Ok(status) => status.waiting.iter().map(|waiting| waiting.hints).sum(),
        Err(_) => 1,
    };
    Ok(reports.iter().map(of).sum())
}

/// Comparisons that wait at all nodes; a node that does not answer, or has compared nothing, counts as one.
async fn pending(client: &Client) -> Result<u64, Failure> {
    let reports = client.repair(RepairCommand::Status).await?;
    let of = |report: &atoll_client::RepairReport| match &report.told {
        Ok(status) if status.last_round.is_some() => status.pending,
        _ => 1,
    };
    Ok(reports.iter().map(of).sum())
}

/// Keys whose replicas do not hold the same.
async fn apart(client: &Client, keys: &[String]) -> Result<usize, Failure> {
    let mut apart = 0;
    for some in keys.chunks(ASKED_AT_ONCE) {
        let asked: Vec<_> = some
            .iter()
            .map(|key| {
                let (client, key) = (client.clone(), key.clone());
                tokio::spawn(async move { client.explain("default", key).await })
            })
            .collect();
        for explained in asked {
            let digests: Vec<Option<u128>> = explained
                .await??
                .replicas
                .iter()
                .map(|replica| match &replica.state {
                    ReplicaState::Present { digest, .. } => Some(*digest),
                    ReplicaState::Absent | ReplicaState::Unreachable { .. } => None,
                })
                .collect();
            let is_equal = digests.iter().all(|digest| digest.is_some() && *digest == digests[0]);
            apart += usize::from(!is_equal);
        }
    }
    Ok(apart)
}
