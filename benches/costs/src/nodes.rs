//! Processor time of a request, of client and all nodes, to a cluster of 9 nodes and to one of 27: same replication
//! factor, levels and data.
//!
//! Nodes that nobody asks anything watch each other and compare their data; that is measured by itself in every round,
//! and subtracted: what remains is what requests cost. Both clusters are up all the time, so that neither measures
//! a quieter machine.
//!
//! The larger cluster is asked at the same rate, and at the same rate per node. At the same rate each of its nodes and
//! connections has a third to do, and requests share fewer packets, acknowledgements and wake-ups.

use std::time::Duration;

use atoll_client::Level;
use rig::{Asked, AtollAsker, DevCluster, Failure, Loop, ProcessorTime, Wan, median, pause};
use rustix::process::Pid;

use crate::topology::{self, Dc};
use crate::{RunArguments, verdict};

/// Target: what a request costs at 27 nodes, to what it costs at 9.
const RATIO_MAX: f64 = 1.15;

/// Clusters, by name and nodes.
const CLUSTERS: [(&str, usize); 2] = [("nodes-9", 9), ("nodes-27", 27)];

/// Requests under way at most.
const ASKERS: u64 = 16;

/// Different keys: few, so that nearly all puts supersede one of the same run.
const KEYS: u64 = 800;

struct Tested {
    cluster: DevCluster,
    askers: Vec<AtollAsker>,
    pids: Vec<Pid>,
    /// Processors that are busy while nobody asks.
    idle: Vec<f64>,
    /// By load.
    costs: Vec<(Load, Costs)>,
}

/// One kind of request at one rate.
#[derive(Clone, Copy, Debug)]
struct Load {
    asked: Asked,
    rate: f64,
}

/// Of one kind of request, in each round.
#[derive(Default)]
struct Costs {
    rates: Vec<f64>,
    errors: u64,
    /// Microseconds of processor time per request.
    gross: Vec<f64>,
    /// Without what idle nodes would have taken in that time.
    net: Vec<f64>,
}

pub(crate) async fn measure(arguments: &RunArguments) -> Result<(), Failure> {
    let mut all = Vec::new();
    for (name, nodes) in CLUSTERS {
        all.push(Tested::start(arguments, name, nodes).await?);
    }
    let outcome = measure_rounds(arguments, &mut all).await;
    for (tested, (name, _)) in all.into_iter().zip(CLUSTERS) {
        arguments.end(name, tested.cluster).await?;
    }
    outcome
}

async fn measure_rounds(arguments: &RunArguments, all: &mut [Tested]) -> Result<(), Failure> {
    println!(
        "nodes: one datacenter, 3 racks, RF 3, QUORUM, values of {} bytes, {} rounds of {} s; medians",
        arguments.value_bytes, arguments.rounds, arguments.seconds
    );
    let span = Duration::from_secs(arguments.seconds);
    for tested in all.iter_mut() {
        lap(arguments, Asked::Put, span).fill(&mut tested.askers).await?;
        for asked in [Asked::Put, Asked::Get] {
            lap(arguments, asked, span / 4).run(&mut tested.askers).await?;
        }
    }
    pause(span).await;
    for _ in 0..arguments.rounds {
        for tested in all.iter_mut() {
            tested.measure_round(arguments, span).await?;
        }
    }
    println!("nodes  request  rate/s  errors  CPU us  idle CPU %  CPU us without idle");
    for (tested, (_, nodes)) in all.iter().zip(CLUSTERS) {
        for (load, costs) in &tested.costs {
            println!(
                "{nodes:>5}  {:<7} {:>7.0} {:>7} {:>7.1} {:>11.2} {:>20.1}",
                load.name(),
                median(costs.rates.iter().copied()),
                costs.errors,
                median(costs.gross.iter().copied()),
                100.0 * median(tested.idle.iter().copied()),
                median(costs.net.iter().copied()),
            );
        }
    }
    let [few, many] = all else { return Err("two clusters".into()) };
    for (load, costs) in &many.costs {
        let same_kind = few.costs.iter().find(|(few, _)| few.asked == load.asked);
        let (base, few) = same_kind.ok_or("no such load")?;
        let ratio = |of: fn(&Costs) -> &Vec<f64>| {
            median(of(costs).iter().zip(of(few)).map(|(many, few)| many / few))
        };
        let at = if load.rate > base.rate { "same rate per node" } else { "same rate" };
        println!("{}, {at}: gross ratio {:.2}", load.name(), ratio(|costs| &costs.gross));
        let what = format!("{}, {at}, 27 nodes to 9, without idle", load.name());
        verdict::report(&what, ratio(|costs| &costs.net), (RATIO_MAX, "x"));
    }
    Ok(())
}

fn lap(arguments: &RunArguments, asked: Asked, span: Duration) -> Loop {
    Loop {
        asked,
        level: Level::Quorum,
        askers: ASKERS,
        keys: KEYS,
        value_bytes: arguments.value_bytes,
        span,
    }
}

impl Load {
    fn name(self) -> &'static str {
        match self.asked {
            Asked::Put => "put",
            Asked::Get => "get",
        }
    }
}

impl Tested {
    async fn start(arguments: &RunArguments, name: &str, nodes: usize) -> Result<Self, Failure> {
        let dc = Dc { name: "eu", nodes, replication_factor: 3 };
        let planned = (topology::of(&[dc], ""), Wan::None);
        let cluster = arguments.start(name, planned, "durability = \"periodic\"").await?;
        let client = cluster.client().await?;
        let mut pids = Vec::new();
        for seat in cluster.seats()? {
            pids.push(cluster.pid(&seat.id)?);
        }
        let (rate, (_, least)) = (arguments.nodes_rate as f64, CLUSTERS[0]);
        let mut costs = Vec::new();
        for asked in [Asked::Put, Asked::Get] {
            costs.push((Load { asked, rate }, Costs::default()));
            if nodes > least {
                let rate = rate * nodes as f64 / least as f64;
                costs.push((Load { asked, rate }, Costs::default()));
            }
        }
        let askers = AtollAsker::deal(&[client], ASKERS);
        Ok(Self { cluster, askers, pids, idle: Vec::new(), costs })
    }

    async fn measure_round(
        &mut self,
        arguments: &RunArguments,
        span: Duration,
    ) -> Result<(), Failure> {
        let before = ProcessorTime::with_own(&self.pids)?;
        pause(span).await;
        let spent = ProcessorTime::with_own(&self.pids)?.micros_since(&before);
        let idle = spent / span.as_secs_f64() / 1e6;
        self.idle.push(idle);
        for (Load { asked, rate }, costs) in &mut self.costs {
            let before = ProcessorTime::with_own(&self.pids)?;
            let run = lap(arguments, *asked, span).run_at(*rate, &mut self.askers).await?;
            let spent = ProcessorTime::with_own(&self.pids)?.micros_since(&before);
            let requests = run.micros.len().max(1) as f64;
            costs.rates.push(run.rate());
            costs.errors += run.errors;
            costs.gross.push(spent / requests);
            costs.net.push((spent - idle * 1e6 * run.took.as_secs_f64()) / requests);
        }
        Ok(())
    }
}
