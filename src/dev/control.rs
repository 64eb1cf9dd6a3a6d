//! Steering a running `atoll dev` from another process: one line of JSON each way over a Unix socket.
//!
//! ```text
//! → {"verb":"kill","target":"eu"}
//! ← {"nodes":[{"id":"eu-1","state":"down","pid":null,"deaths":0}, …]}      the order is carried out
//! ← {"refused":"`eru` is neither a node nor a datacenter; nodes: …"}       nothing was done
//! ```
//!
//! 1. [`serve`] listens in the supervisor's process; the folder's mode keeps others out.
//! 2. [`steer`] asks from another process and waits for the effect.
//!
//! Invariants
//! - A line has at most [`LINE_BYTES_MAX`] bytes, and an exchange takes at most [`EXCHANGE_MAX`].
//! - The socket file is only replaced by the holder of the folder's lock.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::topology::Topology;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use super::DevError;
use super::layout::{Layout, remove_if_present};
use super::life::Verb;
use super::names::expand;
use super::process::LEAVE_MAX;
use super::supervisor::{Message, NodeState, order};
use crate::env::Env;
use crate::tasks::Tasks;

/// Longest line in bytes: 65 536 bytes describe more nodes than one machine can run.
const LINE_BYTES_MAX: u64 = 64 * 1_024;

/// Longest wait for an answer: a stop may take until its kill, and as long again on a busy machine.
const EXCHANGE_MAX: Duration = LEAVE_MAX.saturating_mul(2);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    pub(super) verb: Verb,
    pub(super) target: String,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    /// How the nodes are now.
    Nodes(Vec<NodeState>),
    /// Why nothing was done.
    Refused(String),
}

/// What serves the socket.
#[derive(Clone)]
pub(super) struct Control {
    pub(super) env: Env,
    pub(super) tasks: Tasks,
    pub(super) topology: Arc<Topology>,
    pub(super) supervisor: mpsc::Sender<Message>,
}

/// Listens on the socket of `layout` until the tasks are stopped.
///
/// # Errors
/// [`DevError::Io`] when the socket cannot be made; its path may be too long (108 bytes).
pub(super) fn serve(control: Control, layout: &Layout) -> Result<(), DevError> {
    let path = layout.control_socket();
    remove_if_present(&path)?;
    let listener = UnixListener::bind(&path).map_err(DevError::io("listen on", &path))?;
    let tasks = control.tasks.clone();
    tasks.spawn("control", async move {
        loop {
            let accepted = tokio::select! {
                biased;
                () = control.tasks.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let control = control.clone();
                    let tasks = control.tasks.clone();
                    tasks.spawn("control-exchange", async move { control.exchange(stream).await });
                }
                Err(error) => tracing::warn!(%error, "control socket"),
            }
        }
    });
    Ok(())
}

impl Control {
    /// One request, one answer. Whoever asked may leave at any moment.
    async fn exchange(self, stream: UnixStream) {
        let deadline = self.env.mono().after(EXCHANGE_MAX);
        let exchange = async {
            let (reader, mut writer) = stream.into_split();
            let line = read_line(reader).await?;
            let answer = match serde_json::from_str::<Request>(&line) {
                Ok(request) => self.carry_out(request).await,
                Err(error) => Answer::Refused(format!("not a request: {error}")),
            };
            let mut text = serde_json::to_string(&answer)?;
            text.push('\n');
            writer.write_all(text.as_bytes()).await
        };
        let outcome = tokio::select! {
            biased;
            () = self.tasks.cancelled() => return,
            outcome = self.env.until(deadline, exchange) => outcome,
        };
        if let Some(Err(error)) = outcome {
            tracing::debug!(%error, "control exchange");
        }
    }

    async fn carry_out(&self, request: Request) -> Answer {
        match expand(&self.topology, &request.target) {
            Ok(nodes) => match order(&self.supervisor, request.verb, nodes).await {
                Some(states) => Answer::Nodes(states),
                None => Answer::Refused("the supervisor is stopping".to_owned()),
            },
            Err(unknown) => Answer::Refused(unknown.to_string()),
        }
    }
}

/// Asks the supervisor in `layout` to kill, stop or start a node or a datacenter, and waits for the effect.
///
/// # Errors
/// [`DevError::NotRunning`], [`DevError::Control`].
pub(super) async fn steer(
    env: &Env,
    layout: &Layout,
    verb: Verb,
    target: &str,
) -> Result<Vec<NodeState>, DevError> {
    let dir = layout.root();
    let failed = |detail: String| DevError::Control { dir: dir.to_path_buf(), detail };
    let stream = match UnixStream::connect(layout.control_socket()).await {
        Ok(stream) => stream,
        Err(error) if is_nobody_there(&error) => {
            return Err(DevError::NotRunning { dir: dir.to_path_buf() });
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    let request = Request { verb, target: target.to_owned() };
    let deadline = env.mono().after(EXCHANGE_MAX);
    let answer = match env.until(deadline, ask(stream, &request)).await {
        Some(Ok(line)) => serde_json::from_str::<Answer>(&line)
            .map_err(|error| failed(format!("its answer is not one: {error}")))?,
        Some(Err(error)) => return Err(failed(error.to_string())),
        None => return Err(failed(format!("no answer within {EXCHANGE_MAX:?}"))),
    };
    match answer {
        Answer::Nodes(states) => Ok(states),
        Answer::Refused(reason) => Err(failed(reason)),
    }
}

async fn ask(stream: UnixStream, request: &Request) -> io::Result<String> {
    let (reader, mut writer) = stream.into_split();
    let mut text = serde_json::to_string(request)?;
    text.push('\n');
    writer.write_all(text.as_bytes()).await?;
    read_line(reader).await
}

async fn read_line(reader: impl AsyncRead + Unpin) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(reader.take(LINE_BYTES_MAX)).read_line(&mut line).await?;
    if line.ends_with('\n') { Ok(line) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof)) }
}

/// No socket, or one that a dead supervisor left behind.
fn is_nobody_there(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}
