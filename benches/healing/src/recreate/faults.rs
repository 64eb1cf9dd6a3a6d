//! What goes wrong meanwhile: one or two faults at a time, then a calm in which deletions can be purged.
//!
//! Invariants
//! - Every fault that has begun is ended, also when the other one cannot be.
//! - Only processes that the roster names are stopped: those are the cluster's own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::prng::Prng;
use rig::Failure;
use rig::pause;
use rig::{DevCluster, Seat};

/// How long a fault lasts, in milliseconds: shorter and longer than it takes to be noticed.
const FAULT_MS: (u64, u64) = (300, 6_000);

/// How long nothing is wrong between two, in milliseconds: a purge takes two or three seconds.
const CALM_MS: (u64, u64) = (2_000, 7_000);

/// One in so many faults has a second one on top.
const SECOND_ONCE_IN: usize = 4;

/// Attempts to take back the faults of links: a busy node may miss one.
const HEAL_ATTEMPTS_MAX: u32 = 20;

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    /// The process is killed, and started again.
    Kill(String),
    /// The process is stopped, and continued.
    Freeze(String),
    /// No link of it works.
    Isolate(String),
    /// The links between two nodes, or two datacenters, do not work.
    Cut(String, String),
}

/// How to end a fault.
enum Mend {
    Start(String),
    Continue(Pid),
    Heal,
}

/// How often which fault was injected.
pub(crate) type Injected = BTreeMap<&'static str, u32>;

/// Breaks and mends until `stopped`; in the end everything is mended.
pub(crate) async fn run(
    cluster: &DevCluster,
    mut prng: Prng,
    (began, stopped): (Instant, &AtomicBool),
) -> Result<Injected, Failure> {
    let mut injected = Injected::new();
    let seats = cluster.seats()?;
    while !stopped.load(Ordering::Relaxed) {
        let first = draw(&mut prng, &seats);
        let second = prng.once_in(SECOND_ONCE_IN).then(|| draw(&mut prng, &seats));
        let mut mends = Vec::new();
        let mut outcome = Ok(());
        for fault in std::iter::once(first.clone()).chain(second.filter(|second| *second != first))
        {
            let at = began.elapsed().as_secs_f64();
            match begin(cluster, &fault).await {
                Ok(mend) => mends.push(mend),
                // Its process may be missing because of the first one.
                Err(error) if !mends.is_empty() => {
                    println!("{at:>6.1} s  not {fault:?}: {error}");
                    continue;
                }
                Err(error) => outcome = Err(error),
            }
            println!("{at:>6.1} s  {fault:?}");
            *injected.entry(fault.name()).or_default() += 1;
            pause(prng.millis(FAULT_MS)).await;
        }
        // A node that starts waits for the others, so that links come first. Who is away does not hear of that, so that they
        // come last, too.
        mends.sort_by_key(|mend| matches!(mend, Mend::Heal));
        if mends.iter().any(|mend| matches!(mend, Mend::Heal)) {
            let _ = cluster.fault(&["heal"]).await;
        }
        for mend in mends {
            outcome = outcome.and(end(cluster, mend).await);
        }
        outcome?;
        pause(prng.millis(CALM_MS)).await;
    }
    Ok(injected)
}

impl Fault {
    fn name(&self) -> &'static str {
        match self {
            Self::Kill(_) => "kill",
            Self::Freeze(_) => "freeze",
            Self::Isolate(_) => "isolate",
            Self::Cut(..) => "cut",
        }
    }
}

fn draw(prng: &mut Prng, seats: &[Seat]) -> Fault {
    let node = |prng: &mut Prng| prng.below(seats.len());
    let one = node(prng);
    let other = (one + 1 + prng.below(seats.len() - 1)) % seats.len();
    let (one, other) = (&seats[one], &seats[other]);
    match prng.below(8) {
        0..=2 => Fault::Kill(one.id.clone()),
        3 | 4 => Fault::Freeze(one.id.clone()),
        5 => Fault::Isolate(one.id.clone()),
        6 if one.dc != other.dc => Fault::Cut(one.dc.clone(), other.dc.clone()),
        _ => Fault::Cut(one.id.clone(), other.id.clone()),
    }
}

async fn begin(cluster: &DevCluster, fault: &Fault) -> Result<Mend, Failure> {
    match fault {
        Fault::Kill(node) => {
            cluster.steer("kill", node).await?;
            Ok(Mend::Start(node.clone()))
        }
        Fault::Freeze(node) => {
            let pid = cluster.pid(node)?;
            kill_process(pid, Signal::STOP)?;
            Ok(Mend::Continue(pid))
        }
        Fault::Isolate(node) => {
            cluster.fault(&["partition", node]).await?;
            Ok(Mend::Heal)
        }
        Fault::Cut(one, other) => {
            cluster.fault(&["partition", one, other]).await?;
            Ok(Mend::Heal)
        }
    }
}

async fn end(cluster: &DevCluster, mend: Mend) -> Result<(), Failure> {
    match mend {
        Mend::Start(node) => cluster.steer("start", &node).await,
        // It may have been killed meanwhile, by the second fault.
        Mend::Continue(pid) => kill_process(pid, Signal::CONT).or(Ok(())),
        Mend::Heal => heal(cluster).await,
    }
}

/// Takes back all faults of links, at every node.
async fn heal(cluster: &DevCluster) -> Result<(), Failure> {
    for _ in 0..HEAL_ATTEMPTS_MAX {
        if let Ok(true) = cluster.fault(&["heal"]).await {
            return Ok(());
        }
        pause(Duration::from_millis(300)).await;
    }
    Err("a node does not take back the faults of its links".into())
}
