//! Deletions and expired values are forgotten once every replica has seen them, and never come back.
//!
//! A second after a deletion is soon enough here; ten minutes are the default. Counts are exact: what is purged twice had
//! come back in between.

use std::time::Duration;

use atoll_client::{Client, Keyspace, Level, ReplicaState, Versions};
use serde_json::Value;

use crate::harness::{Cli, Cluster, Outcome, Seats, until};

const KEYS: usize = 60;

/// Further keys, whose values expire.
const EXPIRING: usize = 20;

/// No get lasts longer, either: what may be too slow for it on a busy machine is tried again.
const PURGE_AFTER: &str = "1s";

/// Much longer than it takes to purge what nothing is in the way of.
const BLOCKED_SECONDS: u64 = 5;

fn key(number: usize) -> String {
    format!("key-{number}")
}

fn expiring(number: usize) -> String {
    format!("expiring-{number}")
}

async fn start() -> Cluster {
    let seats = Seats::all().await;
    Cluster::start_varied(seats, &[("eu", 3)], &[], |raw| {
        raw.repair.purge_after = Some(PURGE_AFTER.to_owned());
    })
    .await
}

/// What every running node says of its deletions.
async fn tombstones(cluster: &Cluster) -> Vec<Value> {
    let listed = cluster.cli().ok(&["tombstones", "-o", "json"]).await.json();
    listed.as_array().unwrap().iter().filter(|node| node["error"].is_null()).cloned().collect()
}

fn sum(nodes: &[Value], counter: &str) -> u64 {
    nodes.iter().map(|node| node[counter].as_u64().unwrap()).sum()
}

/// Waits until nothing waits at the three nodes, and so many keys were purged since they started.
async fn all_purged(cluster: &Cluster, keys: usize) {
    until(&format!("{keys} keys are purged"), async || {
        let nodes = tombstones(cluster).await;
        let purged = sum(&nodes, "purged");
        assert!(purged <= keys as u64, "more than there were: {nodes:?}");
        let is_done = nodes.len() == 3 && sum(&nodes, "waiting") == 0 && purged == keys as u64;
        if is_done { Ok(()) } else { Err(format!("{nodes:?}")) }
    })
    .await;
}

/// Asserts that no replica has a record of `key`.
async fn check_absent(client: &Client, key: &str) {
    let explained = until("every replica answers", async || {
        let explained = client.explain("default", key).await.map_err(|error| error.to_string())?;
        let is_silent = |state: &ReplicaState| matches!(state, ReplicaState::Unreachable { .. });
        let are_there = !explained.replicas.iter().any(|replica| is_silent(&replica.state));
        if are_there { Ok(explained) } else { Err(format!("{explained:?}")) }
    })
    .await;
    assert_eq!(explained.replicas.len(), 3);
    for replica in &explained.replicas {
        assert!(matches!(replica.state, ReplicaState::Absent), "{key}: {explained:?}");
    }
}

async fn read(keyspace: &Keyspace, key: &str, level: Level) -> Versions {
    until("a get is answered", async || {
        keyspace.get(key).level(level).await.map_err(|error| error.to_string())
    })
    .await
}

async fn write(keyspace: &Keyspace) {
    for number in 0..KEYS {
        keyspace.put(key(number), format!("value {number}")).level(Level::All).await.unwrap();
    }
}

async fn delete(keyspace: &Keyspace, level: Level) {
    for number in 0..KEYS {
        let seen = read(keyspace, &key(number), level).await;
        keyspace.delete(key(number)).resolves(&seen).level(level).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_or_has_expired_is_forgotten_everywhere() {
    let cluster = start().await;
    let client = cluster.client().await;
    let keyspace = client.keyspace("default");
    write(&keyspace).await;
    for number in 0..EXPIRING {
        let put = keyspace.put(expiring(number), "for a second").ttl(Duration::from_secs(1));
        put.level(Level::All).await.unwrap();
    }
    keyspace.put("kept", "value").level(Level::All).await.unwrap();
    delete(&keyspace, Level::All).await;
    all_purged(&cluster, KEYS + EXPIRING).await;
    for gone in (0..KEYS).map(key).chain((0..EXPIRING).map(expiring)) {
        check_absent(&client, &gone).await;
        assert!(read(&keyspace, &gone, Level::All).await.is_none(), "{gone}");
    }
    // A new value is one, whatever was there before; also while others are purged around it.
    let created = |number: usize| number.is_multiple_of(2);
    for number in (0..KEYS).filter(|number| created(*number)) {
        keyspace.put(key(number), "anew").level(Level::All).await.unwrap();
    }
    for number in 0..EXPIRING {
        let written = keyspace.put(expiring(number), "again").level(Level::All).await.unwrap();
        let delete = keyspace.delete(expiring(number)).after(written.context());
        delete.level(Level::All).await.unwrap();
    }
    all_purged(&cluster, KEYS + 2 * EXPIRING).await;
    for number in 0..KEYS {
        let found = read(&keyspace, &key(number), Level::All).await;
        let values: Vec<_> = found.values().iter().map(|value| value.bytes().to_vec()).collect();
        let wanted = if created(number) { vec![b"anew".to_vec()] } else { vec![] };
        assert_eq!(values, wanted, "key {number}");
    }
    assert_eq!(read(&keyspace, "kept", Level::All).await.values().len(), 1);
    let table = cluster.cli_with(|profile| profile.admin = None).ok(&["tombstones"]).await;
    assert!(table.text().contains("BLOCKED BY"), "{table}");
}

/// The deletion of a value that one replica still has waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_away_blocks_and_nothing_comes_back_with_it() {
    let mut cluster = start().await;
    let writer = cluster.client().await;
    write(&writer.keyspace("default")).await;
    cluster.kill(2);
    // This client has never met the one that is away.
    let client = cluster.client().await;
    let keyspace = client.keyspace("default");
    delete(&keyspace, Level::Quorum).await;
    let blocked_by = |nodes: &[Value], id: &str| {
        let of = |node: &Value| node["obstacles"].as_array().unwrap().clone();
        let all: Vec<Value> = nodes.iter().flat_map(of).collect();
        assert!(all.iter().all(|obstacle| obstacle["node"] == id), "{nodes:?}");
        let keys: u64 = all.iter().map(|obstacle| obstacle["keys"].as_u64().unwrap()).sum();
        let seconds = all.iter().map(|obstacle| obstacle["since_seconds"].as_u64().unwrap()).min();
        (keys, seconds.unwrap_or(0))
    };
    until("every deletion that is looked after has waited for eu-2 for a while", async || {
        let nodes = tombstones(&cluster).await;
        assert_eq!(sum(&nodes, "purged"), 0, "{nodes:?}");
        let (keys, seconds) = blocked_by(&nodes, "eu-2");
        // What the node that is away leads nobody counts.
        let is_all = keys > 0 && keys == sum(&nodes, "waiting");
        let is_done = is_all && seconds >= BLOCKED_SECONDS;
        if is_done { Ok(()) } else { Err(format!("{nodes:?}")) }
    })
    .await;
    let nodes = tombstones(&cluster).await;
    assert_eq!(sum(&nodes, "purged"), 0, "{nodes:?}");
    let table = cluster.cli().ok(&["tombstones"]).await;
    assert!(table.text().contains("it is away"), "{table}");

    cluster.restart(2).await;
    all_purged(&cluster, KEYS).await;
    check_gone_for_good(&cluster, &client).await;
}

/// Each of three nodes leads a third of the partitions: what is away with it, nobody else purges.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_leads_is_away_and_purges_when_it_is_back() {
    let mut cluster = start().await;
    let writer = cluster.client().await;
    write(&writer.keyspace("default")).await;
    cluster.kill(0);
    let client = cluster.client().await;
    delete(&client.keyspace("default"), Level::Quorum).await;
    let nodes = cluster.cli().ok(&["tombstones", "-o", "json"]).await.json();
    let silent = nodes.as_array().unwrap().iter().filter(|node| !node["error"].is_null());
    assert_eq!(silent.map(|node| node["node"].clone()).collect::<Vec<_>>(), ["eu-0"], "{nodes}");
    cluster.restart(0).await;
    all_purged(&cluster, KEYS).await;
    check_gone_for_good(&cluster, &client).await;
}

/// No replica has the keys, nobody reads them, and comparing everything once more changes nothing of that.
async fn check_gone_for_good(cluster: &Cluster, client: &Client) {
    for number in 0..KEYS {
        check_absent(client, &key(number)).await;
    }
    cluster.cli().ok(&["repair", "start"]).await;
    until("everything was compared", async || {
        let nodes = cluster.cli().ok(&["repair", "status", "-o", "json"]).await.json();
        let is_done = nodes.as_array().unwrap().iter().all(|node| node["pending"] == 0);
        if is_done { Ok(()) } else { Err(nodes.to_string()) }
    })
    .await;
    let keyspace = client.keyspace("default");
    for number in 0..KEYS {
        assert!(read(&keyspace, &key(number), Level::All).await.is_none(), "key {number}");
        check_absent(client, &key(number)).await;
    }
}

/// The command line within a session, and in a keyspace.
struct Within<'a> {
    cli: &'a Cli,
    session: &'a str,
    keyspace: &'a str,
}

impl Within<'_> {
    async fn run(&self, words: &[&str]) -> Outcome {
        let rest = ["--session", self.session, "--keyspace", self.keyspace];
        let outcome = self.cli.run(&[words, &rest].concat()).await;
        assert!(!outcome.stderr.contains("the session has seen more"), "{outcome}");
        outcome
    }

    /// Gets until the answer is no trouble of a busy machine.
    async fn get(&self, key: &str, level: &str) -> Outcome {
        until("a get is answered", async || {
            let outcome = self.run(&["get", key, "--level", level, "-o", "raw"]).await;
            let is_answer = matches!(outcome.code, Some(0 | 3));
            if is_answer { Ok(outcome) } else { Err(outcome.to_string()) }
        })
        .await
    }
}

/// A session has seen more of a key than any replica remembers, and is not told to wait for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_saw_what_was_purged_goes_on() {
    let mut cluster = start().await;
    let cli = cluster.cli();
    cli.ok(&["keyspace", "create", "settings", "--conflict", "lww"]).await;
    let session = cluster.path("session").display().to_string();
    let keyspaces = ["default", "settings"];
    let within = keyspaces.map(|keyspace| Within { cli: &cli, session: &session, keyspace });
    for within in &within {
        within.run(&["put", "deleted", "v", "--level", "ALL"]).await.expect_code(0);
        within.run(&["delete", "deleted", "--level", "ALL"]).await.expect_code(0);
        within.run(&["put", "expired", "v", "--ttl", "1s", "--level", "ALL"]).await.expect_code(0);
        within.run(&["put", "kept", "v", "--level", "ALL"]).await.expect_code(0);
    }
    all_purged(&cluster, 2 * keyspaces.len()).await;
    check_session(&within).await;
    // What replicas know of the past without its records outlives them.
    for index in 0..3 {
        assert!(cluster.stop(index).await.success());
        cluster.restart(index).await;
    }
    cluster.connected().await;
    check_session(&within).await;
    for within in &within {
        within.run(&["put", "deleted", "anew"]).await.expect_code(0);
        assert_eq!(within.get("deleted", "ONE").await.expect_code(0).stdout, b"anew");
    }
}

/// Who has lost everything has seen everything again once it is mended, what was purged included.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_at_a_node_that_lost_everything() {
    let mut cluster = start().await;
    let cli = cluster.cli();
    let session = cluster.path("session").display().to_string();
    let within = Within { cli: &cli, session: &session, keyspace: "default" };
    within.run(&["put", "deleted", "v", "--level", "ALL"]).await.expect_code(0);
    within.run(&["delete", "deleted", "--level", "ALL"]).await.expect_code(0);
    all_purged(&cluster, 1).await;
    assert!(cluster.stop(1).await.success());
    std::fs::remove_dir_all(cluster.path("eu-1")).unwrap();
    cluster.restart(1).await;
    cluster.connected().await;
    until("thirty gets in a row are served, by whichever node", async || {
        for _ in 0..30 {
            let outcome = cli.run(&["get", "deleted", "--session", &session]).await;
            if outcome.code != Some(3) {
                return Err(outcome.to_string());
            }
        }
        Ok(())
    })
    .await;
}

async fn check_session(within: &[Within<'_>]) {
    for within in within {
        for level in ["ONE", "LOCAL_QUORUM", "ALL"] {
            within.get("deleted", level).await.expect_code(3);
            within.get("expired", level).await.expect_code(3);
            assert_eq!(within.get("kept", level).await.expect_code(0).stdout, b"v", "{level}");
        }
    }
}
