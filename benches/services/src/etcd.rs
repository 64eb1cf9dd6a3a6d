//! A cluster of etcd: three processes on loopback, with the settings that etcd has by itself, and who asks it.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rig::{Asked, Asker, Failure, Loop, key, pause};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::rpc::{Connection, Standing};

const MEMBERS: usize = 3;

/// Longest wait for a leader.
const START_MAX: Duration = Duration::from_secs(60);

/// Longest wait for a process to end by itself.
const STOP_MAX: Duration = Duration::from_secs(10);

/// A running cluster; dropping it kills its processes.
pub(crate) struct EtcdCluster {
    members: Vec<Member>,
}

struct Member {
    process: Child,
    /// Where clients connect.
    url: String,
}

/// Asks etcd over one of the connections.
pub(crate) struct EtcdAsker {
    connection: Connection,
}

/// Connections of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) ends: Ends,
    /// To each of them.
    pub(crate) connections: usize,
}

/// Who is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    Leader,
    All,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends = match self.ends {
            Ends::Leader => "leader",
            Ends::All => "each",
        };
        write!(f, "{ends} x {}", self.connections)
    }
}

/// The version that `etcd` says it has; `None` when there is no such program.
pub(crate) async fn version(etcd: &OsStr) -> Result<Option<String>, Failure> {
    let said = match Command::new(etcd).arg("--version").output().await {
        Ok(said) => String::from_utf8_lossy(&said.stdout).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let number = said.lines().find_map(|line| line.strip_prefix("etcd Version: "));
    Ok(Some(number.ok_or("it does not answer as etcd does")?.to_owned()))
}

impl EtcdCluster {
    /// Starts one, with its data in `dir`, which must not exist.
    pub(crate) async fn start(etcd: &OsStr, dir: &Path) -> Result<Self, Failure> {
        std::fs::create_dir(dir)?;
        let urls = free_urls().await?;
        let (peers, clients) = urls.split_at(MEMBERS);
        let named = peers.iter().enumerate();
        let all: Vec<_> = named.map(|(number, url)| format!("etcd-{number}={url}")).collect();
        let all = all.join(",");
        let mut members = Vec::new();
        for (number, (peer, url)) in peers.iter().zip(clients).enumerate() {
            let name = format!("etcd-{number}");
            let process = Command::new(etcd)
                .args(["--name", &name, "--initial-cluster", &all])
                .args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer])
                .args(["--listen-client-urls", url, "--advertise-client-urls", url])
                .arg("--data-dir")
                .arg(dir.join(&name))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(dir.join(format!("{name}.log")))?)
                .kill_on_drop(true)
                .spawn()?;
            members.push(Member { process, url: url.clone() });
        }
        let mut cluster = Self { members };
        cluster.wait_until_led(dir).await?;
        Ok(cluster)
    }

    async fn wait_until_led(&mut self, dir: &Path) -> Result<(), Failure> {
        let since = Instant::now();
        loop {
            for member in &mut self.members {
                if let Some(status) = member.process.try_wait()? {
                    return Err(format!("etcd ended: {status}; see {}", dir.display()).into());
                }
            }
            match self.standings().await {
                Ok(all) if !all.contains(&Standing::Alone) => return Ok(()),
                Ok(_) | Err(_) if since.elapsed() < START_MAX => {
                    pause(Duration::from_millis(300)).await;
                }
                Ok(_) => return Err("etcd finds no leader".into()),
                Err(error) => return Err(format!("etcd does not start: {error}").into()),
            }
        }
    }

    /// Of every member.
    async fn standings(&self) -> Result<Vec<Standing>, Failure> {
        let mut standings = Vec::new();
        for member in &self.members {
            standings.push(Connection::open(&member.url).await?.standing().await?);
        }
        Ok(standings)
    }

    /// So many askers, dealt to connections of this shape, which are opened for them.
    pub(crate) async fn deal(&self, shape: Shape, askers: u64) -> Result<Vec<EtcdAsker>, Failure> {
        let standings = self.standings().await?;
        let ends = self.members.iter().zip(standings).filter(|(_, standing)| match shape.ends {
            Ends::Leader => *standing == Standing::Leader,
            Ends::All => true,
        });
        let urls: Vec<_> = ends.map(|(member, _)| &member.url).collect();
        let mut connections = Vec::new();
        for _ in 0..shape.connections {
            for url in &urls {
                connections.push(Connection::open(url).await?);
            }
        }
        let dealt = (0..askers).zip(connections.iter().cycle());
        Ok(dealt.map(|(_, of)| EtcdAsker { connection: of.clone() }).collect())
    }

    /// Its processes.
    pub(crate) fn pids(&self) -> Result<Vec<Pid>, Failure> {
        let pid = |member: &Member| Pid::from_raw(i32::try_from(member.process.id()?).ok()?);
        let pids: Option<Vec<_>> = self.members.iter().map(pid).collect();
        Ok(pids.ok_or("a member of etcd has ended")?)
    }

    /// Ends it; its processes have ended by then.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        for pid in self.pids()? {
            kill_process(pid, Signal::TERM)?;
        }
        for member in &mut self.members {
            if timeout(STOP_MAX, member.process.wait()).await.is_err() {
                member.process.kill().await?;
            }
        }
        Ok(())
    }
}

/// On loopback, for peers and for clients of every member. They are free now; all are held at once, so that they differ.
async fn free_urls() -> Result<Vec<String>, Failure> {
    let mut held = Vec::new();
    for _ in 0..2 * MEMBERS {
        held.push(TcpListener::bind("127.0.0.1:0").await?);
    }
    held.iter().map(|listener| Ok(format!("http://{}", listener.local_addr()?))).collect()
}

impl Asker for EtcdAsker {
    async fn ask(&mut self, lap: &Loop, number: u64) -> Result<(), Failure> {
        match lap.asked {
            Asked::Put => self.connection.put(key(number), vec![b'x'; lap.value_bytes]).await,
            Asked::Get => match self.connection.get(key(number)).await? {
                Some(_) => Ok(()),
                None => Err("a key that was written has no value".into()),
            },
        }
    }
}
