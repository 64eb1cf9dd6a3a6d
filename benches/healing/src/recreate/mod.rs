//! Deletes and recreates keys while nodes die, freeze and lose their links: nothing that was deleted comes back.
//!
//! 1. Clients with keys of their own put, get, delete and get (`rounds.rs`), and know what may be seen (`truth.rs`).
//! 2. Meanwhile something breaks and is mended, over and over (`faults.rs`); in between deletions are purged.
//! 3. In the end everything is mended, hints are delivered, deletions are purged. Every replica then holds exactly what was put
//!    last and not deleted; the same after everything has been compared once more (`end.rs`).

mod end;
mod faults;
mod prng;
mod rounds;
mod truth;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use atoll_client::{Client, Level, ReplicaState};
use clap::Args;

use crate::until;
use faults::Injected;
use prng::Prng;
use rig::Failure;
use rig::pause;
use rig::{DevCluster, Wan};
use rounds::{Owned, Tally, Worker};

/// Between two looks at what was purged; a node that is killed takes with it what it purged since.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// How much is done.
#[derive(Clone, Debug, Args)]
pub(crate) struct Recreation {
    /// Rounds of all clients together
    #[arg(long, default_value_t = 10_000)]
    rounds: usize,
    /// Clients
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// Keys that each client has for itself
    #[arg(long, default_value_t = 20)]
    keys_each: usize,
    /// Decides about faults and levels
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rounds per second of all clients together, at most: a key has to rest to be purged before it is recreated
    #[arg(long, default_value_t = 50)]
    rounds_per_second: u32,
    /// The cluster
    #[arg(long, default_value = "topology/two-dcs.toml")]
    topology: PathBuf,
    /// Its partitions, whatever the topology says: a node that has started looks through all of them before it purges
    #[arg(long, default_value_t = 16)]
    partitions: u32,
    /// Emulate the round-trip times between the topology's datacenters: both rounds and purges take longer
    #[arg(long)]
    wan: bool,
    /// `repair.purge_after`
    #[arg(long, default_value = "1s")]
    purge_after: String,
    /// `repair.cycle`
    #[arg(long, default_value = "5s")]
    repair_cycle: String,
    /// Longest time for the rounds, in seconds
    #[arg(long, default_value_t = 1_800)]
    seconds_max: u64,
}

impl Recreation {
    /// Writes the topology as it is wanted beside `dir`; its path.
    pub(crate) fn write_topology(&self, dir: &Path) -> Result<PathBuf, Failure> {
        let usual = std::fs::read_to_string(&self.topology)?;
        let wanted = format!("partitions = {}", self.partitions);
        let is_it = |line: &&str| line.starts_with("partitions = ");
        let line =
            usual.lines().find(is_it).ok_or("the topology does not say how many partitions")?;
        let path = dir.with_extension("topology.toml");
        std::fs::write(&path, usual.replace(line, &wanted))?;
        Ok(path)
    }

    /// How far datacenters are apart.
    pub(crate) fn wan(&self) -> Wan {
        if self.wan { Wan::Emulated } else { Wan::None }
    }
}

/// Keys purged, by node: by its earlier processes, and by the present one.
type Purged = BTreeMap<String, (u64, u64)>;

/// Runs it.
pub(crate) async fn run(asked: &Recreation, cluster: &DevCluster) -> Result<(), Failure> {
    if [asked.clients, asked.keys_each].contains(&0) || asked.rounds_per_second == 0 {
        return Err("at least one client with one key and one round per second is needed".into());
    }
    println!("seed {}", asked.seed);
    let Recreation { purge_after, repair_cycle, .. } = asked;
    let settings = format!("cycle = \"{repair_cycle}\"\npurge_after = \"{purge_after}\"");
    cluster.configure("repair", &settings).await?;
    let client = cluster.client().await?;
    warm_up(&client).await?;
    let (began, tally) = (Instant::now(), Arc::new(Tally::default()));
    let stopped = AtomicBool::new(false);
    let sampled = AtomicBool::new(false);
    let whole = async {
        let working = async {
            let keys = work(asked, cluster, &tally).await;
            stopped.store(true, Ordering::Relaxed);
            keys
        };
        let breaking = faults::run(cluster, Prng::new(asked.seed), (began, &stopped));
        let (keys, injected) = tokio::join!(working, breaking);
        let took = began.elapsed();
        let ended = match &keys {
            Ok(keys) => end::check(cluster, &client, (keys, &tally)).await,
            Err(_) => Ok(()),
        };
        sampled.store(true, Ordering::Relaxed);
        (keys, injected, ended, took)
    };
    let ((keys, injected, ended, took), purged) =
        tokio::join!(whole, sample_purged(&client, &sampled));
    report(&tally, injected.as_ref().ok(), &purged);
    println!(
        "{:.0} s until the last fault was mended, {:.0} s in all",
        took.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
    keys?;
    injected?;
    ended?;
    match tally.breaches() {
        0 => Ok(()),
        breaches => Err(format!("{breaches} times a promise was not kept").into()),
    }
}

/// Waits until a deletion is purged: a node that has started looks through everything before.
async fn warm_up(client: &Client) -> Result<(), Failure> {
    let (since, keyspace) = (Instant::now(), client.keyspace("default"));
    let written = keyspace.put("warm-up", "value").level(Level::All).await?;
    keyspace.delete("warm-up").after(written.context()).level(Level::All).await?;
    until(since, || async {
        let Ok(explained) = client.explain("default", "warm-up").await else { return Ok(false) };
        let mut replicas = explained.replicas.iter();
        Ok(replicas.all(|replica| matches!(replica.state, ReplicaState::Absent)))
    })
    .await?;
    println!("the first deletion is purged after {:.1} s", since.elapsed().as_secs_f64());
    Ok(())
}

/// All clients, which take turns at datacenters; returns what they know in the end.
async fn work(
    asked: &Recreation,
    cluster: &DevCluster,
    tally: &Arc<Tally>,
) -> Result<Vec<Owned>, Failure> {
    let mut dcs: Vec<String> = cluster.seats()?.into_iter().map(|seat| seat.dc).collect();
    dcs.dedup();
    let mut clients = Vec::new();
    for dc in &dcs {
        clients.push(cluster.client_in(dc).await?);
    }
    let mut workers = Vec::new();
    for number in 0..asked.clients {
        let keys = (0..asked.keys_each).map(|key| Owned::new(format!("key-{number}-{key}")));
        let worker = Worker {
            keyspace: clients[number % clients.len()].keyspace("default"),
            keys: keys.collect(),
            prng: Prng::new(asked.seed ^ (number as u64 + 1) << 32),
            tally: Arc::clone(tally),
            spacing: Duration::from_secs(1) * u32::try_from(asked.clients)?
                / asked.rounds_per_second,
        };
        let rounds =
            asked.rounds / asked.clients + usize::from(number < asked.rounds % asked.clients);
        workers.push(tokio::spawn(worker.run(rounds)));
    }
    let mut keys = Vec::new();
    let collect = async {
        for worker in &mut workers {
            keys.extend(worker.await??);
        }
        Ok::<_, Failure>(())
    };
    let limit = Duration::from_secs(asked.seconds_max);
    let outcome = tokio::time::timeout(limit, collect).await;
    for worker in workers {
        worker.abort();
    }
    outcome.map_err(|_| format!("the rounds took longer than {limit:?}"))??;
    Ok(keys)
}

/// Counts what is purged, until `stopped`.
async fn sample_purged(client: &Client, stopped: &AtomicBool) -> Purged {
    let mut purged = Purged::new();
    loop {
        let is_last = stopped.load(Ordering::Relaxed);
        for report in client.tombstones().await.unwrap_or_default() {
            let Ok(status) = &report.told else { continue };
            let (earlier, present) = purged.entry(report.node.to_string()).or_default();
            if status.purged < *present {
                *earlier += *present;
            }
            *present = status.purged;
        }
        if is_last {
            return purged;
        }
        pause(SAMPLE_EVERY).await;
    }
}

fn report(tally: &Tally, injected: Option<&Injected>, purged: &Purged) {
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let faults = injected.cloned().unwrap_or_default();
    let kinds: Vec<String> = faults.iter().map(|(name, times)| format!("{name} {times}")).collect();
    let keys_purged: u64 = purged.values().map(|(earlier, present)| earlier + present).sum();
    println!("rounds            {}", of(&tally.rounds));
    println!("puts              {}, outcome unknown {}", of(&tally.puts), of(&tally.puts_unknown));
    let unknown = of(&tally.deletes_unknown);
    println!("deletes           {}, attempts of unknown outcome {unknown}", of(&tally.deletes));
    println!(
        "gets              {}, stale after a local delete {}",
        of(&tally.gets),
        of(&tally.stale)
    );
    println!("attempts repeated {}", of(&tally.refused));
    println!("faults            {} ({})", faults.values().sum::<u32>(), kinds.join(", "));
    println!("keys purged       {keys_purged}, as far as known");
    println!("resurrections     {}", of(&tally.resurrections));
    println!("lost, invented    {}, {}", of(&tally.losses), of(&tally.inventions));
}
