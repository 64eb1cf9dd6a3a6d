//! One `atoll dev` and its nodes.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};

use atoll_client::{Client, ProfileFile, Role};
use atolldb::dev::RosterEntry;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::cluster::{connect, connected};
use super::folder::DEADLINE;
use super::{Cli, Seats, is_running, name, until};

/// Starts that are tried when a port was taken between its choice and its use.
const STARTS_MAX: usize = 5;

/// A running `atoll dev`.
///
/// Dropping it kills the supervisor, at which its nodes see their stdin close and end by themselves.
#[derive(Debug)]
pub(crate) struct DevCluster {
    process: Child,
    root: TempDir,
    _seats: Seats,
}

impl DevCluster {
    /// Starts a cluster of `topology` and waits until it says that it is ready.
    pub(crate) async fn start(seats: Seats, topology: &str, arguments: &[&str]) -> Self {
        let root = TempDir::new().unwrap();
        fs::write(root.path().join("three.toml"), topology).unwrap();
        let process = spawn(&root, arguments);
        let mut cluster = Self { process, root, _seats: seats };
        for _ in 0..STARTS_MAX {
            let Err(output) = cluster.ready().await else {
                cluster.write_profile();
                return cluster;
            };
            assert!(output.contains("in use"), "`atoll dev` ended: {output}");
            fs::remove_dir_all(cluster.dir()).unwrap();
            cluster.process = spawn(&cluster.root, arguments);
        }
        panic!("a port was taken at each of {STARTS_MAX} starts");
    }

    async fn ready(&mut self) -> Result<(), String> {
        until("`atoll dev` is ready or ends", async || {
            let ended = self.process.try_wait().unwrap();
            let output = self.output();
            match ended {
                Some(_) => Ok(Err(output)),
                None if output.contains("\nready: ") => Ok(Ok(())),
                None => Err(output),
            }
        })
        .await
    }

    /// The profile of `atoll dev`, with more patience.
    fn write_profile(&self) {
        let mut profile = ProfileFile::load(&self.dir().join("client.toml")).unwrap();
        profile.deadline = Some(DEADLINE);
        fs::write(self.profile_path(), profile.to_toml()).unwrap();
    }

    fn profile_path(&self) -> PathBuf {
        self.root.path().join("client.toml")
    }

    fn profile(&self) -> ProfileFile {
        ProfileFile::load(&self.profile_path()).unwrap()
    }

    /// The folder that `atoll dev` works in.
    pub(crate) fn dir(&self) -> PathBuf {
        self.root.path().join("dev")
    }

    /// What it printed.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.root.path().join("output")).unwrap_or_default()
    }

    /// `nodes.json`.
    pub(crate) fn roster(&self) -> Vec<RosterEntry> {
        serde_json::from_slice(&fs::read(self.dir().join("nodes.json")).unwrap()).unwrap()
    }

    /// The process of a node, if it has one.
    pub(crate) fn pid(&self, id: &str) -> Option<u32> {
        self.roster().iter().find(|entry| entry.id == id).unwrap().pid
    }

    /// The binary, beside the folder and with its profile.
    pub(crate) fn cli(&self) -> Cli {
        Cli::new(self.root.path()).with_profile(self.profile_path())
    }

    /// An SDK client that is local in `dc`.
    pub(crate) async fn client(&self, dc: &str) -> Client {
        let mut profile = self.profile();
        profile.dc = Some(name(dc));
        connect(&profile, Role::Client).await
    }

    /// Waits until every node says that it is connected to all others.
    pub(crate) async fn connected(&self) {
        let roster = self.roster();
        let ids: Vec<&str> = roster.iter().map(|entry| entry.id.as_str()).collect();
        connected(&self.profile(), &ids).await;
    }

    /// Sends SIGINT, as Ctrl-C does, and waits for its end.
    pub(crate) async fn interrupt(&mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.process), Signal::INT).unwrap();
        until("`atoll dev` has stopped", async || {
            self.process.try_wait().unwrap().ok_or_else(|| self.output())
        })
        .await
    }

    /// Stops it cleanly; no node may be left.
    pub(crate) async fn stop(mut self) {
        self.stop_all().await;
    }

    /// Stops it cleanly and starts it again in its folder.
    pub(crate) async fn start_again(mut self) -> Self {
        self.stop_all().await;
        self.process = spawn(&self.root, &[]);
        self.ready().await.expect("its ports are still free");
        self
    }

    /// Kills the supervisor alone, with SIGKILL.
    pub(crate) fn kill_supervisor(mut self) -> TempDir {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        std::mem::replace(&mut self.root, TempDir::new().unwrap())
    }

    async fn stop_all(&mut self) {
        let pids: Vec<u32> = self.roster().iter().filter_map(|entry| entry.pid).collect();
        let status = self.interrupt().await;
        assert!(status.success(), "{status}: {}", self.output());
        let left: Vec<u32> = pids.into_iter().filter(|pid| is_running(*pid)).collect();
        assert!(left.is_empty(), "processes {left:?} are left");
    }
}

fn spawn(root: &TempDir, arguments: &[&str]) -> Child {
    let output = File::create(root.path().join("output")).unwrap();
    let words = ["dev", "--dir", "dev", "--topology", "three.toml"].iter().chain(arguments);
    let mut command = Cli::new(root.path()).command(&words.collect::<Vec<_>>());
    let command = command.as_std_mut().stdin(Stdio::null());
    command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap()
}

impl Drop for DevCluster {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
