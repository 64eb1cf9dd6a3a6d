//! `atoll dev`: one process per node, which comes back when it dies, and none when the supervisor is gone.

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{DevCluster, Seats, is_running, until};

/// Two datacenters of two and one node.
const TOPOLOGY: &str = r#"
cluster = "reef"
partitions = 16
[[dc]]
name = "eu"
[[dc]]
name = "us"
[[node]]
id = "eu-1"
dc = "eu"
rack = "a"
[[node]]
id = "eu-2"
dc = "eu"
rack = "b"
[[node]]
id = "us-1"
dc = "us"
rack = "a"
"#;

async fn start(arguments: &[&str]) -> DevCluster {
    DevCluster::start(Seats::one().await, TOPOLOGY, arguments).await
}

/// Kills a node of this test's own cluster, as a crash would.
fn crash(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_starts_serves_and_leaves_nothing_behind_at_ctrl_c() {
    let mut cluster = start(&[]).await;
    let roster = cluster.roster();
    let ids: Vec<&str> = roster.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids, ["eu-1", "eu-2", "us-1"]);
    for entry in &roster {
        assert!(entry.pid.is_some_and(is_running), "{entry:?}");
        assert!(entry.data_dir.is_absolute() && entry.data_dir.is_dir(), "{entry:?}");
        assert_eq!(entry.dc, &entry.id[..2]);
    }
    let cli = cluster.cli();
    cli.ok(&["put", "k", "v", "--level", "ALL"]).await;
    let status = cli.ok(&["status", "--check", "-o", "json"]).await.json();
    assert_eq!(status["health"], "ok", "{status}");

    let second = cli.run(&["dev", "--dir", "dev"]).await.expect_code(2);
    second.expect_words(&["already runs in", "another --dir"]);

    let pids: Vec<u32> = roster.iter().filter_map(|entry| entry.pid).collect();
    assert!(cluster.interrupt().await.success(), "{}", cluster.output());
    assert!(!pids.into_iter().any(is_running), "no node is left");
    assert!(!cluster.dir().join("nodes.json").exists(), "nobody runs anywhere");
    cli.run(&["dev", "kill", "eu-1", "--dir", "dev"]).await.expect_code(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_continues_with_the_data_of_the_first() {
    let cluster = start(&[]).await;
    let (cli, dir) = (cluster.cli(), cluster.dir());
    cli.ok(&["put", "k", "v", "--level", "ALL"]).await;
    let addresses = |cluster: &DevCluster| {
        cluster.roster().into_iter().map(|entry| entry.address).collect::<Vec<_>>()
    };
    let before = addresses(&cluster);
    let cluster = cluster.start_again().await;
    assert_eq!((addresses(&cluster), cluster.dir()), (before, dir));
    assert_eq!(cli.ok(&["get", "k", "--level", "ALL", "-o", "raw"]).await.stdout, b"v");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_comes_back_with_a_new_process() {
    let cluster = start(&[]).await;
    let before = cluster.pid("eu-2").unwrap();
    crash(before);
    let after = until("the node is back", async || match cluster.pid("eu-2") {
        Some(pid) if pid != before => Ok(pid),
        other => Err(format!("{other:?}, was {before}")),
    })
    .await;
    assert!(is_running(after) && !is_running(before));
    let cli = cluster.cli();
    until("the cluster is whole again", async || {
        let put = cli.run(&["put", "k", "v", "--level", "ALL"]).await;
        if put.code == Some(0) { Ok(()) } else { Err(put.to_string()) }
    })
    .await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_stays_dead_where_that_was_asked_for() {
    let cluster = start(&["--no-restart"]).await;
    crash(cluster.pid("eu-2").unwrap());
    until("the roster says so", async || match cluster.pid("eu-2") {
        None => Ok(()),
        Some(pid) => Err(format!("pid {pid}")),
    })
    .await;
    let started = cluster.cli().ok(&["dev", "start", "eu-2", "--dir", "dev"]).await;
    assert!(started.text().contains("eu-2: running (pid "), "{started}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datacenter_is_killed_stopped_and_started_on_request() {
    let cluster = start(&[]).await;
    let cli = cluster.cli();
    cli.ok(&["put", "k", "v", "--level", "ALL"]).await;
    for verb in ["kill", "stop"] {
        let down = cli.ok(&["dev", verb, "us", "--dir", "dev"]).await;
        assert_eq!(down.text(), "us-1: down\n");
        assert_eq!(cluster.pid("us-1"), None);
        // The local majority is whole.
        cli.ok(&["put", verb, "v", "--level", "LOCAL_QUORUM"]).await;
        let refused = until("the loss is known", async || {
            let put = cli.run(&["put", verb, "v", "--level", "ALL"]).await;
            if put.code == Some(4) { Ok(put) } else { Err(put.to_string()) }
        })
        .await;
        refused.expect_words(&["not enough live replicas", "nothing was written"]);
        let check = cli.run(&["status", "--check"]).await.expect_code(8);
        check.expect_words(&["the cluster is degraded", "node us-1 of us is down"]);
        let up = cli.ok(&["dev", "start", "us", "--dir", "dev"]).await;
        assert!(up.text().starts_with("us-1: running (pid "), "{up}");
        cli.ok(&["put", "k", verb, "--level", "ALL"]).await;
    }
    let unknown = cli.run(&["dev", "kill", "mars", "--dir", "dev"]).await.expect_code(2);
    unknown.expect_words(&["`mars` is neither a node nor a datacenter", "eu-1, eu-2, us-1"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_end_when_their_supervisor_is_killed() {
    let cluster = start(&[]).await;
    let pids: Vec<u32> = cluster.roster().iter().filter_map(|entry| entry.pid).collect();
    assert_eq!(pids.len(), 3);
    // Kept until the nodes have ended: their data is in it.
    let _folder = cluster.kill_supervisor();
    until("the nodes have ended", async || {
        let left: Vec<&u32> = pids.iter().filter(|pid| is_running(**pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} run")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topology_with_problems_starts_nothing() {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("bad.toml"), TOPOLOGY.replace("= 16", "= 17")).unwrap();
    let cli = crate::harness::Cli::new(folder.path());
    let refused = cli.run(&["dev", "--dir", "dev", "--topology", "bad.toml"]).await;
    refused.expect_code(2).expect_words(&["bad.toml", "17 is not a power of two", "16 or 32"]);
}
