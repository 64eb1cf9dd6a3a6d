//! `atoll fault`: partitions, delays and losses between datacenters or nodes, at run time.
//!
//! 1. A [`FaultOrder`] names two sides; each is a node or all nodes of a datacenter (`names.rs`).
//! 2. [`plan`] makes one command per node of both sides: the links to the other side, as this end sees them.
//! 3. [`apply`] sends them as an admin. A node that does not answer is passed over and reported: it may be dead, or cut
//!    off by the very fault.
//!
//! Invariants
//! - Both ends of a link are told the same, so that a fault works in both directions.
//! - `delay` adds to the emulated WAN, in each direction; `heal` takes back everything but the WAN.

use std::collections::BTreeMap;
use std::io::{self, Write};

use atoll_client::Client;
use atoll_protocol::ids::Name;
use atoll_protocol::topology::Topology;
use atoll_protocol::wire::{FaultCommand, LinkFault};
use futures_util::StreamExt;
use serde::Serialize;

use super::names::{UnknownName, everybody_else, expand, links_between};

/// Nodes that are told at the same time.
const CONCURRENCY: usize = 16;

/// All of them: a loss of 100 %.
const PER_MILLE_MAX: u16 = 1_000;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultOrder {
    /// Say what is in force.
    Show,
    /// Take back every fault.
    Heal,
    /// Change the links between two sides.
    Set {
        /// One side: a node or a datacenter.
        one: String,
        /// The other side; `None` is everybody else.
        other: Option<String>,
        /// What happens on the links.
        fault: LinkFault,
    },
}

/// Why a fault is not set.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// A name that is neither a node nor a datacenter.
    #[error(transparent)]
    UnknownName(#[from] UnknownName),
    /// Both sides are the same node.
    #[error(
        "there is no link between `{one}` and `{other}`; name two different nodes or datacenters"
    )]
    NoLink {
        /// One side.
        one: String,
        /// The other side.
        other: String,
    },
    /// Not a percentage.
    #[error("`{text}` is not a percentage; write 0.1 to 100, such as 5 or 2.5")]
    Percent {
        /// What was given.
        text: String,
    },
    /// The node refused, or the client is not an admin.
    #[error("{node}: {error}")]
    Refused {
        /// The node.
        node: Name,
        /// What it said.
        error: atoll_client::Error,
    },
    /// No node answered.
    #[error("no node answered: {reason}")]
    NobodyAnswered {
        /// What the last one's connection said.
        reason: String,
    },
}

/// What one node answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaultReport {
    /// The node.
    pub node: String,
    /// What is in force on its links, one line each.
    pub links: Vec<String>,
    /// Why it was passed over.
    pub skipped: Option<String>,
}

/// A loss in percent as thousandths.
///
/// # Errors
/// [`FaultError::Percent`] for anything but 0.1 to 100 with at most one digit after the point.
pub fn parse_percent(text: &str) -> Result<u16, FaultError> {
    let wrong = || FaultError::Percent { text: text.chars().take(32).collect() };
    let number = text.strip_suffix('%').unwrap_or(text);
    let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
    let is_plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain(whole) || !is_plain(tenths) || tenths.len() != 1 {
        return Err(wrong());
    }
    let whole: u16 = whole.parse().map_err(|_| wrong())?;
    let tenths: u16 = tenths.parse().map_err(|_| wrong())?;
    let per_mille = whole.checked_mul(10).and_then(|whole| whole.checked_add(tenths));
    per_mille.filter(|per_mille| (1..=PER_MILLE_MAX).contains(per_mille)).ok_or_else(wrong)
}

/// What each node has to be told, in the order of the topology.
///
/// # Errors
/// [`FaultError::UnknownName`], [`FaultError::NoLink`].
pub(super) fn plan(
    topology: &Topology,
    order: &FaultOrder,
) -> Result<Vec<(Name, FaultCommand)>, FaultError> {
    let (one, other, fault) = match order {
        FaultOrder::Show => return Ok(for_all(topology, &FaultCommand::Show)),
        FaultOrder::Heal => return Ok(for_all(topology, &FaultCommand::Heal)),
        FaultOrder::Set { one, other, fault } => (one, other, *fault),
    };
    let near = expand(topology, one)?;
    let far = match other {
        Some(other) => expand(topology, other)?,
        None => everybody_else(topology, &near),
    };
    let mut links: BTreeMap<Name, Vec<Name>> = links_between(&near, &far);
    if links.is_empty() {
        let other = other.clone().unwrap_or_else(|| "everybody else".to_owned());
        return Err(FaultError::NoLink { one: one.clone(), other });
    }
    let in_order = topology.nodes().iter().filter_map(|node| {
        let nodes = links.remove(&node.name)?;
        Some((node.name.clone(), FaultCommand::Set { nodes, fault }))
    });
    Ok(in_order.collect())
}

fn for_all(topology: &Topology, command: &FaultCommand) -> Vec<(Name, FaultCommand)> {
    let nodes = topology.nodes().iter();
    nodes.map(|node| (node.name.clone(), command.clone())).collect()
}

/// Carries out `order` through `client`, which must be an admin's. Reports are in the order of the topology.
///
/// # Errors
/// [`FaultError`]; a node that refuses stops it, one that does not answer does not.
pub async fn apply(client: &Client, order: &FaultOrder) -> Result<Vec<FaultReport>, FaultError> {
    let view = client.cluster().await;
    let view = view.map_err(|error| FaultError::NobodyAnswered { reason: error.to_string() })?;
    let commands = plan(&view.topology, order)?;
    let told = futures_util::stream::iter(commands)
        .map(|(node, command)| async move {
            let answer = client.fault(node.as_str(), command).await;
            (node, answer)
        })
        .buffered(CONCURRENCY);
    let answers: Vec<_> = told.collect().await;
    let mut reports = Vec::with_capacity(answers.len());
    let mut silent = None;
    for (node, answer) in answers {
        let (links, skipped) = match answer {
            Ok(links) => (links, None),
            Err(error) if error.is_retryable() => (Vec::new(), Some(error.to_string())),
            Err(error) => return Err(FaultError::Refused { node, error }),
        };
        silent = skipped.clone().or(silent);
        reports.push(FaultReport { node: node.to_string(), links, skipped });
    }
    match silent {
        Some(reason) if reports.iter().all(|report| report.skipped.is_some()) => {
            Err(FaultError::NobodyAnswered { reason })
        }
        Some(_) | None => Ok(reports),
    }
}

/// Prints reports for people: links to `out`, nodes that were passed over to `talk`.
///
/// # Errors
/// What the writers say.
pub fn print_reports(
    reports: &[FaultReport],
    out: &mut dyn Write,
    talk: &mut dyn Write,
) -> io::Result<()> {
    for FaultReport { node, links, skipped } in reports {
        if let Some(reason) = skipped {
            writeln!(talk, "warning: {node} was passed over: {reason}")?;
            continue;
        }
        if links.is_empty() {
            writeln!(out, "{node}: no delays and no faults")?;
        }
        for link in grouped(links) {
            writeln!(out, "{node} {link}")?;
        }
    }
    Ok(())
}

/// Joins neighbouring lines of the form `→ NODE: what` that say the same: `→ us-1, us-2: what`.
pub(super) fn grouped(links: &[String]) -> Vec<String> {
    let mut groups: Vec<(String, &str)> = Vec::new();
    for link in links {
        let (nodes, what) = link.split_once(": ").unwrap_or((link, ""));
        match groups.last_mut() {
            Some((others, same)) if *same == what => {
                others.push_str(", ");
                others.push_str(nodes.trim_start_matches("→ "));
            }
            Some(_) | None => groups.push((nodes.to_owned(), what)),
        }
    }
    let line = |(nodes, what): (String, &str)| format!("{nodes}: {what}");
    groups.into_iter().map(line).collect()
}
