//! Looks at the processes of nodes on this machine once a second.
//!
//! They are named by process id, or by the `nodes.json` of an `atoll dev`, which is read again each time: a node that was
//! started again has another process.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::error::Error;
use crate::report::{NodeSecond, NodeTrace};
use crate::system;

#[cfg(test)]
mod tests;

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// Where processes are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeSource {
    /// A process.
    Pid(u32),
    /// The `nodes.json` of an `atoll dev`.
    Roster(PathBuf),
}

/// A node in `nodes.json`; the other fields are not needed.
#[derive(Debug, Deserialize)]
struct RosterEntry {
    id: String,
    pid: Option<u32>,
}

/// The task that looks.
pub(super) struct Watch {
    traces: Arc<Mutex<BTreeMap<String, NodeTrace>>>,
    over: CancellationToken,
}

/// Checks that every source can be read now.
///
/// # Errors
/// [`Error::File`] or [`Error::Usage`] with the first that cannot.
pub(crate) fn check(sources: &[NodeSource]) -> Result<(), Error> {
    for source in sources {
        match source {
            NodeSource::Pid(pid) if system::usage(Some(*pid)).is_none() => {
                return Err(Error::usage(format!("--node-pid {pid}: there is no such process")));
            }
            NodeSource::Pid(_) => {}
            NodeSource::Roster(path) => {
                read(path).map_err(|problem| {
                    let fix = "--dev takes the folder of a running `atoll dev`, .atoll by default";
                    Error::file(path, format!("{problem}; {fix}"))
                })?;
            }
        }
    }
    Ok(())
}

impl Watch {
    /// Looks from `from` on; times count from `zero`.
    pub(super) fn start(
        sources: Vec<NodeSource>,
        from: Instant,
        zero: Instant,
        tasks: &TaskTracker,
    ) -> Self {
        let watch = Self { traces: Arc::default(), over: CancellationToken::new() };
        if sources.is_empty() {
            return watch;
        }
        let (traces, over) = (Arc::clone(&watch.traces), watch.over.clone());
        tasks.spawn(async move {
            let mut last: BTreeMap<u32, (Instant, f64)> = BTreeMap::new();
            let mut ticks = tokio::time::interval_at(from.into(), PERIOD);
            loop {
                tokio::select! {
                    biased;
                    () = over.cancelled() => return,
                    _ = ticks.tick() => look(&sources, zero, &mut last, &traces),
                }
            }
        });
        watch
    }

    /// Looks no more; returns what was seen.
    pub(super) fn stop(self) -> Vec<NodeTrace> {
        self.over.cancel();
        std::mem::take(&mut *self.traces.lock()).into_values().collect()
    }
}

fn look(
    sources: &[NodeSource],
    zero: Instant,
    last: &mut BTreeMap<u32, (Instant, f64)>,
    traces: &Mutex<BTreeMap<String, NodeTrace>>,
) {
    for (name, pid) in sources.iter().flat_map(processes) {
        let Some(usage) = system::usage(Some(pid)) else { continue };
        let now = clock::now();
        let before = last.insert(pid, (now, usage.cpu_seconds));
        // The first look at a process has nothing to compare with.
        let Some((then, spent)) = before else { continue };
        let span = now.saturating_duration_since(then).as_secs_f64().max(1e-6);
        let ahead = now.saturating_duration_since(zero).as_secs_f64();
        let at = ahead - zero.saturating_duration_since(now).as_secs_f64();
        let cores = (usage.cpu_seconds - spent) / span;
        let second = NodeSecond { at, cores, memory_bytes: usage.memory_bytes };
        let mut traces = traces.lock();
        let trace =
            traces.entry(name.clone()).or_insert_with(|| NodeTrace { name, seconds: Vec::new() });
        trace.seconds.push(second);
    }
}

/// The processes of a source, by name.
fn processes(source: &NodeSource) -> Vec<(String, u32)> {
    match source {
        NodeSource::Pid(pid) => vec![(format!("pid {pid}"), *pid)],
        // A file that is away for a moment is no reason to end a run.
        NodeSource::Roster(path) => read(path).unwrap_or_default(),
    }
}

fn read(path: &Path) -> Result<Vec<(String, u32)>, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let entries: Vec<RosterEntry> =
        serde_json::from_slice(&bytes).map_err(|error| format!("not a list of nodes: {error}"))?;
    Ok(entries.into_iter().filter_map(|entry| Some((entry.id, entry.pid?))).collect())
}
