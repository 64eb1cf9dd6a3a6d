//! `atoll demo`: the two-minute tour, which is also a test.
//!
//! Nine real processes in three datacenters in a temporary folder, an emulated ocean between them, and a client in each
//! datacenter. Every step says what it does, does it, and holds the result against what was promised.
//!
//! 1. Start the cluster (`site.rs`, by `crate::dev`).
//! 2. Load real data, find all of it in every datacenter (`records.rs`).
//! 3. Measure what each consistency level costs (`latency.rs`).
//! 4. Let two writers collide, see both values, merge them (`siblings.rs`).
//! 5. Kill a datacenter while the others write; bring it back; find every acknowledged write (`outage.rs`).
//! 6. Print the summary, stop the cluster, remove the folder.
//!
//! Invariants
//! - Success means that every acknowledged write was found again and every expectation held; anything else is an error.
//! - No process is left, and no folder either unless a step failed: then its logs are worth reading.

use std::io::Write;

use tempfile::TempDir;

use crate::dev::{DevCluster, Interrupts};
use crate::env::{Env, RealEnv};

mod error;
mod latency;
mod ledger;
mod outage;
mod records;
mod siblings;
mod site;
mod stage;
#[cfg(test)]
mod tests;
mod traffic;

pub use error::DemoError;
pub use stage::{Step, Summary};

use ledger::Ledger;
use site::Site;
use stage::Stage;

/// Runs the demo. Must be called in a tokio runtime.
///
/// # Errors
/// [`DemoError`]; what happened until then, and where the logs are, has been printed.
pub async fn run(out: &mut dyn Write) -> Result<Summary, DemoError> {
    let env = RealEnv::create();
    let mut interrupts = Interrupts::listen()?;
    let folder = tempfile::Builder::new().prefix("atoll-demo-").tempdir();
    let folder = folder.map_err(DemoError::Folder)?;
    let mut stage = Stage::new(env.clone(), out);
    stage.begin("Start three datacenters of three nodes")?;
    let cluster = tokio::select! {
        started = site::start(&env, folder.path()) => started?,
        signal = interrupts.next() => return Err(DemoError::Interrupted { signal }),
    };
    let mut ledger = Ledger::default();
    let toured = tokio::select! {
        toured = tour(&mut stage, (&env, &cluster), &mut ledger) => toured,
        signal = interrupts.next() => Err(DemoError::Interrupted { signal }),
    };
    let stopped = cluster.stop().await;
    let summary = stage.finish(ledger.count())?;
    match toured {
        Ok(()) => {
            stopped?;
            folder.close().map_err(DemoError::Folder)?;
            let (acked, took) = (summary.acked, summary.took.as_secs_f64());
            writeln!(out, "all {acked} acknowledged writes are there; {took:.0} s")?;
            Ok(summary)
        }
        Err(interrupted @ DemoError::Interrupted { .. }) => Err(interrupted),
        Err(error) => {
            report(out, &error, folder)?;
            Err(error)
        }
    }
}

async fn tour(
    stage: &mut Stage<'_>,
    (env, cluster): (&Env, &DevCluster),
    ledger: &mut Ledger,
) -> Result<(), DemoError> {
    let site = Site::open(stage, env, cluster).await?;
    let nodes = cluster.topology().nodes().len();
    stage.done(format!("{nodes} processes with an ocean between them, all connected"))?;
    records::load(stage, &site, ledger).await?;
    records::verify(stage, &site, ledger).await?;
    latency::measure(stage, &site).await?;
    siblings::collide(stage, &site).await?;
    outage::lose(stage, &site, ledger).await?;
    outage::refuse(stage, &site).await?;
    outage::recover(stage, &site, ledger).await
}

/// Says loudly what failed, and keeps the folder.
fn report(out: &mut dyn Write, error: &DemoError, folder: TempDir) -> std::io::Result<()> {
    let kept = folder.keep();
    writeln!(out, "THE DEMO FAILED: {error}")?;
    writeln!(out, "the nodes' logs and data are kept: {}", kept.join("nodes").display())?;
    out.flush()
}
