//! The processes of a run, and what they say to each other.
//!
//! ```text
//! this process                                  loadgen agent
//!   {"plan": …, "number": 3}      ──stdin──▶    connects
//!                                 ◀──stdout──   "ready"
//!   {"start": {"secs": …}}        ──stdin──▶    waits for the moment, runs
//!                                 ◀──stdout──   {"interval": …}   every second
//!                                 ◀──stdout──   "done"            or {"failed": …} at any time
//! ```
//!
//! A line is one JSON document. A run of one process has no other one: it takes the same steps on a channel.
//!
//! Invariants
//! - A process ends when whoever started it does: its stdin closes.
//! - Every process says that it is done, or why not; one that does neither has failed.

use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, Stdin};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::agent::Agent;
use crate::error::{AgentFailure, Error};
use crate::measure::Interval;
use crate::plan::Plan;

/// Lines that wait to be added up: as many as 64 processes send in four seconds.
const NEWS_MAX: usize = 256;

/// What a process is told first.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    plan: Plan,
    number: u64,
}

/// What a process is told when all are ready.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Go {
    /// Since the Unix epoch.
    start: Duration,
}

/// What a process says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Ready,
    Interval(Box<Interval>),
    Done,
    Failed(AgentFailure),
}

/// What happened.
#[derive(Debug)]
pub(super) enum News {
    /// A process has measured for another second.
    Interval(Box<Interval>),
    /// A process cannot go on.
    Failed { agent: u64, failure: AgentFailure },
}

/// All processes of a run.
pub(super) struct Crew {
    lines: mpsc::Receiver<(u64, Line)>,
    starts: Vec<Start>,
    children: Vec<Child>,
    /// Processes that have not said that they are done.
    left: u64,
}

/// How a process is told to start.
enum Start {
    Inside(oneshot::Sender<Go>),
    Outside(ChildStdin),
}

impl Crew {
    /// Starts and connects all processes of `plan`.
    pub(super) async fn start(plan: &Arc<Plan>, tasks: &TaskTracker) -> Result<Self, Error> {
        let (says, lines) = mpsc::channel(NEWS_MAX);
        let mut crew =
            Self { lines, starts: Vec::new(), children: Vec::new(), left: plan.processes };
        if plan.processes == 1 {
            let (start, starts) = oneshot::channel();
            // An agent that cannot connect says so itself, with the SDK's own error.
            let agent = Agent::connect(Arc::clone(plan), 0).await?;
            tasks.spawn(run_inside(agent, starts, says));
            crew.starts.push(Start::Inside(start));
            return Ok(crew);
        }
        for number in 0..plan.processes {
            let (child, stdin, stdout) = spawn(plan, number).await?;
            crew.children.push(child);
            crew.starts.push(Start::Outside(stdin));
            tasks.spawn(read(number, stdout, says.clone()));
        }
        drop(says);
        for _ in 0..plan.processes {
            match crew.lines.recv().await {
                Some((_, Line::Ready)) => {}
                Some((agent, Line::Failed(failure))) => {
                    return Err(Error::Agent { agent, failure });
                }
                Some((agent, Line::Interval(_) | Line::Done)) => {
                    return Err(Error::Agent { agent, failure: silent() });
                }
                None => return Err(Error::Agent { agent: 0, failure: silent() }),
            }
        }
        Ok(crew)
    }

    /// Tells all to start at `start`, since the Unix epoch.
    pub(super) async fn begin(&mut self, start: Duration) -> Result<(), Error> {
        let go = Go { start };
        let mut kept = Vec::new();
        for (number, order) in self.starts.drain(..).enumerate() {
            match order {
                Start::Inside(told) => {
                    // It only fails if the task has ended, and then it has said why.
                    let _ = told.send(go);
                }
                Start::Outside(mut stdin) => {
                    tell(&mut stdin, &go)
                        .await
                        .map_err(Error::io(format!("start process {number}")))?;
                    kept.push(Start::Outside(stdin));
                }
            }
        }
        // An agent whose stdin closes ends: they stay open until the crew goes.
        self.starts = kept;
        Ok(())
    }

    /// What happened next; `None` when all are done.
    pub(super) async fn next(&mut self) -> Option<News> {
        while self.left > 0 {
            match self.lines.recv().await {
                Some((_, Line::Interval(interval))) => return Some(News::Interval(interval)),
                Some((_, Line::Done)) => self.left -= 1,
                Some((_, Line::Ready)) => {}
                Some((agent, Line::Failed(failure))) => {
                    return Some(News::Failed { agent, failure });
                }
                None => return Some(News::Failed { agent: 0, failure: silent() }),
            }
        }
        None
    }

    /// Waits until all processes have ended.
    pub(super) async fn end(mut self) -> Result<(), Error> {
        self.starts.clear();
        for mut child in self.children {
            child.wait().await.map_err(Error::io("wait for a process of the run"))?;
        }
        Ok(())
    }
}

/// A process of the run inside this one.
async fn run_inside(agent: Agent, starts: oneshot::Receiver<Go>, says: mpsc::Sender<(u64, Line)>) {
    let Ok(go) = starts.await else { return };
    let (sink, mut intervals) = mpsc::channel(NEWS_MAX);
    let passes_on = says.clone();
    let forward = async move {
        while let Some(interval) = intervals.recv().await {
            if passes_on.send((0, Line::Interval(Box::new(interval)))).await.is_err() {
                return;
            }
        }
    };
    let (ended, ()) = tokio::join!(agent.run(go.start, sink), forward);
    let line = ended.map_or_else(|error| Line::Failed(error.to_failure()), |()| Line::Done);
    // Nobody listens when the run was given up.
    let _ = says.send((0, line)).await;
}

/// Starts a copy of this program and gives it its order.
async fn spawn(plan: &Plan, number: u64) -> Result<(Child, ChildStdin, ChildStdout), Error> {
    let failed = || Error::io(format!("start process {number} of the run"));
    let program = std::env::current_exe().map_err(failed())?;
    let mut command = Command::new(program);
    command.arg("agent").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(failed())?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(failed()(std::io::Error::other("it has no pipes")));
    };
    let order = Order { plan: plan.clone(), number };
    tell(&mut stdin, &order).await.map_err(failed())?;
    Ok((child, stdin, stdout))
}

async fn tell(stdin: &mut ChildStdin, document: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(document)?;
    line.push(b'\n');
    stdin.write_all(&line).await?;
    stdin.flush().await
}

/// Passes on what process `number` says, until it is done or silent.
async fn read(number: u64, stdout: ChildStdout, says: mpsc::Sender<(u64, Line)>) {
    let mut lines = BufReader::new(stdout).lines();
    loop {
        let read = lines.next_line().await;
        let text = read.ok().flatten();
        let line = text.and_then(|text| serde_json::from_str(&text).ok());
        let line = line.unwrap_or_else(|| Line::Failed(silent()));
        let is_last = matches!(line, Line::Done | Line::Failed(_));
        if says.send((number, line)).await.is_err() || is_last {
            return;
        }
    }
}

fn silent() -> AgentFailure {
    AgentFailure { code: 1, words: "it ended without a word; stderr may have more".to_owned() }
}

/// The hidden command `agent`: this program as one process of a run.
///
/// # Errors
/// Those of a run; they are told on stdout, too.
pub(crate) async fn serve_as_agent() -> Result<(), Error> {
    let ended = serve().await;
    let line = match &ended {
        Ok(()) => Line::Done,
        Err(error) => Line::Failed(error.to_failure()),
    };
    say(&line)?;
    ended
}

async fn serve() -> Result<(), Error> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let order: Order = hear(&mut lines).await?;
    let agent = Agent::connect(Arc::new(order.plan), order.number).await?;
    say(&Line::Ready)?;
    let go: Go = hear(&mut lines).await?;
    let (sink, mut intervals) = mpsc::channel(NEWS_MAX);
    let forward = async move {
        while let Some(interval) = intervals.recv().await {
            say(&Line::Interval(Box::new(interval)))?;
        }
        Ok::<(), Error>(())
    };
    let run = async {
        let (ended, forwarded) = tokio::join!(agent.run(go.start, sink), forward);
        ended.and(forwarded)
    };
    tokio::select! {
        biased;
        ended = run => ended,
        _ = lines.next_line() => Err(Error::io("go on")(std::io::Error::other("the run was given up"))),
    }
}

async fn hear<T: for<'a> Deserialize<'a>>(lines: &mut Lines<BufReader<Stdin>>) -> Result<T, Error> {
    let line = lines.next_line().await.map_err(Error::io("read an order"))?;
    let line = line.ok_or_else(|| {
        Error::usage("`agent` is how loadgen starts copies of itself; use `run` or `load`")
    })?;
    serde_json::from_str(&line).map_err(|error| Error::io("read an order")(error.into()))
}

fn say(line: &Line) -> Result<(), Error> {
    let mut bytes = serde_json::to_vec(line).map_err(|error| Error::Output(error.into()))?;
    bytes.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&bytes).and_then(|()| out.flush()).map_err(Error::Output)
}
