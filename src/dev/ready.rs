//! Whether the nodes have found each other, and the wait until they have.
//!
//! 1. Connect with the folder's client certificate to the nodes that should be up, through whichever answers.
//! 2. Ask for the status: that node asks every other one for its own words.
//! 3. Ready is: every expected node says that it has a connection to every other expected one ([`lacking`], pure).
//!
//! Invariants
//! - The wait ends: by success, by its deadline, or as soon as the caller sees that it is hopeless.
//! - Nodes that are meant to be down are neither waited for nor missed.

use std::collections::BTreeSet;
use std::time::Duration;

use atoll_client::{Client, ProfileFile, Role};
use atoll_protocol::ids::Name;
use atoll_protocol::wire::{NodeReport, NodeState as ReportedState, NodeStatus};

use super::DevError;
use super::access::connect;
use super::error::Missing;
use super::layout::Layout;
use super::process::log_tail;
use crate::env::Env;

/// Longest wait for the nodes: they start within a second, a busy machine takes its time.
pub(super) const READY_MAX: Duration = Duration::from_secs(60);

/// Pause between two looks.
const POLL: Duration = Duration::from_millis(100);

/// Lines of a log that are shown.
const TAIL_LINES: usize = 8;

/// What is lacking: a node, and in which respect.
pub(super) type Lacking = Vec<(Name, String)>;

/// Waits until all of `expected` are connected to each other, or until `is_hopeless`.
///
/// # Errors
/// [`DevError::NotReady`] names who is missing, with the end of their logs.
pub(super) async fn wait(
    env: &Env,
    (layout, profile): (&Layout, &ProfileFile),
    expected: &[Name],
    is_hopeless: impl Fn() -> bool,
) -> Result<(), DevError> {
    let begin = env.mono();
    let deadline = begin.after(READY_MAX);
    let mut client = None;
    loop {
        let found = match env.until(deadline, look(&mut client, profile, expected)).await {
            Some(Ok(found)) => found,
            Some(Err(error)) => nobody(expected, &error.to_string()),
            None => nobody(expected, "no answer"),
        };
        let waited = env.mono().since(begin);
        if found.is_empty() {
            if let Some(client) = client {
                client.close().await;
            }
            return Ok(());
        }
        if waited >= READY_MAX || is_hopeless() {
            let missing = explain(layout, found);
            return Err(DevError::NotReady { waited, missing });
        }
        env.sleep(POLL).await;
    }
}

/// One look, over a connection that is kept for the next one.
async fn look(
    client: &mut Option<Client>,
    profile: &ProfileFile,
    expected: &[Name],
) -> Result<Lacking, atoll_client::Error> {
    let client = match client {
        Some(client) => client,
        None => client.insert(connect(profile, Role::Client).await?),
    };
    Ok(lacking(&client.status().await?, expected))
}

/// What `reports` say is lacking among `expected`; empty when all are connected to all. Whoever only lacks a node that
/// is down is not listed: the node that is down is.
pub(super) fn lacking(reports: &[NodeReport], expected: &[Name]) -> Lacking {
    let problem = |name: &Name| match reports.iter().find(|report| report.node == *name) {
        Some(report) => match &report.state {
            ReportedState::Up(_) => None,
            ReportedState::Down { reason, .. } if reason.is_empty() => {
                Some("it has not been reached yet".to_owned())
            }
            ReportedState::Down { reason, .. } => Some(reason.clone()),
        },
        None => Some("the others do not know it".to_owned()),
    };
    let mut lacking: Lacking =
        expected.iter().filter_map(|name| Some((name.clone(), problem(name)?))).collect();
    let down: BTreeSet<Name> = lacking.iter().map(|(name, _)| name.clone()).collect();
    let up: Vec<&Name> = expected.iter().filter(|name| !down.contains(*name)).collect();
    for NodeReport { node, state, .. } in reports.iter().filter(|report| up.contains(&&report.node))
    {
        if let ReportedState::Up(status) = state {
            let problem = unconnected(status, node, &up);
            lacking.extend(problem.map(|problem| (node.clone(), problem)));
        }
    }
    lacking
}

/// Whom of `up` the node called `name` lacks a connection to, in its own words.
fn unconnected(status: &NodeStatus, name: &Name, up: &[&Name]) -> Option<String> {
    let is_connected = |other: &Name| {
        let mut peers = status.peers.iter();
        peers.any(|peer| peer.node == *other && peer.rtt.is_some())
    };
    let missing: Vec<&str> = up
        .iter()
        .filter(|other| **other != name && !is_connected(other))
        .map(|other| other.as_str())
        .collect();
    (!missing.is_empty()).then(|| format!("not connected to {}", missing.join(", ")))
}

fn nobody(expected: &[Name], reason: &str) -> Lacking {
    let lacks = |name: &Name| (name.clone(), reason.to_owned());
    expected.iter().map(lacks).collect()
}

fn explain(layout: &Layout, lacking: Lacking) -> Vec<Missing> {
    let missing = |(node, reason): (Name, String)| Missing {
        log_tail: log_tail(&layout.node_log(&node), TAIL_LINES),
        node: node.to_string(),
        reason,
    };
    lacking.into_iter().map(missing).collect()
}
