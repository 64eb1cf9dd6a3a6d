//! Steps about records: load the world's time zones in one datacenter, find them in all.
//!
//! 1. Put at `LOCAL_QUORUM`: acknowledged by two replicas of the home datacenter; the others get their copy meanwhile.
//! 2. Get at `LOCAL_QUORUM` from every datacenter. There a record may arrive a little later than its acknowledgement:
//!    those are waited for and counted.
//! 3. Get at `QUORUM`: now every record is in a majority of every datacenter, so a majority of all replicas must know it
//!    at the first try.

use atoll_client::Level;

use super::DemoError;
use super::ledger::{Ledger, time_zones};
use super::site::Site;
use super::stage::Stage;

/// Operations at the same time: at 120 ms each, 500 a second, which leaves two cores some air.
const CONCURRENCY: usize = 64;

/// Loads the records.
pub(super) async fn load(
    stage: &mut Stage<'_>,
    site: &Site<'_>,
    ledger: &mut Ledger,
) -> Result<(), DemoError> {
    let (home, entries) = (site.home(), time_zones());
    stage.begin(&format!("Load {} time zones in {home}", entries.len()))?;
    let traffic = site.traffic(home, Level::LocalQuorum, CONCURRENCY);
    let written = traffic.write(&entries).await;
    let outcome = written.map_err(|what| stage.failure(what))?;
    if let Some(reason) = &outcome.reason {
        stage.say(&format!("{} put(s) were repeated: {reason}", outcome.repeated))?;
    }
    let acked = entries.len();
    ledger.extend(entries);
    stage.done(format!("{acked} acknowledged at LOCAL_QUORUM, slowest {:.0?}", outcome.slowest))?;
    Ok(())
}

/// Finds the records in every datacenter.
pub(super) async fn verify(
    stage: &mut Stage<'_>,
    site: &Site<'_>,
    ledger: &Ledger,
) -> Result<(), DemoError> {
    stage.begin("Find every record in every datacenter")?;
    let mut late = 0;
    for dc in site.dcs() {
        let traffic = site.traffic(dc, Level::LocalQuorum, CONCURRENCY);
        let read = traffic.read(&ledger.entries()).await;
        let outcome = read.map_err(|what| stage.failure(format!("in {dc}: {what}")))?;
        late += outcome.repeated;
        let count = ledger.count();
        stage.say(&format!(
            "{dc}: {count} of {count} at LOCAL_QUORUM, {} after a moment",
            outcome.repeated
        ))?;
    }
    let reads = read_everywhere(stage, site, ledger).await?;
    stage.done(format!(
        "{reads} of {reads} at LOCAL_QUORUM ({late} after a moment), {reads} of {reads} at QUORUM"
    ))?;
    Ok(())
}

/// Reads all of `ledger` at `QUORUM` from every datacenter, and says how many reads that were.
///
/// # Errors
/// [`DemoError::Failed`] when a record is not there, or not at the first try: quorums overlap.
pub(super) async fn read_everywhere(
    stage: &mut Stage<'_>,
    site: &Site<'_>,
    ledger: &Ledger,
) -> Result<usize, DemoError> {
    let mut reads = 0;
    for dc in site.dcs() {
        let traffic = site.traffic(dc, Level::Quorum, CONCURRENCY);
        let read = traffic.read(&ledger.entries()).await;
        let outcome = read.map_err(|what| stage.failure(format!("in {dc}: {what}")))?;
        if let Some(reason) = outcome.reason {
            stage.say(&format!("{dc}: {} read(s) were repeated: {reason}", outcome.repeated))?;
        }
        reads += ledger.count();
    }
    Ok(reads)
}
