//! One `atoll dev` of a single node, and runs of `loadgen` beside it.
//!
//! The `atoll` binary belongs to another package, so that Cargo does not name it here. `cargo test --workspace` has built it
//! beside `loadgen`; where it is missing, this builds it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Starts that are tried when a port was taken between its choice and its use.
const STARTS_MAX: usize = 5;

const TOPOLOGY: &str = r#"
cluster = "reef"
partitions = 16
[[dc]]
name = "eu"
[[node]]
id = "eu-1"
dc = "eu"
rack = "a"
"#;

/// A cluster; it ends when this is dropped: the supervisor is killed, and its node sees its stdin close.
pub(crate) struct Cluster {
    folder: TempDir,
    process: Child,
}

/// How a run of `loadgen` ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    #[expect(dead_code, reason = "shown when a test fails")]
    arguments: Vec<String>,
    pub(crate) code: Option<i32>,
    stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Cluster {
    /// Starts one, and waits until it is ready.
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("one.toml"), TOPOLOGY).unwrap();
        let process = spawn(folder.path());
        let mut cluster = Self { folder, process };
        for _ in 0..STARTS_MAX {
            let Err(output) = cluster.ready() else { return cluster };
            assert!(output.contains("in use"), "`atoll dev` ended: {output}");
            let _ = fs::remove_dir_all(cluster.folder.path().join("dev"));
            cluster.process = spawn(cluster.folder.path());
        }
        panic!("a port was taken at each of {STARTS_MAX} starts");
    }

    /// Runs `loadgen` beside it, with its profile, and time enough for every request.
    pub(crate) fn loadgen(&self, arguments: &[&str]) -> Outcome {
        let is_run = matches!(arguments.first(), Some(&("load" | "run" | "sweep")));
        let connect = ["--profile", "dev/client.toml", "--deadline", "30s"];
        let connect = if is_run { &connect[..] } else { &[] };
        loadgen(self.folder.path(), &[arguments, connect].concat())
    }

    /// A file that a run has written.
    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    #[expect(clippy::disallowed_methods, reason = "it waits for real processes")]
    fn ready(&mut self) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let output = fs::read_to_string(self.folder.path().join("output")).unwrap_or_default();
            if self.process.try_wait().unwrap().is_some() {
                return Err(output);
            }
            if output.contains("\nready: ") {
                return Ok(());
            }
            assert!(Instant::now() < until, "`atoll dev` is not ready: {output}");
            // bounded poll: until the cluster is ready or has ended, for PATIENCE at most
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Outcome {
    /// The same, if this was its exit code.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// What it printed on stdout.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    /// The same as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs `loadgen` in `folder`, with no profile but the one that `arguments` name.
pub(crate) fn loadgen(folder: &Path, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env_remove("ATOLL_PROFILE").env("HOME", folder).env("XDG_CONFIG_HOME", folder);
    let output = command.output().unwrap();
    Outcome {
        arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn spawn(folder: &Path) -> Child {
    let output = File::create(folder.join("output")).unwrap();
    let mut command = Command::new(atoll());
    command.args(["dev", "--dir", "dev", "--topology", "one.toml"]).current_dir(folder);
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    command.spawn().unwrap()
}

/// The `atoll` beside `loadgen`.
fn atoll() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let beside = Path::new(env!("CARGO_BIN_EXE_loadgen")).parent().unwrap();
        let path = beside.join("atoll");
        if !path.exists() {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut build = Command::new(cargo);
            build.args(["build", "--package", "atolldb", "--bin", "atoll", "--target-dir"]);
            build.arg(beside.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
            if beside.ends_with("release") {
                build.arg("--release");
            }
            assert!(build.status().unwrap().success(), "`atoll` was not built");
        }
        path
    })
}
