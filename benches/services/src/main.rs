//! Measures a cluster of Atoll beside one of etcd, on the same machine and disk, in one run: durable puts, and gets that
//! see them.
//!
//! Both run all the time, and one of them is asked at a time. Rounds alternate; medians are printed, and ratios that were
//! taken within a round. How much processor time the other service and the rest of the machine take meanwhile
//! is measured, and printed beside.

mod report;
mod tuning;
mod etcd;
mod rpc;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use atoll_client::Level;
use clap::Parser;
use rig::{
    Asked, Asker, AtollAsker, DevCluster, Failure, Loop, NODE_MEMORY, ProcessorTime, Wan, pause,
};
use rustix::process::Pid;
use tokio::signal::unix::{SignalKind, signal};

use etcd::EtcdCluster;
use report::{Measured, Spent, Targets};

/// Three nodes in one datacenter, and as many copies of a key.
const TOPOLOGY: &str = "cluster = \"services\"
partitions = 256
[[dc]]
name = \"eu\"
replication_factor = 3
[[node]]
id = \"eu-1\"
dc = \"eu\"
rack = \"1\"
[[node]]
id = \"eu-2\"
dc = \"eu\"
rack = \"2\"
[[node]]
id = \"eu-3\"
dc = \"eu\"
rack = \"3\"
";

/// What a cluster has left to do when it was asked no more, before the other is.
const REST: Duration = Duration::from_secs(1);

/// Puts and gets of Atoll beside those of etcd
#[derive(Debug, Parser)]
struct Arguments {
    /// The binary of Atoll
    #[arg(long, default_value = "target/release/atoll")]
    atoll: PathBuf,
    /// The binary of etcd; without one, Atoll alone is measured
    #[arg(long, default_value = "etcd")]
    etcd: OsString,
    /// Folder of both clusters; must not exist
    #[arg(long, default_value = "services-clusters")]
    dir: PathBuf,
    /// Requests under way
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    under_way: u64,
    /// Clients of Atoll's SDK that share them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    clients: u64,
    /// Rounds, each of Atoll and of etcd, for every request
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds for which etcd is tried over each number of connections
    #[arg(long, default_value_t = 2)]
    try_seconds: u64,
    /// Bytes of a value
    #[arg(long, default_value_t = 1_024)]
    value_bytes: usize,
    /// Different keys
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
}

/// One request to both.
struct Request {
    /// What it is in both, and for Atoll.
    names: (&'static str, &'static str),
    asked: Asked,
    targets: Targets,
}

const REQUESTS: [Request; 2] = [
    Request {
        names: ("puts", "put QUORUM, fsync"),
        asked: Asked::Put,
        targets: Targets { rate_min: 6.0, p99_max: Some(0.3) },
    },
    Request {
        names: ("gets", "get QUORUM"),
        asked: Asked::Get,
        targets: Targets { rate_min: 4.0, p99_max: None },
    },
];

/// Atoll, and what asks it.
struct Ours {
    cluster: DevCluster,
    askers: Vec<AtollAsker>,
    pids: Vec<Pid>,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // Whichever ends first: what is dropped with the run kills its processes.
    tokio::select! {
        outcome = run(&arguments) => outcome,
        _ = interrupt.recv() => Err("interrupted".into()),
        _ = terminate.recv() => Err("terminated".into()),
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let dir = &arguments.dir;
    std::fs::create_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    println!(
        "{} under way, {} keys, values of {} bytes, {} rounds of {} s in turns; medians",
        arguments.under_way,
        arguments.keys,
        arguments.value_bytes,
        arguments.rounds,
        arguments.seconds
    );
    let etcd = match etcd::version(&arguments.etcd).await? {
        Some(version) => {
            println!("etcd {version}");
            Some(EtcdCluster::start(&arguments.etcd, &dir.join("etcd")).await?)
        }
        None => {
            let name = arguments.etcd.display();
            println!("no {name} here (Debian: etcd-server): Atoll is measured, not compared");
            None
        }
    };
    let mut ours = Ours::start(arguments).await?;
    for request in &REQUESTS {
        measure_request(arguments, request, (&mut ours, etcd.as_ref())).await?;
    }
    ours.cluster.stop().await?;
    if let Some(etcd) = etcd {
        etcd.stop().await?;
    }
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

impl Ours {
    async fn start(arguments: &Arguments) -> Result<Self, Failure> {
        let (topology, dir) = (arguments.dir.join("topology.toml"), arguments.dir.join("atoll"));
        std::fs::write(&topology, TOPOLOGY)?;
        let cluster = DevCluster::start(&arguments.atoll, (&topology, Wan::None), &dir).await?;
        cluster.configure("storage", NODE_MEMORY).await?;
        let mut clients = Vec::new();
        for _ in 0..arguments.clients {
            clients.push(cluster.client().await?);
        }
        let askers = AtollAsker::deal(&clients, arguments.under_way);
        let seats = cluster.seats()?;
        let pids: Result<Vec<_>, _> = seats.iter().map(|seat| cluster.pid(&seat.id)).collect();
        Ok(Self { askers, pids: pids?, cluster })
    }
}

async fn measure_request(
    arguments: &Arguments,
    request: &Request,
    (ours, etcd): (&mut Ours, Option<&EtcdCluster>),
) -> Result<(), Failure> {
    let lap = Loop {
        asked: request.asked,
        level: Level::Quorum,
        askers: arguments.under_way,
        keys: arguments.keys,
        value_bytes: arguments.value_bytes,
        span: Duration::from_secs(arguments.seconds),
    };
    let (name, our_name) = request.names;
    let theirs = etcd.map_or(Ok(Vec::new()), EtcdCluster::pids)?;
    lap.fill(&mut ours.askers).await?;
    let etcd = match etcd {
        Some(etcd) => {
            let tried = (name, Duration::from_secs(arguments.try_seconds));
            Some((etcd, tuning::fastest(&lap, etcd, tried).await?))
        }
        None => None,
    };
    let (mut atolls, mut etcds) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        atolls.push(measure(&lap, &mut ours.askers, (&ours.pids, &theirs)).await?);
        if let Some((etcd, shape)) = etcd {
            let mut askers = etcd.deal(shape, lap.askers).await?;
            etcds.push(measure(&lap, &mut askers, (&theirs, &ours.pids)).await?);
        }
    }
    report::print_header();
    report::print_rounds((our_name, "Atoll"), &atolls);
    if let Some((_, shape)) = etcd {
        report::print_rounds((&format!("{name}, {shape}"), "etcd"), &etcds);
        report::print_ratios(&atolls, &etcds, request.targets);
    }
    Ok(())
}

/// Runs `lap`, after a rest, against the servers `asked`, while `other` have nothing to do.
async fn measure<A: Asker>(
    lap: &Loop,
    askers: &mut Vec<A>,
    (asked, other): (&[Pid], &[Pid]),
) -> Result<Measured, Failure> {
    pause(REST).await;
    let before = Clocks::read(asked, other)?;
    let run = lap.run(askers).await?;
    let after = Clocks::read(asked, other)?;
    if let Some(error) = &run.error {
        println!("first error: {error}");
    }
    let since = |clock: fn(&Clocks) -> &ProcessorTime| clock(&after).micros_since(clock(&before));
    let spent = since(|of| &of.asked) + since(|of| &of.own);
    let other = since(|of| &of.other);
    let rest = since(|of| &of.machine) - spent - other;
    Ok(Measured::of(&run, Spent { asked: spent, other, rest }))
}

/// Processor time at one moment.
struct Clocks {
    asked: ProcessorTime,
    own: ProcessorTime,
    other: ProcessorTime,
    machine: ProcessorTime,
}

impl Clocks {
    fn read(asked: &[Pid], other: &[Pid]) -> Result<Self, Failure> {
        Ok(Self {
            asked: ProcessorTime::of(asked)?,
            own: ProcessorTime::own()?,
            other: ProcessorTime::of(other)?,
            machine: ProcessorTime::machine()?,
        })
    }
}
