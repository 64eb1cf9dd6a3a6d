//! P7: replicas become equal by themselves. Nobody reads a key in these tests: `explain` asks each replica what it has
//! and mends nothing.
//!
//! A cycle of anti-entropy takes an hour here, as by default: what is known to be missing does not wait for it.

use atoll_client::{Client, Level, Versions};

use crate::harness::{Cluster, Seats, replicas_equal, until};

const KEYS: usize = 60;

/// Puts of one key after its first.
const ROUNDS: usize = 2;

fn key(number: usize) -> String {
    format!("key-{number}")
}

/// Puts every key several times; every fifth one is deleted at the end.
async fn write(client: &Client, level: Level) {
    let keyspace = client.keyspace("default");
    for number in 0..KEYS {
        let mut written = keyspace.put(key(number), "first").level(level).await.unwrap();
        for round in 1..=ROUNDS {
            let value = format!("value {round} of {number}");
            let put = keyspace.put(key(number), value).after(written.context());
            written = put.level(level).await.unwrap();
        }
        if number % 5 == 0 {
            let delete = keyspace.delete(key(number)).after(written.context());
            delete.level(level).await.unwrap();
        }
    }
}

/// Waits until each key has the same record at `replicas` replicas.
async fn equal(client: &Client, replicas: usize) {
    for number in 0..KEYS {
        replicas_equal(client, &key(number), replicas).await;
    }
}

async fn check_values(client: &Client) {
    let keyspace = client.keyspace("default");
    for number in 0..KEYS {
        let got: Versions = keyspace.get(key(number)).level(Level::One).await.unwrap();
        let values: Vec<_> = got.values().iter().map(|value| value.bytes().to_vec()).collect();
        let wanted = format!("value {ROUNDS} of {number}").into_bytes();
        let is_deleted = number % 5 == 0;
        assert_eq!(values, if is_deleted { vec![] } else { vec![wanted] }, "key {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_gets_what_it_missed() {
    let mut cluster = Cluster::start(Seats::all().await, &[("eu", 3)], &[]).await;
    cluster.kill(2);
    let client = cluster.client().await;
    write(&client, Level::Quorum).await;
    cluster.restart(2).await;
    equal(&client, 3).await;
    check_values(&client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_its_data_gets_everything_back() {
    let mut cluster = Cluster::start(Seats::all().await, &[("eu", 3)], &[]).await;
    let client = cluster.client().await;
    write(&client, Level::All).await;
    assert!(cluster.stop(1).await.success());
    std::fs::remove_dir_all(cluster.path("eu-1")).unwrap();
    cluster.restart(1).await;
    equal(&client, 3).await;
    check_values(&client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datacenter_that_was_away_gets_what_it_missed() {
    let mut cluster = Cluster::start(Seats::all().await, &[("eu", 2), ("us", 2)], &[]).await;
    cluster.kill(2);
    cluster.kill(3);
    let client = cluster.client().await;
    write(&client, Level::LocalQuorum).await;
    cluster.restart(2).await;
    cluster.restart(3).await;
    equal(&client, 4).await;
    check_values(&client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_waits_while_repair_is_paused() {
    let mut cluster = Cluster::start(Seats::all().await, &[("eu", 3)], &[]).await;
    cluster.cli().ok(&["repair", "pause"]).await;
    // A node that starts again is not paused: it would ask the others. The client must not have met the one that is killed.
    cluster.kill(2);
    let client = cluster.client().await;
    write(&client, Level::Quorum).await;
    cluster.restart(2).await;
    cluster.connected().await;
    cluster.cli().ok(&["repair", "pause"]).await;
    let status = || async {
        let outcome = cluster.cli().ok(&["repair", "status", "-o", "json"]).await;
        outcome.json().as_array().unwrap().clone()
    };
    let paused = status().await;
    assert_eq!(paused.len(), 3);
    assert!(paused.iter().all(|node| node["paused"] == true), "{paused:?}");
    let owed: u64 = paused.iter().map(|node| node["pending"].as_u64().unwrap()).sum();
    assert!(owed > 0, "what was missed is remembered: {paused:?}");
    let started = cluster.cli().ok(&["repair", "start"]).await;
    assert_eq!(started.text().matches("running").count(), 3, "{}", started.text());
    equal(&client, 3).await;
    until("every node has completed a round", async || {
        let nodes = status().await;
        let is_done = |node: &serde_json::Value| {
            node["paused"] == false
                && node["pending"] == 0
                && node["last_round_seconds"].is_number()
                && node["compared"].as_u64() >= Some(16)
        };
        if nodes.iter().all(is_done) { Ok(()) } else { Err(format!("{nodes:?}")) }
    })
    .await;
    // A client may look, and not steer.
    cluster.cli_with(|profile| profile.admin = None).ok(&["repair", "status"]).await;
}
