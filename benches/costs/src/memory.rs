//! Resident memory of one node that holds a million records, when its cache is full.
//!
//! 1. Load all records through the SDK.
//! 2. Get keys at random until the cache holds as many bytes as it may.
//! 3. Look at the memory of the process.

use std::time::{Duration, Instant};

use atoll_client::{Client, Level};
use rig::{Asked, AtollAsker, DevCluster, Failure, Loop, Wan, pause};
use rustix::process::Pid;

use crate::resident::{self, Resident};
use crate::topology::{self, Dc};
use crate::{RunArguments, verdict};

/// Target: resident memory.
const MIB_MAX: f64 = 512.0;

/// Bytes of the cache.
const CACHE_BYTES: u64 = 256 * 1_024 * 1_024;

/// Bytes of a memtable, of which there are up to five: what a node has that is not one of many on a machine.
const MEMTABLE_BYTES: u64 = 32 * 1_024 * 1_024;

/// Share of the cache that counts as full: what is put in next pushes something out.
const FULL: f64 = 0.97;

/// Requests under way.
const ASKERS: u64 = 64;

/// Longest time until the cache is full.
const GETS_MAX: Duration = Duration::from_secs(300);

/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);

/// After the last request, until compactions are over and the allocator has returned what it will.
const SETTLE: Duration = Duration::from_secs(10);

const NAME: &str = "memory";

pub(crate) async fn measure(arguments: &RunArguments) -> Result<(), Failure> {
    let planned =
        (topology::of(&[Dc { name: "eu", nodes: 1, replication_factor: 1 }], ""), Wan::None);
    let settings = format!(
        "durability = \"periodic\"\ncache_bytes = {CACHE_BYTES}\nmemtable_bytes_max = {MEMTABLE_BYTES}"
    );
    let cluster = arguments.start(NAME, planned, &settings).await?;
    let measured = measure_node(arguments, &cluster).await;
    arguments.end(NAME, cluster).await?;
    measured
}

async fn measure_node(arguments: &RunArguments, cluster: &DevCluster) -> Result<(), Failure> {
    let (client, pid) = (cluster.client().await?, cluster.pid("eu-1")?);
    println!(
        "memory: one node, {} records with values of {} bytes, cache of {} MiB, memtables of {} MiB",
        arguments.records,
        arguments.value_bytes,
        CACHE_BYTES >> 20,
        MEMTABLE_BYTES >> 20
    );
    resident::print_head();
    Resident::of(pid)?.print("started");
    let gets = Loop {
        asked: Asked::Get,
        level: Level::One,
        askers: ASKERS,
        keys: arguments.records,
        value_bytes: arguments.value_bytes,
        span: GETS_MAX,
    };
    let began = Instant::now();
    let mut askers = AtollAsker::deal(std::slice::from_ref(&client), ASKERS);
    gets.fill(&mut askers).await?;
    let took = began.elapsed().as_secs_f64();
    Resident::of(pid)?.print("loaded");
    pause(SETTLE).await;
    Resident::of(pid)?.print("rested");
    let (most, share) = get_until_full(&gets, (askers, &client), pid).await?;
    pause(SETTLE).await;
    let rested = Resident::of(pid)?;
    rested.print("rested with a full cache");
    println!("loaded in {took:.0} s; the cache holds {:.1} % of its bytes", 100.0 * share);
    let mib = |kib: f64| kib / 1_024.0;
    verdict::report("VmRSS with a full cache, while asked", mib(most.rss_kib), (MIB_MAX, "MiB"));
    verdict::report("Pss with a full cache, rested", mib(rested.pss_kib), (MIB_MAX, "MiB"));
    verdict::report("VmHWM of the whole run", mib(rested.peak_kib), (MIB_MAX, "MiB"));
    Ok(())
}

/// Gets until the cache is full and a while longer; the most memory that was seen then, and how full it is.
async fn get_until_full(
    gets: &Loop,
    (mut askers, client): (Vec<AtollAsker>, &Client),
    pid: Pid,
) -> Result<(Resident, f64), Failure> {
    let lap = gets.clone();
    let asking = tokio::spawn(async move { lap.run(&mut askers).await.map(drop) });
    let began = Instant::now();
    let outcome = loop {
        pause(LOOK).await;
        let share = cache_share(client).await?;
        if share >= FULL {
            Resident::of(pid)?.print("cache just full");
            break Ok(share);
        }
        if began.elapsed() > GETS_MAX || asking.is_finished() {
            break Err(format!("the cache is not full: {share:.3} of it"));
        }
    };
    let mut most = Resident::of(pid)?;
    for _ in 0..10 {
        pause(LOOK).await;
        let now = Resident::of(pid)?;
        if now.rss_kib > most.rss_kib {
            most = now;
        }
    }
    most.print("the most in 20 s of gets after");
    asking.abort();
    Ok((most, outcome?))
}

/// Bytes in the cache, of those that it may hold.
async fn cache_share(client: &Client) -> Result<f64, Failure> {
    let reports = client.storage().await?;
    let report = reports.first().ok_or("no report")?;
    let status = report.told.as_ref().map_err(String::as_str)?;
    Ok(status.cache_bytes as f64 / CACHE_BYTES as f64)
}
