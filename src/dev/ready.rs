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

/// What `reports` say is lacking among `expected`; empty when all are connected to all.
pub(super) fn lacking(reports: &[NodeReport], expected: &[Name]) -> Lacking {
    let mut lacking = Vec::new();
    for name in expected {
        let problem = match reports.iter().find(|report| report.node == *name) {
            Some(NodeReport { state: ReportedState::Up(status), .. }) => {
                unconnected(status, name, expected)
            }
            Some(NodeReport { state: ReportedState::Down { reason, .. }, .. })
                if reason.is_empty() =>
            {
                Some("it has not been reached yet".to_owned())
            }
            Some(NodeReport { state: ReportedState::Down { reason, .. }, .. }) => {
                Some(reason.clone())
            }
            None => Some("the others do not know it".to_owned()),
        };
        lacking.extend(problem.map(|problem| (name.clone(), problem)));
    }
    lacking
}

/// Whom `name` lacks a connection to, in its own words.
fn unconnected(status: &NodeStatus, name: &Name, expected: &[Name]) -> Option<String> {
    let connected: BTreeSet<&Name> =
        status.peers.iter().filter(|peer| peer.rtt.is_some()).map(|peer| &peer.node).collect();
    let missing: Vec<&str> = expected
        .iter()
        .filter(|other| *other != name && !connected.contains(other))
        .map(Name::as_str)
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
