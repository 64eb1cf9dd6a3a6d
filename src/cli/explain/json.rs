//! The explanation as JSON: the same facts as the tables, with units in the names.
//!
//! Invariants
//! - Member names are stable: scripts depend on them.

use atoll_client::{Explanation, Name};
use atoll_protocol::token::Token;
use atoll_protocol::wire::ReplicaState;
use serde::Serialize;

use super::{Findings, when};
use crate::cli::output::moment;

/// The explanation as JSON.
#[derive(Serialize)]
pub(super) struct ExplainJson<'a> {
    token: String,
    partition: u32,
    replicas: Vec<ReplicaJson<'a>>,
    fallbacks: &'a [Name],
    agree: bool,
    without_local_quorum: &'a [&'a Name],
}

#[derive(Serialize)]
struct ReplicaJson<'a> {
    dc: &'a Name,
    node: &'a Name,
    rack: &'a Name,
    #[serde(flatten)]
    state: StateJson<'a>,
    serves_local_quorum: bool,
    rtt_us: Option<u64>,
}

#[derive(Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum StateJson<'a> {
    Present { digest: String, versions: Vec<VersionJson> },
    Absent,
    Unreachable { reason: &'a str },
}

#[derive(Serialize)]
struct VersionJson {
    dot: String,
    written_at: String,
    /// `null` for a deletion.
    bytes: Option<u32>,
}

impl<'a> ExplainJson<'a> {
    /// The document of `explained`.
    pub(super) fn of(explained: &'a Explanation, findings: &'a Findings<'a>) -> Self {
        let replicas = explained.replicas.iter().map(|report| ReplicaJson {
            dc: &report.dc,
            node: &report.node,
            rack: &report.rack,
            state: state_json(&report.state),
            serves_local_quorum: findings.serving.contains(&report.node),
            rtt_us: report.rtt.map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
        });
        Self {
            token: Token(explained.token).to_string(),
            partition: explained.partition,
            replicas: replicas.collect(),
            fallbacks: &explained.fallbacks,
            agree: findings.groups.len() <= 1,
            without_local_quorum: &findings.without_quorum,
        }
    }
}

fn state_json(state: &ReplicaState) -> StateJson<'_> {
    match state {
        ReplicaState::Absent => StateJson::Absent,
        ReplicaState::Unreachable { reason } => StateJson::Unreachable { reason },
        ReplicaState::Present { versions, digest } => {
            let versions = versions.iter().map(|version| VersionJson {
                dot: version.dot.to_string(),
                written_at: moment(when(version.timestamp)),
                bytes: version.length,
            });
            StateJson::Present { digest: format!("{digest:032x}"), versions: versions.collect() }
        }
    }
}
