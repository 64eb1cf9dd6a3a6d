//! Nodes that must not start, and what `atoll config check` says of them beforehand.

use std::net::UdpSocket;
use std::path::Path;

use crate::harness::{Cli, Cluster, Folder, Seats};

async fn check(cli: &Cli, config: &Path) -> crate::harness::Outcome {
    cli.run(&["config".as_ref(), "check".as_ref(), config.as_os_str()]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_of_a_topology_is_reported_at_once() {
    let folder = Folder::create(&[("eu", 1)]);
    let topology = r#"
        cluster = "reef"
        partitions = 100
        [[dc]]
        name = "eu"
        replication_factor = 4
        [[dc]]
        name = "us"
        [[node]]
        id = "eu-0"
        dc = "eu"
        rack = "r0"
        address = "127.0.0.1:17411"
        [[node]]
        id = "eu-0"
        dc = "eu"
        rack = "r1"
        address = "127.0.0.1:17412"
        [[node]]
        id = "us-0"
        dc = "uss"
        rack = "r0"
        address = "127.0.0.1:17413"
    "#;
    folder.write("topology.toml", topology);
    let config = folder.config("eu-0");
    let refused = [check(&folder.cli(), &config).await, folder.refused(&config).await];
    for refused in refused {
        refused
            .expect_code(2)
            .expect_words(&["topology.toml"])
            .expect_words(&["partitions", "100 is not a power of two", "write 64 or 128"])
            .expect_words(&["node[1].id", "`eu-0` is also the id of node[0]"])
            .expect_words(&["node[2].dc", "no datacenter `uss`", "did you mean `us`?"])
            .expect_words(&["dc[0].replication_factor", "replication factor 4", "write at most 2"])
            .expect_words(&["datacenter `us` has no node"]);
    }
    assert!(!folder.path("eu-0").exists(), "no data directory was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_of_a_configuration_is_reported_at_once() {
    let folder = Folder::create(&[("eu", 1)]);
    let config = folder.vary_config("eu-0", |raw| {
        raw.node.rack = "no rack".to_owned();
        raw.listen.quic = "localhost".to_owned();
        raw.storage.durability = Some("mostly".to_owned());
        raw.storage.memtable_bytes_max = Some(1);
        raw.storage.value_separation_bytes = Some(1);
        raw.storage.compaction_bytes_per_second_max = Some(1);
    });
    for refused in [check(&folder.cli(), &config).await, folder.refused(&config).await] {
        refused
            .expect_code(2)
            .expect_words(&["varied.toml", "6 problem(s)", "node.rack", "no rack"])
            .expect_words(&["listen.quic", "`localhost` is not IP:port", "0.0.0.0:7400"])
            .expect_words(&["storage.durability", "`mostly` is unknown", "`fsync`"])
            .expect_words(&["storage.memtable_bytes_max: 1 is outside 65536..=1073741824"])
            .expect_words(&["storage.value_separation_bytes: 1 is outside 64..=1073741824"])
            .expect_words(&["storage.compaction_bytes_per_second_max: 1 is outside 1048576..="])
            .expect_words(&["write 0 for no limit"]);
    }
    let unknown = folder.write("unknown.toml", "[node]\nid = \"eu-0\"\ncolour = \"red\"\n");
    let refused = check(&folder.cli(), &unknown).await.expect_code(2);
    refused.expect_words(&["unknown.toml", "colour", "3"]);
    check(&folder.cli(), &folder.config("eu-0")).await.expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_not_in_the_topology_or_elsewhere_in_it_is_told_so() {
    let folder = Folder::create(&[("eu", 1), ("us", 1)]);
    let stranger = folder.vary_config("eu-0", |raw| raw.node.id = "eu-9".to_owned());
    for refused in [check(&folder.cli(), &stranger).await, folder.refused(&stranger).await] {
        refused.expect_code(2).expect_words(&[
            "topology.toml",
            "node eu-9 is not in it",
            "node.id",
        ]);
    }
    let moved = folder.vary_config("eu-0", |raw| raw.node.dc = "us".to_owned());
    for refused in [check(&folder.cli(), &moved).await, folder.refused(&moved).await] {
        refused.expect_code(2).expect_words(&["node eu-0 is in dc eu", "in dc us", "mend one"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_of_a_running_node_is_refused() {
    let cluster = Cluster::single().await;
    cluster.cli().ok(&["put", "k", "v"]).await;
    // Another port, so that only the directory is in the way.
    let free = UdpSocket::bind("127.0.0.1:0").unwrap();
    let second = cluster.vary_config("eu-0", |raw| {
        raw.listen.quic = free.local_addr().unwrap().to_string();
    });
    drop(free);
    let refused = cluster.refused(&second).await.expect_code(1);
    refused.expect_words(&["eu-0", "another process uses this data directory", "another data_dir"]);
    assert_eq!(cluster.cli().ok(&["get", "k", "-o", "raw"]).await.stdout, b"v");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_of_another_node_is_refused_and_kept() {
    let mut cluster = Cluster::start(Seats::one().await, &[("eu", 2)], &[]).await;
    cluster.cli().ok(&["put", "k", "v", "--level", "ALL"]).await;
    assert!(cluster.stop(1).await.success());
    assert!(cluster.stop(0).await.success());
    let config = cluster.vary_config("eu-0", |raw| raw.node.data_dir = "eu-1".into());
    let refused = cluster.refused(&config).await.expect_code(2);
    refused.expect_words(&["reef/eu/r1/eu-1", "reef/eu/r0/eu-0", "point data_dir to"]);
    cluster.restart(1).await;
    let got = cluster.cli().ok(&["get", "k", "--level", "ONE", "-o", "raw"]).await;
    assert_eq!(got.stdout, b"v", "its data is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topology_that_was_edited_under_a_cluster_is_refused() {
    let mut cluster = Cluster::single().await;
    assert!(cluster.stop(0).await.success());
    let text = std::fs::read_to_string(cluster.topology()).unwrap();
    cluster.write("topology.toml", text.replace("partitions = 16", "partitions = 32"));
    let refused = cluster.refused(&cluster.config("eu-0")).await.expect_code(2);
    refused.expect_words(&["topology.toml differs", "restore the original file"]);
    cluster.write("topology.toml", text);
    cluster.restart(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_with_the_way_to_find_its_holder() {
    let folder = Folder::create(&[("eu", 1)]);
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let config = folder.vary_config("eu-0", |raw| raw.listen.quic.clone_from(&taken));
    let refused = folder.refused(&config).await.expect_code(1);
    refused.expect_words(&[&taken, "the UDP port is in use", "ss -ulpn", "listen elsewhere"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_missing_are_named() {
    let folder = Folder::create(&[("eu", 1)]);
    let nowhere = folder.path("nowhere.toml");
    folder.refused(&nowhere).await.expect_code(2).expect_words(&["cannot read", "nowhere.toml"]);
    let config = folder.vary_config("eu-0", |raw| raw.tls.key = "gone.key".into());
    folder
        .refused(&config)
        .await
        .expect_code(7)
        .expect_words(&["cannot read the key file", "gone.key"]);
    let config = folder.vary_config("eu-0", |raw| raw.node.topology = "gone.toml".into());
    folder
        .refused(&config)
        .await
        .expect_code(2)
        .expect_words(&["cannot read topology", "gone.toml"]);
}
