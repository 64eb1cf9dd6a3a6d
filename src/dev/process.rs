//! One process of one node: started, watched until its end, and signalled.
//!
//! The keeper task of a process owns it. Signals go through the keeper, so that a signal never reaches a process id that
//! the system has given to somebody else meanwhile.
//!
//! 1. [`launch`] starts the program with its output appended to the node's log, in a process group of its own: Ctrl-C in
//!    the terminal reaches the supervisor alone, which then stops the nodes in order.
//! 2. The keeper holds the write end of the node's stdin. When the supervisor dies, however hard, the system closes it,
//!    and the node (started with `--watch-stdin`) ends by itself.
//! 3. The keeper reports the end of the process exactly once.
//!
//! Invariants
//! - A process that was asked to end and does not is killed after [`LEAVE_MAX`].

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::env::Env;
use crate::tasks::Tasks;

/// Longest wait between SIGTERM and SIGKILL: a node drains for two seconds and flushes.
pub(super) const LEAVE_MAX: Duration = Duration::from_secs(10);

/// Signals that may wait for a keeper: a stop and the kill that overtakes it.
const SIGNALS_MAX: usize = 4;

/// Part of a log that is looked at for its last lines, in bytes.
const TAIL_BYTES: u64 = 16 * 1_024;

/// What to start.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) binary: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) log: PathBuf,
}

/// How to end a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// SIGTERM, and SIGKILL later.
    Ask,
    /// SIGKILL.
    Force,
}

/// A process under its keeper.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) pid: u32,
    signals: mpsc::Sender<End>,
}

impl Running {
    /// Ends the process. Does nothing when it has ended already.
    pub(super) fn end(&self, how: End) {
        // A full queue already holds what ends it; a closed one means that it has ended.
        let _ = self.signals.try_send(how);
    }
}

/// Starts `launch`; `on_exit` runs once, when the process has ended.
///
/// # Errors
/// What the system says; `on_exit` does not run then.
pub(super) fn launch<F>(
    (env, tasks): (&Env, &Tasks),
    launch: &Launch,
    on_exit: impl FnOnce(ExitStatus) -> F + Send + 'static,
) -> io::Result<Running>
where
    F: Future<Output = ()> + Send,
{
    let log = OpenOptions::new().create(true).append(true).open(&launch.log)?;
    let child = Command::new(&launch.binary)
        .args(&launch.arguments)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let pid = child.id().ok_or_else(|| io::Error::other("the process ended at once"))?;
    let (signals, orders) = mpsc::channel(SIGNALS_MAX);
    let env = env.clone();
    tasks.spawn("node-process", async move {
        let status = keep(&env, child, orders).await;
        on_exit(status).await;
    });
    Ok(Running { pid, signals })
}

/// Waits until `child` has ended, and passes signals on.
async fn keep(env: &Env, mut child: Child, mut orders: mpsc::Receiver<End>) -> ExitStatus {
    // Waiting for the child would close its stdin.
    let stdin = child.stdin.take();
    let mut patience: Option<crate::env::BoxFuture<'static, ()>> = None;
    let mut listening = true;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            order = orders.recv(), if listening => match order {
                Some(End::Ask) => {
                    signal(&child, Signal::TERM);
                    patience.get_or_insert_with(|| env.sleep(LEAVE_MAX));
                }
                Some(End::Force) => signal(&child, Signal::KILL),
                None => listening = false,
            },
            () = wait(&mut patience) => {
                patience = None;
                signal(&child, Signal::KILL);
            }
        }
    };
    drop(stdin);
    match status {
        Ok(status) => status,
        Err(error) => env.exit(&format!("cannot wait for a node's process: {error}")),
    }
}

async fn wait(patience: &mut Option<crate::env::BoxFuture<'static, ()>>) {
    match patience {
        Some(patience) => patience.await,
        None => std::future::pending().await,
    }
}

fn signal(child: &Child, signal: Signal) {
    // No id: it has been waited for, and its number may be somebody else's.
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // Not waited for yet, so the number is still its own and the only failure is that it has ended.
        let _ = kill_process(pid, signal);
    }
}

/// The last `lines` lines of a log; empty if it cannot be read.
pub(super) fn log_tail(path: &Path, lines: usize) -> Vec<String> {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    let last = all.get(all.len().saturating_sub(lines)..).unwrap_or(&[]);
    last.iter().map(|line| (*line).to_owned()).collect()
}
