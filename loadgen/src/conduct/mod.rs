//! A whole run: starts its processes, gives them one start, adds up what they send, and makes the report.
//!
//! ```text
//!             ┌─ process 0 ─┐  every second
//! plan ─▶ crew├─ process 1 ─┼──intervals──▶ merge ─▶ progress
//!             └─ …          ┘                 │
//! events (sh -c) ── nodes (/proc) ── cluster (status) ─▶ Report
//! ```
//!
//! One process runs inside this one; several are copies of this program (`loadgen agent`).

use std::sync::Arc;
use std::time::Duration;

use atoll_client::Client;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::error::Error;
use crate::measure::{Interval, Phase, Sample};
use crate::plan::{Extent, Plan};
use crate::report::{Event, Report, SCHEMA, Verdict};
use crate::system;
use crew::{Crew, News};
use merge::Merge;

mod cluster;
mod crew;
mod events;
mod merge;
mod nodes;
mod progress;

pub(crate) use crew::serve_as_agent;
pub(crate) use events::EventOrder;
pub(crate) use nodes::{NodeSource, check as check_nodes};

/// Time between the order to start and the start: all processes have read the order by then.
const AHEAD: Duration = Duration::from_millis(200);

/// What a run needs besides its plan.
pub(crate) struct Orders {
    pub(crate) plan: Arc<Plan>,
    /// Asks the cluster how it is, before and after, if there is one.
    pub(crate) control: Option<Client>,
    pub(crate) events: Vec<EventOrder>,
    pub(crate) nodes: Vec<NodeSource>,
    /// What the progress line begins with.
    pub(crate) title: String,
}

/// Carries out a run.
///
/// # Errors
/// [`Error::Client`] if a process cannot connect, [`Error::Agent`] if one fails later.
pub(crate) async fn conduct(orders: Orders) -> Result<Report, Error> {
    let Orders { plan, control, events, nodes, title } = orders;
    let tasks = TaskTracker::new();
    let mut crew = Crew::start(&plan, &tasks).await?;
    let before = cluster::look(control.as_ref()).await;
    let start = clock::wall() + AHEAD;
    let measured = start + Duration::from_secs_f64(plan.warmup_seconds);
    crew.begin(start).await?;
    let zero = clock::instant_of(measured);
    let watch = nodes::Watch::start(nodes, clock::instant_of(start), zero, &tasks);
    let events = events::start(events, zero);
    let mut progress = progress::Progress::new(&plan, title);
    let mut merge = Merge::new(plan.processes);
    while let Some(news) = crew.next().await {
        match news {
            News::Interval(interval) => {
                if let Some(whole) = merge.add(*interval) {
                    progress.show(whole);
                }
            }
            News::Failed { agent, failure } => return Err(Error::Agent { agent, failure }),
        }
    }
    progress.finish();
    crew.end().await?;
    let traces = watch.stop();
    let events = events.finish().await;
    let after = cluster::look(control.as_ref()).await;
    tasks.close();
    tasks.wait().await;
    let cluster = cluster::compare(before, after);
    let report = assemble(&plan, merge.finish(), measured, events);
    Ok(Report { nodes: traces, cluster, ..report })
}

fn assemble(
    plan: &Plan,
    intervals: Vec<Interval>,
    measured: Duration,
    events: Vec<Event>,
) -> Report {
    let mut total = Sample::default();
    let mut last = 0.0_f64;
    for interval in intervals.iter().filter(|interval| interval.phase == Phase::Measured) {
        total.add(&interval.sample);
        last = last.max(interval.begin + interval.seconds);
    }
    let seconds = match plan.extent {
        Extent::Seconds(seconds) => seconds,
        Extent::Ops(_) => last,
    };
    let began = humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + measured).to_string();
    Report {
        schema: SCHEMA.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("ATOLL_COMMIT").map(str::to_owned),
        began,
        began_unix: measured.as_secs_f64(),
        machine: system::machine(),
        plan: plan.clone(),
        seconds,
        verdict: Verdict::of(plan, &total),
        total,
        intervals,
        events,
        nodes: Vec::new(),
        cluster: None,
    }
}
