//! Hinted handoff with real processes: who was away gets what it missed from those who noted it.

use atoll_client::{Client, Level};
use serde_json::Value;

use crate::harness::{Cluster, Seats, until};

const KEYS: usize = 80;

async fn write(client: &Client, round: usize) {
    let keyspace = client.keyspace("default");
    for number in 0..KEYS {
        let value = format!("value {round} of {number}");
        keyspace.put(format!("key-{number}"), value).level(Level::Quorum).await.unwrap();
    }
}

/// What every running node says of its hints.
async fn hints(cluster: &Cluster) -> Vec<Value> {
    let listed = cluster.cli().ok(&["hints", "list", "-o", "json"]).await.json();
    listed.as_array().unwrap().iter().filter(|node| node["error"].is_null()).cloned().collect()
}

/// Hints that wait for `target` at all running nodes.
fn waiting(nodes: &[Value], target: &str) -> u64 {
    let all = nodes.iter().flat_map(|node| node["waiting"].as_array().unwrap());
    all.filter(|of| of["target"] == target).map(|of| of["hints"].as_u64().unwrap()).sum()
}

fn sum(nodes: &[Value], counter: &str) -> u64 {
    nodes.iter().map(|node| node[counter].as_u64().unwrap()).sum()
}

/// Waits until as many hints wait for `target` as there are keys.
async fn all_hinted(cluster: &Cluster, target: &str) {
    until("every key has a hint", async || {
        let nodes = hints(cluster).await;
        if waiting(&nodes, target) >= KEYS as u64 { Ok(()) } else { Err(format!("{nodes:?}")) }
    })
    .await;
}

async fn all_delivered(cluster: &Cluster) -> Vec<Value> {
    until("no hint is left", async || {
        let nodes = hints(cluster).await;
        let has_none = |node: &Value| node["waiting"].as_array().is_some_and(Vec::is_empty);
        let is_done = nodes.len() == 3 && nodes.iter().all(has_none);
        if is_done { Ok(nodes) } else { Err(format!("{nodes:?}")) }
    })
    .await
}

/// The coordinators note each key once, however often it is written, and nobody repairs meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_gets_what_was_noted_for_it() {
    let mut cluster = Cluster::start(Seats::all().await, &[("eu", 3)], &[]).await;
    cluster.cli().ok(&["repair", "pause"]).await;
    cluster.kill(2);
    let client = cluster.client().await;
    write(&client, 1).await;
    all_hinted(&cluster, "eu-2").await;
    write(&client, 2).await;
    all_hinted(&cluster, "eu-2").await;
    // A key may have been coordinated by either of two nodes.
    let held = waiting(&hints(&cluster).await, "eu-2");
    assert!(held <= 2 * KEYS as u64, "{held} hints for {KEYS} keys");
    cluster.restart(2).await;
    let nodes = all_delivered(&cluster).await;
    assert_eq!(sum(&nodes, "delivered"), sum(&nodes, "written"), "{nodes:?}");
    assert_eq!(sum(&nodes, "overflowed") + sum(&nodes, "expired"), 0, "{nodes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_outlive_a_crash_of_their_holders() {
    let mut cluster = Cluster::start(Seats::all().await, &[("eu", 3)], &[]).await;
    cluster.kill(2);
    let client = cluster.client().await;
    write(&client, 1).await;
    all_hinted(&cluster, "eu-2").await;
    let held = waiting(&hints(&cluster).await, "eu-2");
    for holder in [0, 1] {
        cluster.kill(holder);
        cluster.restart(holder).await;
    }
    cluster.connected().await;
    assert_eq!(waiting(&hints(&cluster).await, "eu-2"), held);
    cluster.restart(2).await;
    let nodes = all_delivered(&cluster).await;
    assert_eq!(sum(&nodes, "delivered"), held, "{nodes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_lists_replays_and_drops_hints() {
    let mut cluster = Cluster::start(Seats::all().await, &[("eu", 3)], &[]).await;
    cluster.kill(2);
    let client = cluster.client().await;
    write(&client, 1).await;
    all_hinted(&cluster, "eu-2").await;
    let listed = cluster.cli().ok(&["hints", "list"]).await;
    assert!(listed.text().contains("eu-2") && listed.text().contains("HOLDER"), "{listed}");
    // A client may look, and not steer; a node that is down is not told.
    let client_only = cluster.cli_with(|profile| profile.admin = None);
    client_only.ok(&["hints", "list"]).await;
    client_only.run(&["hints", "drop"]).await.expect_code(7);
    cluster.cli().run(&["hints", "drop", "nobody"]).await.expect_words(&["nobody", "topology"]);
    cluster.cli().run(&["hints", "drop", "no such name"]).await.expect_code(2);
    let replayed = cluster.cli().run(&["hints", "replay"]).await;
    replayed.expect_code(8).expect_words(&["eu-2 was not told"]);
    cluster.cli().run(&["hints", "drop", "eu-2"]).await.expect_code(8);
    let nodes = hints(&cluster).await;
    assert_eq!(waiting(&nodes, "eu-2"), 0, "{nodes:?}");
    assert!(sum(&nodes, "dropped") >= KEYS as u64, "{nodes:?}");
    // What they covered is compared instead.
    cluster.restart(2).await;
    until("eu-2 has every key", async || {
        let explained = client.explain("default", "key-1").await;
        let explained = explained.map_err(|error| error.to_string())?;
        let has_record = |replica: &atoll_client::ReplicaReport| {
            matches!(replica.state, atoll_client::ReplicaState::Present { .. })
        };
        if explained.replicas.iter().all(has_record) {
            Ok(())
        } else {
            Err(format!("{explained:?}"))
        }
    })
    .await;
}

/// Of four nodes three replicate a key: the fourth stands in for the one that is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_keeps_a_sloppy_write_and_hands_it_over() {
    let mut cluster = Cluster::start(Seats::all().await, &[("eu", 4)], &[]).await;
    cluster.kill(3);
    let client = cluster.client().await;
    let keyspace = client.keyspace("default");
    let (mut held, mut whole) = (Vec::new(), 0);
    for number in 0..20 {
        let key = format!("key-{number}");
        let written = until("a sloppy put at ALL succeeds", async || {
            let put = keyspace.put(&key, "kept").level(Level::All).sloppy();
            put.await.map_err(|error| error.to_string())
        })
        .await;
        assert_eq!(written.acked() + written.held(), 3, "{written:?}");
        match written.held() {
            0 => whole += 1,
            _ => held.push(key),
        }
    }
    assert!(!held.is_empty() && whole > 0, "{held:?} {whole}");
    let key = &held[0];
    until("a strict put at ALL is refused", async || {
        let outcome = cluster.cli().run(&["put", key, "strict", "--level", "ALL"]).await;
        if outcome.code == Some(4) { Ok(()) } else { Err(outcome.to_string()) }
    })
    .await;
    let sloppy = ["put", key, "more", "--level", "ALL", "--sloppy", "-o", "json"];
    let printed = cluster.cli().ok(&sloppy).await.json();
    assert_eq!((&printed["acked"], &printed["held"]), (&2.into(), &1.into()));
    cluster.restart(3).await;
    until("no hint is left", async || {
        let nodes = hints(&cluster).await;
        let left = waiting(&nodes, "eu-3");
        if nodes.len() == 4 && left == 0 { Ok(()) } else { Err(format!("{nodes:?}")) }
    })
    .await;
    let nodes = hints(&cluster).await;
    // Coordinator and fallback have both noted it.
    assert!(sum(&nodes, "delivered") >= 2 * held.len() as u64, "{nodes:?}");
    for key in &held {
        keyspace.get(key).level(Level::All).await.unwrap();
    }
}
