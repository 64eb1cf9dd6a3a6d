//! One process of a run: connects, sends its share of the requests, passes on what it measures every second.
//!
//! ```text
//! pacer (thread): execute, first poll ─▶ SDK ─▶ cluster
//!        └──begun──▶ runtime: execute ◀─ SDK ◀──┘
//!                              │
//!                           shards ◀──every second── collect (thread) ──▶ intervals
//! ```
//!
//! `timeline.rs` has the times, `inflight.rs` the bound on requests under way, `memory.rs` what is known of keys,
//! `callers.rs` the closed loop, `rehearse.rs` requests that nobody answers, `precedence.rs` the priority of threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use atoll_client::{Client, ProfileFile, Role};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::arrivals::Arrivals;
use crate::clock;
use crate::draws::{self, Draws};
use crate::error::Error;
use crate::measure::{Interval, Phase};
use crate::plan::{Answers, Pace, Plan};
use crate::units;
use collect::Collector;
use execute::{Executor, patience};
use inflight::Inflight;
use pacer::Pacer;
use timeline::Timeline;

mod callers;
mod collect;
mod execute;
mod inflight;
mod insertions;
mod memory;
mod pacer;
mod precedence;
mod rehearse;
mod timeline;

pub(crate) use precedence::raise_worker;

/// Time that a request may take where neither plan nor profile say: the SDK's default.
const DEADLINE: Duration = Duration::from_secs(1);

/// One process of a run, connected.
pub(crate) struct Agent {
    plan: Arc<Plan>,
    number: u64,
    clients: Vec<Client>,
    patience: Duration,
}

impl Agent {
    /// Connects process `number` of `plan`, if there is somebody to connect to.
    pub(crate) async fn connect(plan: Arc<Plan>, number: u64) -> Result<Self, Error> {
        let asked = plan.target.deadline_seconds.map(Duration::from_secs_f64);
        if plan.target.answers == Answers::Nobody {
            let patience = patience(asked.unwrap_or(DEADLINE));
            return Ok(Self { plan, number, clients: Vec::new(), patience });
        }
        let file = ProfileFile::load(&plan.target.profile)?;
        let deadline = asked.or(file.deadline).unwrap_or(DEADLINE);
        let mut clients = Vec::new();
        for dc in &plan.target.dcs {
            clients.push(connect(&file, Some(dc), asked).await?);
        }
        Ok(Self { plan, number, clients, patience: patience(deadline) })
    }

    /// Runs from the moment on at which the wall clock shows `start`, since the Unix epoch.
    pub(crate) async fn run(
        self,
        start: Duration,
        sink: mpsc::Sender<Interval>,
    ) -> Result<(), Error> {
        let timeline = Timeline::new(&self.plan, clock::instant_of(start));
        let name = &self.plan.target.keyspace;
        let spaces = self.clients.iter().map(|client| client.keyspace(name)).collect();
        let executor = Arc::new(Executor::new(&self.plan, self.number, spaces, timeline));
        tokio::time::sleep_until(timeline.instant(0).into()).await;
        let is_over = Arc::new(AtomicBool::new(false));
        let collector = Collector {
            executor: Arc::clone(&executor),
            clients: self.clients.clone(),
            sink,
            is_over: Arc::clone(&is_over),
        };
        let collector = start_thread("collector", || collector.run())?;
        let paced = self.send(&executor).await;
        is_over.store(true, Ordering::Release);
        collector.thread().unpark();
        let collected = Handle::current().spawn_blocking(move || collector.join()).await;
        for client in &self.clients {
            client.close().await;
        }
        paced?;
        match collected {
            Ok(Ok(())) => Ok(()),
            _ => Err(Error::io("collect")(std::io::Error::other("its thread panicked"))),
        }
    }

    /// Sends all requests, and waits for their answers.
    async fn send(&self, executor: &Arc<Executor>) -> Result<(), Error> {
        let plan = &self.plan;
        let (rate, spacing) = match plan.pace {
            Pace::Closed { callers } => {
                let callers = plan.share(callers, self.number);
                callers::run(executor, plan, self.number, callers).await;
                return Ok(());
            }
            Pace::Open { rate, spacing } => (rate, spacing),
        };
        let place = (self.number, plan.processes);
        let bound = plan.share(plan.inflight_max, self.number);
        let inflight = Arc::new(Inflight::new(bound));
        let tasks = TaskTracker::new();
        let chance = draws::arrival_chance(plan, self.number);
        let pacer = Pacer {
            arrivals: Arrivals::new(spacing, rate, place, chance),
            draws: Draws::new(plan, self.number),
            executor: Arc::clone(executor),
            inflight: Arc::clone(&inflight),
            runtime: Handle::current(),
            tasks: tasks.clone(),
            ops: plan.ops_of(self.number),
            waiting_max: usize::try_from(bound).unwrap_or(usize::MAX),
            patience: units::nanos(self.patience),
        };
        let (told, ended) = oneshot::channel();
        let run = move || {
            pacer.run();
            // Nobody listens only when the process ends.
            let _ = told.send(());
        };
        start_thread("pacer", run)?;
        ended.await.map_err(|_| Error::io("pace")(std::io::Error::other("its thread panicked")))?;
        tasks.close();
        if tokio::time::timeout(self.patience, tasks.wait()).await.is_err() {
            executor.shards.abandoned(Phase::Measured, inflight.count());
        }
        Ok(())
    }
}

/// A client of `file`; of the nearest datacenter with `None`.
pub(crate) async fn connect(
    file: &ProfileFile,
    dc: Option<&str>,
    deadline: Option<Duration>,
) -> Result<Client, Error> {
    let mut builder = Client::from_profile(file, Role::Client)?;
    if let Some(dc) = dc {
        builder = builder.dc(dc);
    }
    if let Some(deadline) = deadline {
        builder = builder.deadline(deadline);
    }
    let shown = dc.or(file.dc.as_ref().map(|dc| dc.as_str())).unwrap_or("nearest").to_owned();
    let failed = |error| Error::Client { dc: shown, error: Box::new(error) };
    builder.connect().await.map_err(failed)
}

fn start_thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(run);
    started.map_err(Error::io(format!("start the thread `{name}`")))
}
