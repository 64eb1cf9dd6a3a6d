//! Measures requests against what the same frames cost over bare QUIC, in one run: how much of the machine Atoll leaves to
//! its users.
//!
//! Client and nodes share the machine, as the two sides of the ceiling do. Rounds alternate, and medians are printed.

mod ceiling;
mod commit;

use std::path::PathBuf;
use std::time::Duration;

use atoll_client::Level;
use clap::{Parser, ValueEnum};
use hdrhistogram::Histogram;
use mimalloc::MiMalloc;
use rig::{Asked, AtollAsker, DevCluster, Failure, Loop, NODE_MEMORY, ProcessorTime, Wan, median};
use rustix::process::Pid;

use ceiling::{Echo, Exchange};

/// That of `atoll`, for the client and both sides of the ceiling.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Bytes of a frame around key, context and value: header, message, certificates of nothing.
const FRAME_BYTES: usize = 128;

/// Streams of the ceiling: two to eight cost the same.
const LANES: usize = 4;

/// Measures requests against bare QUIC
#[derive(Debug, Parser)]
enum Arguments {
    /// Exchange with a child, and run the scenes
    Run(RunArguments),
    /// The other side of the ceiling
    #[command(hide = true)]
    Echo,
}

#[derive(Debug, clap::Args)]
struct RunArguments {
    /// What to measure; all if none
    #[arg(value_enum)]
    scenes: Vec<Scene>,
    /// The binary
    #[arg(long, default_value = "target/release/atoll")]
    atoll: PathBuf,
    /// Folder of the clusters; must not exist
    #[arg(long, default_value = "wire-clusters")]
    dir: PathBuf,
    /// Requests under way
    #[arg(long, default_value_t = 64)]
    under_way: usize,
    /// Rounds, each of the ceiling and of every request
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Bytes of a value
    #[arg(long, default_value_t = 1_024)]
    value_bytes: usize,
    /// Different keys
    #[arg(long, default_value_t = 10_000)]
    keys: u64,
}

/// A cluster and what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scene {
    /// One node, gets at ONE
    Node,
    /// Three nodes, RF 3, puts and gets at QUORUM, `periodic` durability
    Periodic,
    /// Three nodes, RF 3, puts at QUORUM, `fsync` durability, against bare logs
    Fsync,
}

/// One request, and how much of which ceiling it is to reach.
#[derive(Clone, Copy, Debug)]
struct Request {
    name: &'static str,
    asked: Asked,
    level: Level,
    against: Against,
    /// Exchanges of frames that one request is made of.
    exchanges: f64,
}

#[derive(Clone, Copy, Debug)]
enum Against {
    /// The frames alone.
    Echo,
    /// Three logs alone.
    Logs,
}

/// One measurement.
struct Measured {
    rate: f64,
    p50: f64,
    p99: f64,
    processor_micros: f64,
    errors: u64,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    match Arguments::parse() {
        Arguments::Echo => ceiling::serve().await,
        Arguments::Run(arguments) => run(&arguments).await,
    }
}

async fn run(arguments: &RunArguments) -> Result<(), Failure> {
    std::fs::create_dir(&arguments.dir)?;
    let all = [Scene::Node, Scene::Periodic, Scene::Fsync];
    println!(
        "{} under way, values of {} bytes, {} rounds of {} s; medians",
        arguments.under_way, arguments.value_bytes, arguments.rounds, arguments.seconds
    );
    println!(
        "request               rate/s   p50 us   p99 us  CPU us  errors  ceiling/s  ceiling p99 us  ratio  p99 ratio"
    );
    for scene in
        all.into_iter().filter(|of| arguments.scenes.is_empty() || arguments.scenes.contains(of))
    {
        measure(arguments, scene).await?;
    }
    std::fs::remove_dir_all(&arguments.dir)?;
    Ok(())
}

impl Scene {
    fn topology(self) -> String {
        let count = if self == Self::Node { 1 } else { 3 };
        let nodes: String = (1..=count)
            .map(|number| {
                format!("[[node]]\nid = \"eu-{number}\"\ndc = \"eu\"\nrack = \"{number}\"\n")
            })
            .collect();
        format!(
            "cluster = \"wire\"\npartitions = 256\n[[dc]]\nname = \"eu\"\nreplication_factor = {count}\n{nodes}"
        )
    }

    fn requests(self) -> Vec<Request> {
        let (put, get) = (Asked::Put, Asked::Get);
        match self {
            Self::Node => vec![Request {
                name: "get ONE, 1 node",
                asked: get,
                level: Level::One,
                against: Against::Echo,
                exchanges: 1.0,
            }],
            Self::Periodic => vec![
                Request {
                    name: "put QUORUM, 3 nodes",
                    asked: put,
                    level: Level::Quorum,
                    against: Against::Echo,
                    exchanges: 3.0,
                },
                Request {
                    name: "get QUORUM, 3 nodes",
                    asked: get,
                    level: Level::Quorum,
                    against: Against::Echo,
                    exchanges: 2.0,
                },
            ],
            Self::Fsync => vec![Request {
                name: "put QUORUM, fsync",
                asked: put,
                level: Level::Quorum,
                against: Against::Logs,
                exchanges: 1.0,
            }],
        }
    }
}

async fn measure(arguments: &RunArguments, scene: Scene) -> Result<(), Failure> {
    let (topology, dir) = (arguments.dir.join("topology.toml"), arguments.dir.join("cluster"));
    std::fs::write(&topology, scene.topology())?;
    let mut cluster = DevCluster::start(&arguments.atoll, (&topology, Wan::None), &dir).await?;
    let durability = if scene == Scene::Fsync { "fsync" } else { "periodic" };
    let settings = format!("durability = \"{durability}\"\n{NODE_MEMORY}");
    cluster.configure("storage", &settings).await?;
    let measured = measure_cluster(arguments, scene, &cluster).await;
    cluster.stop().await?;
    std::fs::remove_dir_all(&dir)?;
    measured
}

async fn measure_cluster(
    arguments: &RunArguments,
    scene: Scene,
    cluster: &DevCluster,
) -> Result<(), Failure> {
    let span = Duration::from_secs(arguments.seconds);
    let mut askers =
        AtollAsker::deal(&[cluster.client().await?], u64::try_from(arguments.under_way)?);
    let mut pids = Vec::new();
    for seat in cluster.seats()? {
        pids.push(cluster.pid(&seat.id)?);
    }
    for request in scene.requests() {
        let lap = Loop {
            asked: request.asked,
            level: request.level,
            askers: u64::try_from(arguments.under_way)?,
            keys: arguments.keys,
            value_bytes: arguments.value_bytes,
            span,
        };
        lap.fill(&mut askers).await?;
        let (mut ceilings, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..arguments.rounds {
            ceilings.push(ceiling_of(arguments, request).await?);
            ours.push(measure_ours(&lap, &mut askers, &pids).await?);
        }
        report(request, &ceilings, &ours);
    }
    Ok(())
}

async fn ceiling_of(arguments: &RunArguments, request: Request) -> Result<Measured, Failure> {
    let span = Duration::from_secs(arguments.seconds);
    let long = arguments.value_bytes + FRAME_BYTES;
    match request.against {
        Against::Echo => {
            let exchange = match request.asked {
                Asked::Get => Exchange { request: FRAME_BYTES, reply: long },
                Asked::Put => Exchange { request: long, reply: FRAME_BYTES },
            };
            let echo = Echo::start().await?;
            let ceiling = echo.measure(exchange, (arguments.under_way, LANES), span).await?;
            Ok(Measured::of(ceiling.rate, &ceiling.micros, ceiling.processor_micros, 0))
        }
        Against::Logs => {
            let (dir, under_way) = (arguments.dir.join("logs"), arguments.under_way);
            let logs = move || commit::measure(&dir, (under_way, long), span);
            let rate = tokio::task::spawn_blocking(logs).await??;
            Ok(Measured { rate, p50: 0.0, p99: 0.0, processor_micros: 0.0, errors: 0 })
        }
    }
}

async fn measure_ours(
    lap: &Loop,
    askers: &mut Vec<AtollAsker>,
    pids: &[Pid],
) -> Result<Measured, Failure> {
    let before = (ProcessorTime::of(pids)?, ProcessorTime::own()?);
    let run = lap.run(askers).await?;
    let spent = ProcessorTime::of(pids)?.micros_since(&before.0)
        + ProcessorTime::own()?.micros_since(&before.1);
    if let Some(error) = &run.error {
        println!("first error: {error}");
    }
    Ok(Measured::of(run.rate(), &run.micros, spent / run.micros.len().max(1) as f64, run.errors))
}

impl Measured {
    fn of(rate: f64, micros: &Histogram<u64>, processor_micros: f64, errors: u64) -> Self {
        let at = |quantile| micros.value_at_quantile(quantile) as f64;
        Self { rate, p50: at(0.5), p99: at(0.99), processor_micros, errors }
    }
}

fn report(request: Request, ceilings: &[Measured], ours: &[Measured]) {
    let of = |all: &[Measured], what: fn(&Measured) -> f64| median(all.iter().map(what));
    let ratios = ours
        .iter()
        .zip(ceilings)
        .map(|(ours, ceiling)| ours.rate * request.exchanges / ceiling.rate);
    let tails = ours.iter().zip(ceilings).map(|(ours, ceiling)| ours.p99 / ceiling.p99);
    // Bare logs are measured by their rate alone.
    let (ceiling_p99, tail) = match request.against {
        Against::Echo => {
            (format!("{:.0}", of(ceilings, |of| of.p99)), format!("{:.1}", median(tails)))
        }
        Against::Logs => ("-".to_owned(), "-".to_owned()),
    };
    println!(
        "{:<20} {:>7.0} {:>8.0} {:>8.0} {:>7.1} {:>7} {:>10.0} {:>15} {:>6.2} {:>10}",
        request.name,
        of(ours, |of| of.rate),
        of(ours, |of| of.p50),
        of(ours, |of| of.p99),
        of(ours, |of| of.processor_micros),
        ours.iter().map(|of| of.errors).sum::<u64>(),
        of(ceilings, |of| of.rate) / request.exchanges,
        ceiling_p99,
        median(ratios),
        tail,
    );
}
