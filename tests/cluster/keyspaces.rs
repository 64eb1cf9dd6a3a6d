//! Keyspaces: created at any node, known at all of them, and never twice.

use crate::harness::{Cluster, Seats, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_keyspace_is_created_once_and_known_everywhere() {
    let cluster = Cluster::start(Seats::one().await, &[("eu", 2), ("us", 1)], &[]).await;
    // One node each, so that it is known who was asked.
    let at = |index: usize| {
        let address = cluster.members[index].address.to_string();
        cluster.cli_with(|profile| profile.seeds = vec![address])
    };
    let create = ["keyspace", "create", "orders", "--rf", "eu=2,us=1", "--ttl", "30d"];
    let created = at(0).ok(&[&create[..], &["-o", "json"]].concat()).await;
    let created = created.expect_words(&["keyspace `orders` is created", "3 node(s) know it"]);
    assert_eq!(created.json()["replication_factor"]["eu"], 2, "{created}");

    let again = at(2).run(&create).await.expect_code(2);
    again.expect_words(&["orders", "nothing was written"]);

    for index in 0..3 {
        let shown = at(index).ok(&["keyspace", "show", "orders", "-o", "json"]).await.json();
        assert_eq!(shown, created.json(), "at node {index}");
        assert_eq!(shown["ttl_seconds"], 30 * 24 * 60 * 60);
        assert_eq!(shown["conflict"], "siblings");
        let listed = at(index).ok(&["keyspace", "list", "-o", "json"]).await.json();
        let names: Vec<&str> =
            listed.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["default", "orders"], "at node {index}");
    }
    at(1).ok(&["put", "k", "v", "--keyspace", "orders", "--level", "ALL"]).await;
    let got = at(2).ok(&["get", "k", "--keyspace", "orders", "-o", "json"]).await.json();
    assert!(got["values"][0]["expires_at"].is_string(), "the keyspace's TTL applies: {got}");
    at(2).run(&["get", "k"]).await.expect_code(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyspace_survives_and_reaches_a_node_that_was_away() {
    let mut cluster = Cluster::start(Seats::one().await, &[("eu", 3)], &[]).await;
    cluster.kill(2);
    cluster.connected().await;
    cluster.cli().ok(&["keyspace", "create", "orders"]).await;
    cluster.restart(2).await;
    let address = cluster.members[2].address.to_string();
    let at = cluster.cli_with(|profile| profile.seeds = vec![address]);
    until("the returned node knows the keyspace", async || {
        let shown = at.run(&["keyspace", "show", "orders"]).await;
        if shown.code == Some(0) { Ok(()) } else { Err(shown.to_string()) }
    })
    .await;
    for index in 0..3 {
        cluster_restart(&mut cluster, index).await;
    }
    let shown = cluster.cli().ok(&["keyspace", "show", "orders", "-o", "json"]).await;
    assert_eq!(shown.json()["name"], "orders");
}

async fn cluster_restart(cluster: &mut Cluster, index: usize) {
    cluster.kill(index);
    cluster.restart(index).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_write_wins_where_that_was_asked_for() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    cli.ok(&["keyspace", "create", "settings", "--conflict", "lww"]).await;
    for value in ["v1", "v2", "v3"] {
        let put = cli.ok(&["put", "k", value, "--keyspace", "settings", "-o", "json"]).await;
        assert_eq!(put.json()["siblings"], 1, "{put}");
        let got = cli.ok(&["get", "k", "--keyspace", "settings", "-o", "raw"]).await;
        assert_eq!(got.stdout, value.as_bytes());
    }
    // The same blind writes side by side where nobody asked for it.
    cli.ok(&["put", "k", "v1"]).await;
    cli.ok(&["put", "k", "v2"]).await;
    cli.run(&["get", "k", "-o", "raw"]).await.expect_code(6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyspace_that_does_not_fit_is_refused_with_every_problem() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    let wrong =
        ["keyspace", "create", "big", "--rf", "eu=4,mars=1", "--record-bytes-max", "9999999"];
    let refused = cli.run(&wrong).await.expect_code(2);
    refused.expect_words(&["mars"]);
    let wrong = ["keyspace", "create", "big", "--rf", "eu=4", "--record-bytes-max", "9999999"];
    let refused = cli.run(&wrong).await.expect_code(2);
    refused.expect_words(&["replication factor 4", "9999999"]);
    for text in ["eu", "eu=x", "=2"] {
        cli.run(&["keyspace", "create", "odd", "--rf", text])
            .await
            .expect_code(2)
            .expect_words(&["--rf"]);
    }
    let no_admin = cluster.cli_with(|profile| profile.admin = None);
    let refused = no_admin.run(&["keyspace", "create", "mine"]).await.expect_code(7);
    refused.expect_words(&["admin_certificate"]);
    let listed = cli.ok(&["keyspace", "list", "-o", "json"]).await.json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "nothing was created: {listed}");
}
