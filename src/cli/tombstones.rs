//! `atoll tombstones`: which deletions and expired values wait to be purged, and for whom.
//!
//! They are purged by themselves; nothing here has to be typed.
//!
//! Invariant: member names of the document are stable: scripts depend on them.

use atoll_client::{PurgeObstacle, Role, TombstonesReport, TombstonesStatus};
use clap::Args;
use serde::Serialize;

use super::common::{NodeJson, ReachArgs};
use super::context::connect;
use super::exit::Error;
use super::output::{Align, Columns, Console, NOTHING, ReportFormat, size, span};

#[cfg(test)]
mod tests;

/// Show which deletions and expired values wait to be purged, and for whom; they are purged by themselves
#[derive(Debug, Args)]
pub(super) struct TombstonesArgs {
    #[command(flatten)]
    reach: ReachArgs,
}

/// What a node tells. `purged` is since it started.
#[derive(Serialize)]
struct FactsJson<'a> {
    purge_after_seconds: u64,
    waiting: u64,
    bytes: u64,
    oldest_seconds: Option<u64>,
    purged: u64,
    obstacles: Vec<ObstacleJson<'a>>,
}

/// What some of it waits for.
#[derive(Serialize)]
struct ObstacleJson<'a> {
    node: &'a str,
    reason: &'a str,
    keys: u64,
    since_seconds: u64,
}

/// `atoll tombstones`.
pub(super) async fn tombstones(args: TombstonesArgs, console: &mut Console) -> Result<(), Error> {
    let client = connect(&args.reach.connect, Role::Client).await?;
    let reports = client.tombstones().await.map_err(Error::read)?;
    client.close().await;
    match args.reach.output.output {
        ReportFormat::Table => console.data(table(&reports).render(0)),
        ReportFormat::Json => console.json(&document(&reports)),
    }
}

/// A line for each node that looks after deletions and what they wait for; nodes that wait for nothing have one as well.
fn table(reports: &[TombstonesReport]) -> Columns {
    let mut table = Columns::new(&[
        ("NODE", Align::Left),
        ("DC", Align::Left),
        ("WAITING", Align::Right),
        ("BYTES", Align::Right),
        ("OLDEST", Align::Right),
        ("PURGED", Align::Right),
        ("BLOCKED BY", Align::Left),
        ("KEYS", Align::Right),
        ("FOR", Align::Right),
        ("NOTE", Align::Left),
    ]);
    for report in reports {
        let names = [report.node.to_string(), report.dc.to_string()];
        let mut row = |counts: [String; 4], blocked: [String; 3], note: &str| {
            let cells = names.iter().cloned().chain(counts).chain(blocked);
            table.row(cells.chain([note.to_owned()]));
        };
        let nothing = || NOTHING.to_owned();
        match &report.told {
            Err(reason) => row([(); 4].map(|()| nothing()), [(); 3].map(|()| nothing()), reason),
            Ok(status) if status.obstacles.is_empty() => {
                row(counts(status), [(); 3].map(|()| nothing()), "");
            }
            Ok(status) => {
                for obstacle in &status.obstacles {
                    row(counts(status), cells(obstacle), &obstacle.reason);
                }
            }
        }
    }
    table
}

fn counts(status: &TombstonesStatus) -> [String; 4] {
    [
        status.waiting.to_string(),
        size(status.bytes),
        status.oldest.map_or(NOTHING.to_owned(), span),
        status.purged.to_string(),
    ]
}

fn cells(obstacle: &PurgeObstacle) -> [String; 3] {
    [obstacle.node.to_string(), obstacle.keys.to_string(), span(obstacle.since)]
}

fn document(reports: &[TombstonesReport]) -> Vec<NodeJson<'_, FactsJson<'_>>> {
    let nodes = reports.iter();
    nodes.map(|report| NodeJson::new((&report.node, &report.dc), &report.told, facts)).collect()
}

fn facts(status: &TombstonesStatus) -> FactsJson<'_> {
    FactsJson {
        purge_after_seconds: status.purge_after.as_secs(),
        waiting: status.waiting,
        bytes: status.bytes,
        oldest_seconds: status.oldest.map(|age| age.as_secs()),
        purged: status.purged,
        obstacles: status.obstacles.iter().map(obstacle_json).collect(),
    }
}

fn obstacle_json(obstacle: &PurgeObstacle) -> ObstacleJson<'_> {
    ObstacleJson {
        node: obstacle.node.as_str(),
        reason: &obstacle.reason,
        keys: obstacle.keys,
        since_seconds: obstacle.since.as_secs(),
    }
}
