//! The cluster under test: `atoll dev` in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use atoll_client::{Client, ProfileFile, Role};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::Failure;
use crate::load::pause;

/// Longest wait for the nodes to start.
const START_MAX: Duration = Duration::from_secs(60);

/// A running `atoll dev`; dropping it kills it, and with it all nodes.
pub(crate) struct DevCluster {
    atoll: PathBuf,
    dir: PathBuf,
    process: Child,
}

impl DevCluster {
    /// Starts a cluster in `dir`, which must not exist.
    pub(crate) async fn start(atoll: &Path, topology: &str, dir: &Path) -> Result<Self, Failure> {
        if dir.exists() {
            return Err(format!("{} exists; remove it, or name another", dir.display()).into());
        }
        let process = Command::new(atoll)
            .args(["dev", "--topology", topology, "--wan", "--dir"])
            .arg(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let cluster = Self { atoll: atoll.to_owned(), dir: dir.to_owned(), process };
        let since = Instant::now();
        while let Err(error) = cluster.all_up().await {
            if since.elapsed() > START_MAX {
                return Err(format!("the cluster does not start: {error}").into());
            }
            pause(Duration::from_millis(300)).await;
        }
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
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        let profile = ProfileFile::load(&self.profile())?;
        Ok(Client::from_profile(&profile, Role::Client)?.connect().await?)
    }

    /// `atoll dev kill|start NODES`.
    pub(crate) async fn steer(&self, verb: &str, nodes: &str) -> Result<(), Failure> {
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
    pub(crate) async fn slow_down(&self, node: &str, span: Duration) -> Result<(), Failure> {
        let roster = std::fs::read_to_string(self.dir.join("nodes.json"))?;
        let roster: serde_json::Value = serde_json::from_str(&roster)?;
        let entry = roster.as_array().and_then(|all| all.iter().find(|of| of["id"] == node));
        let pid = entry.and_then(|of| of["pid"].as_i64()).ok_or("the node does not run")?;
        let pid = Pid::from_raw(i32::try_from(pid)?).ok_or("no such process")?;
        let since = Instant::now();
        while since.elapsed() < span {
            kill_process(pid, Signal::STOP)?;
            pause(Duration::from_millis(99)).await;
            kill_process(pid, Signal::CONT)?;
            pause(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// Ends it.
    pub(crate) async fn stop(&mut self) -> Result<(), Failure> {
        self.process.kill().await?;
        Ok(())
    }
}
