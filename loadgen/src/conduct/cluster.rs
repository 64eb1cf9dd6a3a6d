//! What the nodes say of themselves, before and after a run.
//!
//! Hedges happen in the coordinating nodes, so that only they can count them; they count everybody's gets, and a report says
//! what they counted while the run went on. A cluster that cannot be asked is no reason to end a run.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_client::{Client, NodeReport, NodeState, NodeStatus};

use crate::report::{Cluster, LinkTime};

/// Time that the nodes get to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the cluster, if there is one.
pub(super) async fn look(client: Option<&Client>) -> Option<Vec<NodeReport>> {
    let client = client?;
    tokio::time::timeout(PATIENCE, client.status()).await.ok()?.ok()
}

/// What changed between two looks.
pub(super) fn compare(
    before: Option<Vec<NodeReport>>,
    after: Option<Vec<NodeReport>>,
) -> Option<Cluster> {
    let (before, after) = (before?, after?);
    let mut found = Cluster { nodes: after.len(), links: links(&after), ..Cluster::default() };
    for report in &after {
        let NodeState::Up(now) = &report.state else { continue };
        found.nodes_up += 1;
        if !found.versions.contains(&now.version) {
            found.versions.push(now.version.clone());
        }
        let then = before.iter().find(|other| other.node == report.node);
        let then = then.and_then(|report| match &report.state {
            // A node that was started again counts from zero.
            NodeState::Up(then) if then.incarnation == now.incarnation => Some(then),
            NodeState::Up(_) | NodeState::Down { .. } => None,
        });
        let grown =
            |count: fn(&NodeStatus) -> u64| count(now).saturating_sub(then.map_or(0, count));
        found.gets += grown(|status| status.gets);
        found.puts += grown(|status| status.puts);
        found.speculative += grown(|status| status.speculation.sent + status.speculation.replaced);
        found.speculative_won += grown(|status| status.speculation.won);
        found.repaired += grown(|status| status.repaired);
        found.missed += grown(|status| status.missed);
    }
    Some(found)
}

/// Median round trips between datacenters.
fn links(reports: &[NodeReport]) -> Vec<LinkTime> {
    let dc =
        |node: &str| reports.iter().find(|r| r.node.as_str() == node).map(|r| r.dc.to_string());
    let mut times: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    for report in reports {
        let NodeState::Up(status) = &report.state else { continue };
        for peer in &status.peers {
            if let (Some(rtt), Some(to)) = (peer.rtt, dc(peer.node.as_str())) {
                let pair = (report.dc.to_string(), to);
                times.entry(pair).or_default().push(rtt.as_secs_f64() * 1e3);
            }
        }
    }
    let link = |((from, to), mut times): ((String, String), Vec<f64>)| {
        times.sort_by(f64::total_cmp);
        let milliseconds = times.get(times.len() / 2).copied().unwrap_or_default();
        LinkTime { from, to, milliseconds, pairs: times.len() }
    };
    times.into_iter().map(link).collect()
}
