//! One node's process.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::until;

/// A running `atoll node`. Dropping it kills the process and waits for its end.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    child: Child,
    log: PathBuf,
    /// Where in the log this process began.
    log_from: usize,
}

/// How a start went.
#[derive(Debug)]
pub(crate) enum Start {
    /// It listens.
    Serving,
    /// It ended, and what it said.
    Ended { status: ExitStatus, log: String },
}

impl NodeProcess {
    /// Starts `atoll node --config CONFIG` with more `arguments`; what it says is appended to `log`.
    ///
    /// The node holds on to its stdin, which closes when this process dies, however hard.
    pub(crate) fn spawn(config: &Path, log: &Path, arguments: &[&str]) -> Self {
        let log_from = fs::metadata(log).map_or(0, |found| found.len());
        let out = OpenOptions::new().create(true).append(true).open(log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_atoll"))
            .args(["node", "--watch-stdin", "--config"])
            .arg(config)
            .args(arguments)
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        let log_from = usize::try_from(log_from).unwrap();
        Self { child, log: log.to_path_buf(), log_from }
    }

    /// Waits until it listens or has ended.
    pub(crate) async fn started(&mut self) -> Start {
        until("a node serves or ends", async || {
            let ended = self.child.try_wait().unwrap();
            // Read after the end was seen, so that nothing of it is missed.
            let log = self.log();
            match ended {
                Some(status) => Ok(Start::Ended { status, log }),
                None if log.contains(" serving") => Ok(Start::Serving),
                None => Err(log),
            }
        })
        .await
    }

    /// Everything that this process said until now.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(self.log_from..).unwrap_or_default()).into_owned()
    }

    /// Waits until it says `words` on one line.
    pub(crate) async fn says(&self, words: &[&str]) -> String {
        until(&format!("the log has {words:?}"), async || {
            let log = self.log();
            let found = log.lines().find(|line| words.iter().all(|word| line.contains(word)));
            found.map(str::to_owned).ok_or(log.clone())
        })
        .await
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL and waits for its end.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Lets it stand still, with SIGSTOP.
    pub(crate) fn pause(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    /// Lets it go on, with SIGCONT.
    pub(crate) fn resume(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }

    /// Asks it to stop with SIGTERM and waits for its end.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        self.ended().await.0
    }

    /// Waits for its end: how it ended, and everything that it said.
    pub(crate) async fn ended(&mut self) -> (ExitStatus, String) {
        let status = until("a node has ended", async || {
            self.child.try_wait().unwrap().ok_or_else(|| self.log())
        })
        .await;
        (status, self.log())
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a process with this number runs. One that has ended does not, even if nobody has asked how it ended: in a
/// container the orphans of a supervisor may find no parent that does.
pub(crate) fn is_running(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        let pid = Pid::from_raw(pid.cast_signed());
        return pid.is_some_and(|pid| test_kill_process(pid).is_ok());
    };
    // The name before the state stands in parentheses and may hold anything.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, Some('Z' | 'X'))
}
