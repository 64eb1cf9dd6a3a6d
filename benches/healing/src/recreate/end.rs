//! The end: everything is mended, and every replica holds exactly what it should.

use std::time::Instant;

use atoll_client::{Client, Level, RepairCommand, ReplicaReport, ReplicaState, TombstonesReport};

use super::rounds::{Owned, Tally, shown};
use crate::{ASKED_AT_ONCE, pending, until, waiting};
use rig::DevCluster;
use rig::Failure;

/// Keys that are named when it goes wrong.
const NAMED_MAX: usize = 5;

/// Waits until hints are delivered and deletions purged, and checks all keys; then compares everything, and checks again.
pub(super) async fn check(
    cluster: &DevCluster,
    client: &Client,
    (keys, tally): (&[Owned], &Tally),
) -> Result<(), Failure> {
    let since = Instant::now();
    let say = |what: &str| println!("{what} {:.1} s after the end", since.elapsed().as_secs_f64());
    cluster.wait_until_up().await?;
    let admin = cluster.admin().await?;
    // A node that is busy, or has just started, may not answer the first question.
    until(since, || async { Ok(waiting(client).await.unwrap_or(1) == 0) }).await?;
    say("hints delivered");
    for round in ["in the end", "after comparing everything"] {
        // Asking for a key repairs it, so that replicas are looked at first.
        let purged = until(since, || async { Ok(dead(client).await == 0) }).await;
        if let Err(error) = purged {
            return Err(format!("{error}: {:?}", client.tombstones().await).into());
        }
        say("deletions purged");
        let wrong = until(since, || async { Ok(wrong(client, keys).await?.is_empty()) }).await;
        if let Err(error) = wrong {
            let named = self::wrong(client, keys).await?;
            return Err(format!("{error}: {} keys, such as {named:#?}", named.len()).into());
        }
        say("replicas equal, or empty");
        read(client, (keys, tally), round).await?;
        admin.repair(RepairCommand::Start).await?;
        until(since, || async { Ok(pending(client).await.unwrap_or(1) == 0) }).await?;
        say("comparisons done");
    }
    Ok(())
}

/// Deletions that wait at all nodes; a node that does not answer counts as one.
async fn dead(client: &Client) -> u64 {
    let of = |report: &TombstonesReport| match &report.told {
        Ok(status) => status.waiting,
        Err(_) => 1,
    };
    client.tombstones().await.map_or(1, |reports| reports.iter().map(of).sum())
}

/// Keys whose replicas are neither all without a record nor all with the same one that has a value.
async fn wrong(client: &Client, keys: &[Owned]) -> Result<Vec<String>, Failure> {
    let mut wrong = Vec::new();
    for some in keys.chunks(ASKED_AT_ONCE) {
        let asked: Vec<_> = some
            .iter()
            .map(|owned| {
                let (client, key) = (client.clone(), owned.key.clone());
                tokio::spawn(async move { client.explain("default", key).await })
            })
            .collect();
        for (owned, explained) in some.iter().zip(asked) {
            let explained = explained.await?;
            let Ok(explained) = explained else {
                wrong.push(owned.key.clone());
                continue;
            };
            let is_right = is_settled(&explained.replicas);
            if !is_right && wrong.len() < NAMED_MAX {
                wrong.push(format!("{}: {:?}", owned.key, explained.replicas));
            }
        }
    }
    Ok(wrong)
}

/// Whether none has a record, or all have the same one, with a value.
fn is_settled(replicas: &[ReplicaReport]) -> bool {
    let records: Vec<Option<u128>> = replicas
        .iter()
        .filter_map(|replica| match &replica.state {
            ReplicaState::Present { versions, digest } => {
                let has_value = versions.iter().any(|version| version.length.is_some());
                has_value.then_some(Some(*digest))
            }
            ReplicaState::Absent => Some(None),
            ReplicaState::Unreachable { .. } => None,
        })
        .collect();
    records.len() == replicas.len() && records.iter().all(|record| *record == records[0])
}

/// Reads every key at ALL: there is what should be.
async fn read(
    client: &Client,
    (keys, tally): (&[Owned], &Tally),
    when: &str,
) -> Result<(), Failure> {
    let keyspace = client.keyspace("default");
    let (since, mut values) = (Instant::now(), 0);
    for owned in keys {
        let found = std::sync::Mutex::new(None);
        until(since, || async {
            let answer = keyspace.get(&owned.key).level(Level::All).await.ok();
            let is_answered = answer.is_some();
            *found.lock().expect("nobody panics with it") = answer;
            Ok(is_answered)
        })
        .await?;
        let found = found.into_inner().expect("nobody panics with it");
        let shown = found.as_ref().map(shown).unwrap_or_default();
        tally.note(when, owned, &owned.truth.on_end(&shown));
        values += shown.len();
    }
    println!("{} keys read at ALL {when}: {values} values", keys.len());
    Ok(())
}
