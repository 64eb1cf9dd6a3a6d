//! P8: damage is never an answer, and a node whose files are damaged mends them from the others.

use std::fs;
use std::path::PathBuf;

use atoll_client::{Client, Level, ReplicaState};
use serde_json::Value;

use crate::harness::{Cluster, Seats, replicas_equal, until};

const KEYS: usize = 240;

/// The node whose files are damaged.
const DAMAGED: usize = 2;

fn key(number: usize) -> String {
    format!("key-{number}")
}

/// Every fourth is larger than what tables keep.
fn value(number: usize) -> Vec<u8> {
    format!("value of {number} ")
        .repeat(if number.is_multiple_of(4) { 120 } else { 8 })
        .into_bytes()
}

async fn write(client: &Client, level: Level) {
    let keyspace = client.keyspace("default");
    for number in 0..KEYS {
        keyspace.put(key(number), value(number)).level(level).await.unwrap();
    }
}

/// Every key is read, and has its value; no replica that cannot read its own is believed.
async fn check_values(client: &Client, level: Level) {
    let keyspace = client.keyspace("default");
    for number in 0..KEYS {
        let got = keyspace.get(key(number)).level(level).await.unwrap();
        let values: Vec<_> = got.values().iter().map(|value| value.bytes().to_vec()).collect();
        assert_eq!(values, [value(number)], "key {number}");
    }
}

/// Flips a bit in a data block of every table of a stopped node, and in a large value in its log; returns how many files.
fn damage(cluster: &Cluster, index: usize, extensions: &[&str]) -> usize {
    let store = cluster.path(&format!("eu-{index}")).join("storage");
    let large = &value(120)[..100];
    let mut damaged = 0;
    let paths: Vec<PathBuf> =
        fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path()).collect();
    for path in paths {
        let extension = path.extension().unwrap_or_default().to_str().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let position = match extension {
            _ if !extensions.contains(&extension) => None,
            // A table begins with its data.
            "sst" => Some(bytes.len() / 4),
            _ => bytes.windows(large.len()).position(|window| window == large),
        };
        if let Some(position) = position {
            bytes[position] ^= 8;
            fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    damaged
}

async fn scrub_of(cluster: &Cluster, index: usize) -> Value {
    let document = cluster.cli().ok(&["status", "--storage", "-o", "json"]).await.json();
    let id = format!("eu-{index}");
    let nodes = document["nodes"].as_array().unwrap();
    let node = nodes.iter().find(|node| node["node"] == id.as_str()).unwrap();
    node["scrub"].clone()
}

async fn mended(cluster: &Cluster, files: usize) {
    until("the damaged files are mended", async || {
        let scrub = scrub_of(cluster, DAMAGED).await;
        let is_mended = scrub["found"].as_u64() >= Some(files as u64)
            && scrub["mended"] == scrub["found"]
            && scrub["damaged"] == 0;
        if is_mended { Ok(()) } else { Err(format!("{scrub}\n{}", cluster.node(DAMAGED).log())) }
    })
    .await;
}

/// Waits until each key can be read at every replica, and all have the same.
async fn equal(client: &Client, replicas: usize) {
    for number in 0..KEYS {
        replicas_equal(client, &key(number), replicas).await;
    }
}

/// The node stops properly, and nothing of its store is damaged.
async fn sound(mut cluster: Cluster) {
    assert!(cluster.stop(DAMAGED).await.success());
    let data = cluster.path(&format!("eu-{DAMAGED}"));
    cluster.cli().ok(&["storage", "verify", data.to_str().unwrap()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_tables_and_values_are_found_and_mended_from_the_others() {
    let mut cluster = Cluster::start(Seats::all().await, &[("eu", 3)], &[]).await;
    let client = cluster.client().await;
    write(&client, Level::All).await;
    assert!(cluster.stop(DAMAGED).await.success());
    let files = damage(&cluster, DAMAGED, &["sst", "wal", "vlog"]);
    assert!(files >= 2, "a table and a file of values: {files}");
    cluster.restart(DAMAGED).await;
    check_values(&client, Level::One).await;
    mended(&cluster, files).await;
    equal(&client, 3).await;
    check_values(&client, Level::All).await;
    let shown = cluster.cli().ok(&["status", "--storage"]).await;
    assert!(shown.text().contains("damaged file(s) mended"), "{}", shown.text());
    for words in ["the scrub found damage", "new incarnation", "was mended"] {
        cluster.node(DAMAGED).says(&[words]).await;
    }
    sound(cluster).await;
}

/// Without a scrub, a read that fails is enough; and nothing is given up before the last replica has answered.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_read_finds_damaged_waits_for_every_replica() {
    let mut cluster = Cluster::start(Seats::all().await, &[("eu", 3)], &[]).await;
    let client = cluster.client().await;
    write(&client, Level::All).await;
    assert!(cluster.stop(DAMAGED).await.success());
    let files = damage(&cluster, DAMAGED, &["sst"]);
    assert!(files >= 1);
    let varied = cluster.vary_config(&format!("eu-{DAMAGED}"), |raw| {
        raw.storage.scrub_bytes_per_second_max = Some(0);
    });
    fs::copy(varied, cluster.config(&format!("eu-{DAMAGED}"))).unwrap();
    client.close().await;
    cluster.kill(1);
    cluster.restart(DAMAGED).await;
    let client = cluster.client().await;
    // One of the two replicas that are up fails for some keys, and never says that they are absent.
    check_values(&client, Level::One).await;
    until("the damage is known and cannot be mended", async || {
        // Anti-entropy hashes everything after a start, and meets it, too.
        let scrub = scrub_of(&cluster, DAMAGED).await;
        if scrub["damaged"].as_u64() >= Some(1) { Ok(()) } else { Err(scrub.to_string()) }
    })
    .await;
    cluster.node(DAMAGED).says(&["cannot be mended yet", "eu-1 is not connected"]).await;
    assert_eq!(scrub_of(&cluster, DAMAGED).await["mended"], 0);
    let mut lost = 0;
    for number in 0..KEYS {
        for replica in client.explain("default", key(number)).await.unwrap().replicas {
            assert!(!matches!(replica.state, ReplicaState::Absent), "key {number}: {replica:?}");
            let is_damaged = replica.node.as_str() == format!("eu-{DAMAGED}");
            let is_unread = matches!(replica.state, ReplicaState::Unreachable { .. });
            lost += usize::from(is_damaged && is_unread);
        }
    }
    assert!(lost > 0, "a block of keys cannot be read");
    cluster.restart(1).await;
    mended(&cluster, files).await;
    equal(&client, 3).await;
    check_values(&client, Level::All).await;
    sound(cluster).await;
}

/// What no other replica has is an error for good, and never absent.
#[tokio::test(flavor = "multi_thread")]
async fn damage_without_another_replica_stays_an_error() {
    let mut cluster = Cluster::single().await;
    let client = cluster.client().await;
    write(&client, Level::One).await;
    client.close().await;
    assert!(cluster.stop(0).await.success());
    let files = damage(&cluster, 0, &["sst"]);
    assert!(files >= 1);
    cluster.restart(0).await;
    until("the damage is known", async || {
        let scrub = scrub_of(&cluster, 0).await;
        if scrub["unmendable"] == files { Ok(()) } else { Err(scrub.to_string()) }
    })
    .await;
    let client = cluster.client().await;
    let mut failed = 0;
    for number in 0..KEYS {
        match client.keyspace("default").get(key(number)).level(Level::One).await {
            Ok(got) => assert_eq!(got.values()[0].bytes(), &value(number)[..], "key {number}"),
            Err(_) => failed += 1,
        }
    }
    assert!(failed > 0 && failed < KEYS, "{failed}");
    assert_eq!(scrub_of(&cluster, 0).await["mended"], 0);
}
