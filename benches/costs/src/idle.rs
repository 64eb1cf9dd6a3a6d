//! Resident memory that idle clients add to a node. Clients are in processes of their own: theirs does not count.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use atoll_client::{Client, ProfileFile, Role};
use rig::{DevCluster, Failure, Wan, pause};
use rustix::process::Pid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::resident::{self, Resident};
use crate::topology::{self, Dc};
use crate::{RunArguments, verdict};

/// Target: memory of a client.
const KIB_MAX: f64 = 64.0;

/// Clients of one process: each has a socket, and a process may have 1 024 files.
const CLIENTS_PER_PROCESS: usize = 250;

/// Clients that one process connects at once.
const CONNECTING_MAX: usize = 16;

/// Until what handshakes and requests took is returned.
const SETTLE: Duration = Duration::from_secs(5);

/// Sixty keep-alives, and two looks at the cluster.
const IDLE: Duration = Duration::from_secs(60);

const NAME: &str = "idle";

/// A process with clients.
struct Crowd {
    process: Child,
    said: Lines<BufReader<ChildStdout>>,
}

pub(crate) async fn measure(arguments: &RunArguments) -> Result<(), Failure> {
    let planned =
        (topology::of(&[Dc { name: "eu", nodes: 1, replication_factor: 1 }], ""), Wan::None);
    let cluster = arguments.start(NAME, planned, "durability = \"periodic\"").await?;
    let profile = arguments.folder(NAME).join("client.toml");
    let measured = measure_node(arguments, &cluster, &profile).await;
    arguments.end(NAME, cluster).await?;
    measured
}

async fn measure_node(
    arguments: &RunArguments,
    cluster: &DevCluster,
    profile: &Path,
) -> Result<(), Failure> {
    let pid = cluster.pid("eu-1")?;
    let clients = arguments.clients;
    println!("idle: one node, {clients} clients with a connection each");
    resident::print_head();
    cluster.client().await?.keyspace("default").put("key", "value").await?;
    pause(SETTLE).await;
    let before = Resident::of(pid)?;
    before.print("before");
    let mut crowds = Vec::new();
    let mut left = clients;
    while left > 0 {
        let some = left.min(CLIENTS_PER_PROCESS);
        crowds.push(Crowd::start(profile, some).await?);
        left -= some;
    }
    look(pid, "connected").await?;
    for (word, when) in [("once", "asked once each"), ("often", "asked a hundred times each")] {
        for crowd in &mut crowds {
            crowd.tell(word).await?;
        }
        look(pid, when).await?;
        pause(IDLE).await;
        let idle = look(pid, "idle for a minute").await?;
        let each = (idle.rss_kib - before.rss_kib) / clients as f64;
        verdict::report(&format!("VmRSS per client, {when}"), each, (KIB_MAX, "KiB"));
    }
    for crowd in crowds {
        crowd.end().await?;
    }
    look(pid, "all gone").await?;
    Ok(())
}

async fn look(pid: Pid, when: &str) -> Result<Resident, Failure> {
    pause(SETTLE).await;
    let now = Resident::of(pid)?;
    now.print(when);
    Ok(now)
}

impl Crowd {
    /// Starts one; its clients are connected.
    async fn start(profile: &Path, count: usize) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("clients")
            .arg(profile)
            .arg(count.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take().ok_or("no standard output")?;
        let mut crowd = Self { process, said: BufReader::new(output).lines() };
        crowd.wait().await?;
        Ok(crowd)
    }

    /// Has it do something, and waits until it is done.
    async fn tell(&mut self, word: &str) -> Result<(), Failure> {
        let input = self.process.stdin.as_mut().ok_or("no standard input")?;
        input.write_all(format!("{word}\n").as_bytes()).await?;
        self.wait().await
    }

    async fn wait(&mut self) -> Result<(), Failure> {
        self.said.next_line().await?.ok_or("the clients have ended")?;
        Ok(())
    }

    async fn end(mut self) -> Result<(), Failure> {
        drop(self.process.stdin.take());
        self.process.wait().await?;
        Ok(())
    }
}

/// The process: connects `count` clients, says so, and does what its standard input says until that ends.
pub(crate) async fn be_clients(profile: &Path, count: usize) -> Result<(), Failure> {
    let profile = ProfileFile::load(profile)?;
    let mut clients = Vec::new();
    while clients.len() < count {
        let some: Vec<_> = (clients.len()..count)
            .take(CONNECTING_MAX)
            .map(|_| Ok(tokio::spawn(Client::from_profile(&profile, Role::Client)?.connect())))
            .collect::<Result<_, Failure>>()?;
        for client in some {
            clients.push(client.await??);
        }
    }
    let mut output = tokio::io::stdout();
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    loop {
        output.write_all(b"done\n").await?;
        output.flush().await?;
        let times = match input.next_line().await?.as_deref() {
            Some("once") => 1,
            Some(_) => 100,
            None => return Ok(()),
        };
        for client in &clients {
            for _ in 0..times {
                client.keyspace("default").get("key").await?;
            }
        }
    }
}
