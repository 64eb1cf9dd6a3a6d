//! The cluster under test: `atoll dev` in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use atoll_client::{Client, ProfileFile, Role};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::{Failure, pause};

/// Longest wait for the nodes to start.
const START_MAX: Duration = Duration::from_secs(60);

/// `[storage]` settings of a node that says nothing of them; those of `atoll dev` have less, because there are many of them.
pub const NODE_MEMORY: &str = "memtable_bytes_max = 33554432\ncache_bytes = 268435456";

/// A running `atoll dev`; dropping it kills it, and with it all nodes.
pub struct DevCluster {
    atoll: PathBuf,
    dir: PathBuf,
    process: Child,
}

/// How far datacenters are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wan {
    /// As far as the topology says.
    Emulated,
    /// They are all here.
    None,
}

impl Wan {
    fn flag(self) -> Option<&'static str> {
        (self == Self::Emulated).then_some("--wan")
    }
}

/// A node and where it belongs.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Its name.
    pub id: String,
    /// Its datacenter.
    pub dc: String,
}

impl DevCluster {
    /// Starts a cluster in `dir`, which must not exist.
    pub async fn start(
        atoll: &Path,
        (topology, wan): (&Path, Wan),
        dir: &Path,
    ) -> Result<Self, Failure> {
        if dir.exists() {
            return Err(format!("{} exists; remove it, or name another", dir.display()).into());
        }
        let process = Command::new(atoll)
            .args(["dev", "--dir"])
            .arg(dir)
            .arg("--topology")
            .arg(topology)
            .args(wan.flag())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let cluster = Self { atoll: atoll.to_owned(), dir: dir.to_owned(), process };
        cluster.wait_until_up().await?;
        Ok(cluster)
    }

    async fn all_up(&self) -> Result<(), Failure> {
        let checked = Command::new(&self.atoll)
            .args(["status", "--check", "--profile"])
            .arg(self.profile())
            .output()
            .await?;
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        if checked.status.success() { Ok(()) } else { Err(said.into()) }
    }

    fn profile(&self) -> PathBuf {
        self.dir.join("client.toml")
    }

    /// A client of the profile's datacenter.
    pub async fn client(&self) -> Result<Client, Failure> {
        let profile = ProfileFile::load(&self.profile())?;
        Ok(Client::from_profile(&profile, Role::Client)?.connect().await?)
    }

    /// A client of `dc`.
    pub async fn client_in(&self, dc: &str) -> Result<Client, Failure> {
        let profile = ProfileFile::load(&self.profile())?;
        Ok(Client::from_profile(&profile, Role::Client)?.dc(dc).connect().await?)
    }

    /// An admin.
    pub async fn admin(&self) -> Result<Client, Failure> {
        let profile = ProfileFile::load(&self.profile())?;
        Ok(Client::from_profile(&profile, Role::Admin)?.connect().await?)
    }

    /// Gives every node these settings in `[section]`, with which it is started again.
    pub async fn configure(&self, section: &str, settings: &str) -> Result<(), Failure> {
        let (header, seats) = (format!("[{section}]\n"), self.seats()?);
        for Seat { id, .. } in &seats {
            self.steer("stop", id).await?;
            let path = self.dir.join("nodes").join(id).join("atoll.toml");
            let config = std::fs::read_to_string(&path)?;
            if !config.contains(&header) {
                return Err(format!("{} has no [{section}]", path.display()).into());
            }
            std::fs::write(&path, with_settings(&config, &header, settings))?;
        }
        for Seat { id, .. } in &seats {
            self.steer("start", id).await?;
        }
        self.wait_until_up().await
    }

    /// Waits until all nodes serve.
    pub async fn wait_until_up(&self) -> Result<(), Failure> {
        let since = Instant::now();
        while let Err(error) = self.all_up().await {
            if since.elapsed() > START_MAX {
                return Err(format!("the cluster does not start: {error}").into());
            }
            pause(Duration::from_millis(300)).await;
        }
        Ok(())
    }

    /// `atoll dev kill|start NODES`.
    pub async fn steer(&self, verb: &str, nodes: &str) -> Result<(), Failure> {
        let steered = Command::new(&self.atoll)
            .args(["dev", verb, nodes, "--dir"])
            .arg(&self.dir)
            .output()
            .await?;
        if steered.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&steered.stderr).into_owned().into())
    }

    /// For `span`, lets the process of `node` run for one millisecond in a hundred.
    pub async fn slow_down(&self, node: &str, span: Duration) -> Result<(), Failure> {
        let pid = self.pid(node)?;
        let since = Instant::now();
        while since.elapsed() < span {
            kill_process(pid, Signal::STOP)?;
            pause(Duration::from_millis(99)).await;
            kill_process(pid, Signal::CONT)?;
            pause(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// `atoll fault WORDS`; whether every node took it.
    pub async fn fault(&self, words: &[&str]) -> Result<bool, Failure> {
        let told = Command::new(&self.atoll)
            .arg("fault")
            .args(words)
            .args(["-o", "json", "--profile"])
            .arg(self.profile())
            .output()
            .await?;
        if !told.status.success() {
            return Err(String::from_utf8_lossy(&told.stderr).into_owned().into());
        }
        let reports: Value = serde_json::from_slice(&told.stdout)?;
        let reports = reports.as_array().ok_or("no list of reports")?;
        Ok(reports.iter().all(|report| report["skipped"].is_null()))
    }

    /// Its nodes, in the order of the topology.
    pub fn seats(&self) -> Result<Vec<Seat>, Failure> {
        let text = |node: &Value, member| node[member].as_str().unwrap_or_default().to_owned();
        let seat = |node: &Value| Seat { id: text(node, "id"), dc: text(node, "dc") };
        Ok(self.roster()?.iter().map(seat).collect())
    }

    /// The process of `node`.
    pub fn pid(&self, node: &str) -> Result<Pid, Failure> {
        let roster = self.roster()?;
        let entry = roster.iter().find(|of| of["id"] == node);
        let pid = entry.and_then(|of| of["pid"].as_i64()).ok_or("the node does not run")?;
        Ok(Pid::from_raw(i32::try_from(pid)?).ok_or("no such process")?)
    }

    fn roster(&self) -> Result<Vec<Value>, Failure> {
        let roster = std::fs::read_to_string(self.dir.join("nodes.json"))?;
        Ok(serde_json::from_str(&roster)?)
    }

    /// Ends it; its nodes have ended by then, and leave its folder alone.
    pub async fn stop(&mut self) -> Result<(), Failure> {
        let pid = self.process.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM)?;
        }
        self.process.wait().await?;
        Ok(())
    }
}

/// `config` with `settings` under `header`, in place of those with the same names.
fn with_settings(config: &str, header: &str, settings: &str) -> String {
    let name = |line: &str| line.split_once('=').map(|(name, _)| name.trim().to_owned());
    let given: Vec<_> = settings.lines().filter_map(name).collect();
    let (mut told, mut is_within) = (String::new(), false);
    for line in config.lines() {
        if line.starts_with('[') {
            is_within = line == header.trim_end();
        }
        if !is_within || name(line).is_none_or(|name| !given.contains(&name)) {
            told.push_str(line);
            told.push('\n');
        }
        if line == header.trim_end() {
            told.push_str(settings);
            told.push('\n');
        }
    }
    told
}
