//! P1 and P11 under kill -9: an acknowledged write is there afterwards, and one of which it was said that nothing was
//! written is not.
//!
//! Many writers put while a nemesis kills and restarts nodes. Most keys are written once. Each writer also has a chain:
//! one key that it writes again and again with the context of its last acknowledged write.
//!
//! Checked afterwards, at QUORUM
//! - An acknowledged key has exactly its value; an unknown one has it or nothing; a refused one has nothing.
//! - A chain shows its last acknowledged write, or later ones that covered it, and none that was covered or refused.
//!
//! `ATOLL_KILL_PUTS` (acknowledged puts, default 2 000) and `ATOLL_KILL_SEED` steer it; the seed is printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atoll_client::{Context, Error, Keyspace, Level, Versions};
use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::harness::{Cluster, Seats, until};

/// Connections' worth of clients, and writers that share them.
const CLIENTS: usize = 4;
const WRITERS: usize = 24;

/// One put in so many goes to the writer's chain.
const CHAIN_EVERY: usize = 8;

/// Kills during one run.
const KILLS: usize = 10;

/// Time that a request may take; a writer whose coordinator was killed waits this long.
const DEADLINE: Duration = Duration::from_secs(2);

/// What became of one put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Acked,
    Unknown,
    Refused,
}

/// One put on a chain.
#[derive(Clone, Copy, Debug)]
struct Link {
    end: End,
    /// Position of the acknowledged put whose context it carried.
    after: Option<usize>,
}

/// What one writer did.
#[derive(Debug, Default)]
struct Journal {
    writer: usize,
    singles: Vec<End>,
    chain: Vec<Link>,
}

/// How many puts the writers may make, and how many were acknowledged.
#[derive(Debug)]
struct Pace {
    /// One permit stands for one acknowledged put; closed when it is enough.
    permits: Semaphore,
    acked: AtomicUsize,
}

impl Pace {
    fn acked(&self) -> usize {
        self.acked.load(Ordering::Relaxed)
    }

    /// Allows `more` puts.
    fn allow(&self, more: usize) {
        self.permits.add_permits(more);
    }

    /// Waits until `goal` puts were acknowledged.
    async fn reaches(&self, goal: usize) {
        until(&format!("{goal} puts are acknowledged"), async || {
            let acked = self.acked();
            if acked >= goal { Ok(()) } else { Err(format!("{acked} are")) }
        })
        .await;
    }
}

/// The writers at work.
struct Writers {
    pace: Arc<Pace>,
    tasks: JoinSet<Journal>,
}

impl Writers {
    async fn start(cluster: &Cluster) -> Self {
        let pace = Arc::new(Pace { permits: Semaphore::new(0), acked: AtomicUsize::new(0) });
        let (mut clients, mut tasks) = (Vec::new(), JoinSet::new());
        for _ in 0..CLIENTS {
            clients.push(cluster.client().await);
        }
        for writer in 0..WRITERS {
            let keyspace = clients[writer % CLIENTS].keyspace("default");
            tasks.spawn(write(keyspace, Arc::clone(&pace), writer));
        }
        Self { pace, tasks }
    }

    /// Waits until `goal` puts were acknowledged, then for every writer's end.
    async fn finish(self, goal: usize) -> Vec<Journal> {
        self.pace.reaches(goal).await;
        self.pace.permits.close();
        self.tasks.join_all().await
    }
}

/// Puts until it is enough. What is not acknowledged does not count: another put takes its place.
async fn write(keyspace: Keyspace, pace: Arc<Pace>, writer: usize) -> Journal {
    let mut journal = Journal { writer, ..Journal::default() };
    let mut last: Option<(usize, Context)> = None;
    let mut is_paid = false;
    for turn in 1.. {
        if !is_paid {
            let Ok(permit) = pace.permits.acquire().await else { break };
            permit.forget();
            is_paid = true;
        }
        let is_chain = turn % CHAIN_EVERY == 0;
        let number = if is_chain { journal.chain.len() } else { journal.singles.len() };
        let key = if is_chain { chain_key(writer) } else { single_key(writer, number) };
        let mut put = keyspace.put(key, number.to_string()).level(Level::Quorum).deadline(DEADLINE);
        let after = last.as_ref().filter(|_| is_chain);
        if let Some((_, context)) = after {
            put = put.after(context);
        }
        let after = after.map(|(position, _)| *position);
        let ended = put.await;
        let end = classify(ended.as_ref().err());
        match ended {
            Ok(written) if is_chain => last = Some((number, written.context().clone())),
            Ok(_) | Err(_) => {}
        }
        if end == End::Acked {
            pace.acked.fetch_add(1, Ordering::Relaxed);
            is_paid = false;
        }
        match is_chain {
            true => journal.chain.push(Link { end, after }),
            false => journal.singles.push(end),
        }
    }
    journal
}

fn classify(error: Option<&Error>) -> End {
    match error {
        None => End::Acked,
        Some(error) if error.may_have_applied() => End::Unknown,
        Some(_) => End::Refused,
    }
}

fn single_key(writer: usize, number: usize) -> String {
    format!("single-{writer}-{number}")
}

fn chain_key(writer: usize) -> String {
    format!("chain-{writer}")
}

/// Reads every key at QUORUM and holds it against the journals; prints what was counted.
async fn check(cluster: &Cluster, journals: &[Journal], kills: usize) {
    let client = cluster.client().await;
    let keyspace = client.keyspace("default");
    let singles = journals.iter().flat_map(|journal| {
        let numbered = journal.singles.iter().enumerate();
        numbered.map(|(number, end)| (single_key(journal.writer, number), number, *end))
    });
    let lost: Vec<String> = futures_util::stream::iter(singles)
        .map(|(key, number, end)| {
            let keyspace = &keyspace;
            async move {
                let found = read(keyspace, &key).await;
                let is_right = match end {
                    End::Acked => found == [number],
                    End::Unknown => found.is_empty() || found == [number],
                    End::Refused => found.is_empty(),
                };
                (!is_right).then(|| format!("{key} was {end:?} and has {found:?}"))
            }
        })
        .buffer_unordered(WRITERS)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(lost.is_empty(), "{} key(s) are wrong:\n{}", lost.len(), lost.join("\n"));
    for journal in journals {
        let key = chain_key(journal.writer);
        check_chain(&key, &journal.chain, &read(&keyspace, &key).await);
    }
    let ends = || {
        let singles = journals.iter().flat_map(|journal| &journal.singles);
        singles.copied().chain(journals.iter().flat_map(|j| &j.chain).map(|link| link.end))
    };
    let count = |wanted: End| ends().filter(|end| *end == wanted).count();
    let (acked, unknown, refused) = (count(End::Acked), count(End::Unknown), count(End::Refused));
    eprintln!(
        "{acked} acknowledged, all there; {unknown} unknown, {refused} refused; {kills} kills"
    );
}

fn check_chain(key: &str, chain: &[Link], found: &[usize]) {
    let context = || format!("{key} shows {found:?} of {chain:?}");
    let last = chain.iter().rposition(|link| link.end == End::Acked);
    let Some(last) = last else { return };
    let holds = |position: &usize| *position == last || chain[*position].after == Some(last);
    assert!(found.iter().any(holds), "put {last} was acknowledged and is lost: {}", context());
    for position in found {
        let link = &chain[*position];
        assert_ne!(link.end, End::Refused, "nothing was written, it said: {}", context());
        let is_covered = link.end == End::Acked && *position != last;
        assert!(!is_covered, "put {position} was covered by a later one: {}", context());
    }
}

/// The numbers that a key shows at QUORUM.
async fn read(keyspace: &Keyspace, key: &str) -> Vec<usize> {
    until("a quorum answers", async || {
        let found = keyspace.get(key).level(Level::Quorum).deadline(DEADLINE).await;
        let found: Versions = found.map_err(|error| format!("{key}: {error}"))?;
        let numbers =
            found.values().iter().map(|value| std::str::from_utf8(value.bytes()).unwrap());
        let mut numbers: Vec<usize> = numbers.map(|text| text.parse().unwrap()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    })
    .await
}

/// SplitMix64 (Steele et al., 2014).
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let given = std::env::var("ATOLL_KILL_SEED").ok().map(|text| text.parse().unwrap());
        let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
        eprintln!("ATOLL_KILL_SEED={seed}");
        Self(seed)
    }

    fn draw(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(below).unwrap()).unwrap()
    }
}

fn wanted_puts() -> usize {
    std::env::var("ATOLL_KILL_PUTS").map_or(2_000, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_put_survives_the_killing_of_random_nodes() {
    let mut chance = Chance::new();
    let mut cluster = Cluster::start(Seats::all().await, &[("eu", 3)], &[]).await;
    let writers = Writers::start(&cluster).await;
    let pace = Arc::clone(&writers.pace);
    // A quarter of each round's puts before the kill, one while the node is down, one while it starts, one afterwards;
    // the kill itself comes in the middle of puts that are under way.
    let quarter = wanted_puts().div_ceil(4 * KILLS).max(1);
    let mut goal = 0;
    for _ in 0..KILLS {
        pace.allow(2 * quarter);
        goal += quarter;
        pace.reaches(goal).await;
        let victim = chance.draw(3);
        cluster.kill(victim);
        // The others go on without it. Writers that had asked the victim do not, until their deadline.
        pace.reaches(goal + quarter / 2).await;
        pace.allow(quarter);
        cluster.restart(victim).await;
        cluster.connected().await;
        pace.allow(quarter);
        goal += 3 * quarter;
    }
    let journals = writers.finish(goal).await;
    check(&cluster, &journals, KILLS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_put_survives_the_killing_of_all_nodes_at_once() {
    let mut cluster = Cluster::start(Seats::all().await, &[("eu", 3)], &[]).await;
    let writers = Writers::start(&cluster).await;
    let pace = Arc::clone(&writers.pace);
    let (rounds, puts) = (2, 200);
    for round in 0..rounds {
        pace.allow(puts);
        pace.reaches(round * puts + puts / 2).await;
        for index in 0..3 {
            cluster.kill(index);
        }
        for index in 0..3 {
            cluster.restart(index).await;
        }
        cluster.connected().await;
    }
    let journals = writers.finish(rounds * puts).await;
    check(&cluster, &journals, 3 * rounds).await;
}
