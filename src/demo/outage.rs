//! Steps about the loss of a datacenter: kill it while others write, and bring it back.
//!
//! 1. Writers in the surviving datacenters put at `LOCAL_QUORUM` and `QUORUM`; a moment later every node of one
//!    datacenter gets SIGKILL. They go on for longer than the loss goes unnoticed. All puts must be acknowledged.
//! 2. `EACH_QUORUM` cannot be met any more and says so before it writes anything: `Unavailable`.
//! 3. The datacenter starts again, and every write that was ever acknowledged is read at `QUORUM` from everywhere.
//!
//! Invariants
//! - Every writer has puts that begin after the last process of the lost datacenter has ended.

use std::time::Duration;

use atoll_client::{Failure, Level};
use atoll_protocol::ids::Name;
use atoll_protocol::time::MonoTime;
use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};

use super::DemoError;
use super::ledger::{Entry, Ledger};
use super::records::read_everywhere;
use super::site::{LOST, Site};
use super::stage::Stage;
use super::traffic::{Outcome, Success, Traffic};
use crate::dev::Verb;

/// Puts of one writer at the same time.
const HANDS: usize = 8;

/// Pause of each hand between two puts: the demo shows that writes go on, not how many there can be.
const REST: Duration = Duration::from_millis(100);

/// How long writers write before the kill.
const UNDISTURBED: Duration = Duration::from_millis(500);

/// How long they write in all: the loss goes unnoticed for up to four seconds (QUIC's idle time-out), and then some.
const WRITING: Duration = Duration::from_secs(6);

/// Longest wait until the loss is noticed.
const NOTICE_MAX: Duration = Duration::from_secs(15);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// One writer: a datacenter and a level.
struct Writer {
    dc: Name,
    level: Level,
    traffic: Traffic,
}

/// Kills a datacenter while the others write.
pub(super) async fn lose(
    stage: &mut Stage<'_>,
    site: &Site<'_>,
    ledger: &mut Ledger,
) -> Result<(), DemoError> {
    stage.begin(&format!("Kill all of {LOST} while others write"))?;
    let levels = [Level::LocalQuorum, Level::Quorum];
    let writers = site.survivors().flat_map(|dc| levels.map(|level| writer(site, dc, level)));
    let writers: Vec<Writer> = writers.collect();
    let until = site.env.mono().after(WRITING);
    let writing = join_all(writers.iter().map(|writer| writer.write(until)));
    let killing = async {
        site.env.sleep(UNDISTURBED).await;
        let killed = site.cluster.steer(Verb::Kill, LOST).await;
        killed.map(|_| site.env.mono())
    };
    let (written, killed_at) = tokio::join!(writing, killing);
    let killed_at = killed_at?;
    let mut acked = 0;
    for (writer, written) in writers.iter().zip(written) {
        let written = written.map_err(|what| stage.failure(format!("in {}: {what}", writer.dc)))?;
        let after = after(killed_at, &written);
        if after == 0 {
            return Err(
                stage.failure(format!("nothing was written in {} after the kill", writer.dc))
            );
        }
        acked += written.len();
        stage.say(&told(writer, &written, after))?;
        ledger.extend(written.into_iter().map(|(entry, _)| entry));
    }
    stage.done(format!("SIGKILL for three nodes, {acked} of {acked} writes acknowledged"))?;
    Ok(())
}

fn writer(site: &Site<'_>, dc: &Name, level: Level) -> Writer {
    Writer { dc: dc.clone(), level, traffic: site.traffic(dc, level, HANDS) }
}

impl Writer {
    /// Writes new keys until then.
    async fn write(&self, until: MonoTime) -> Result<Vec<(Entry, Success)>, String> {
        let hands = (0..self.traffic.concurrency).map(|hand| self.write_with(hand, until));
        Ok(try_join_all(hands).await?.concat())
    }

    async fn write_with(
        &self,
        hand: usize,
        until: MonoTime,
    ) -> Result<Vec<(Entry, Success)>, String> {
        let env = &self.traffic.env;
        let mut written = Vec::new();
        while env.mono() < until {
            let number = written.len();
            let key = format!("outage/{}/{}/{hand}/{number}", self.dc, self.level);
            let value = Bytes::from(format!("written while {LOST} was lost, {number}"));
            let entry = Entry { key, value };
            let success = self.traffic.write_one(&entry).await?;
            written.push((entry, success));
            env.sleep(REST).await;
        }
        Ok(written)
    }
}

/// Writes that began after the kill.
fn after(killed_at: MonoTime, written: &[(Entry, Success)]) -> usize {
    let begun = written.iter().filter(|(_, success)| success.begun >= killed_at);
    begun.count()
}

fn told(writer: &Writer, written: &[(Entry, Success)], after: usize) -> String {
    let mut outcome = Outcome::default();
    for (_, success) in written {
        outcome.add(success.clone());
    }
    let Writer { dc, level, .. } = writer;
    let (acked, slowest) = (written.len(), outcome.slowest);
    let mut text = format!(
        "{dc} {level:<12} {acked} acknowledged, {after} of them begun after the kill; slowest {slowest:.0?}"
    );
    if let Some(reason) = &outcome.reason {
        text.push_str(&format!("; {} repeated: {reason}", outcome.repeated));
    }
    text
}

/// Asks for what cannot be had, and expects an honest answer.
pub(super) async fn refuse(stage: &mut Stage<'_>, site: &Site<'_>) -> Result<(), DemoError> {
    let home = site.home();
    stage.begin(&format!("Ask for EACH_QUORUM without {LOST}"))?;
    let keyspace = site.keyspace(home);
    let deadline = site.env.mono().after(NOTICE_MAX);
    loop {
        let put = keyspace.put("demo/each", "impossible").level(Level::EachQuorum);
        let found = match put.await {
            Err(error) => match error.failure() {
                Some(Failure::Unavailable { dc: Some(dc), .. })
                    if dc.as_str() == LOST && !error.may_have_applied() =>
                {
                    stage.say(&error.to_string())?;
                    break;
                }
                _ => error.to_string(),
            },
            Ok(_) => return Err(stage.failure(format!("acknowledged, and {LOST} is dead"))),
        };
        if site.env.mono() >= deadline {
            return Err(stage.failure(format!("expected Unavailable in {LOST}, found: {found}")));
        }
        site.env.sleep(PAUSE).await;
    }
    stage.done("refused, and nothing was written".to_owned())?;
    Ok(())
}

/// Brings the datacenter back and looks for every acknowledged write from everywhere.
pub(super) async fn recover(
    stage: &mut Stage<'_>,
    site: &Site<'_>,
    ledger: &Ledger,
) -> Result<(), DemoError> {
    stage.begin(&format!("Restart {LOST}, find every write"))?;
    site.cluster.steer(Verb::Start, LOST).await?;
    site.cluster.wait_ready().await?;
    stage.say("all nodes are connected again")?;
    let reads = read_everywhere(stage, site, ledger).await?;
    let count = ledger.count();
    stage.done(format!(
        "{count} acknowledged, {reads} of {reads} found at QUORUM from three sides"
    ))?;
    Ok(())
}
