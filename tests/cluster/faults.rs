//! Fault injection: only on nodes started with `--allow-faults`, only for admins.

use atoll_client::{Client, FaultCommand, LinkFault, Role};

use crate::harness::{Cluster, Seats, name};

fn block(node: &str) -> FaultCommand {
    FaultCommand::Set { nodes: vec![name(node)], fault: LinkFault::Block }
}

async fn connect(cluster: &Cluster, role: Role) -> Client {
    Client::from_profile(&cluster.profile(), role).unwrap().connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_refused_on_nodes_that_do_not_allow_them() {
    let cluster = Cluster::start(Seats::one().await, &[("eu", 2)], &[]).await;
    let admin = connect(&cluster, Role::Admin).await;
    for command in [block("eu-1"), FaultCommand::Heal] {
        let error = admin.fault("eu-0", command).await.unwrap_err();
        assert!(error.to_string().contains("not started with --allow-faults"), "{error}");
    }
    let refused = cluster.cli().run(&["fault", "partition", "eu-0", "eu-1"]).await.expect_code(2);
    refused.expect_words(&["not started with --allow-faults"]);
    cluster.cli().ok(&["put", "k", "v", "--level", "ALL"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_need_an_admin_certificate() {
    let cluster = Cluster::start(Seats::one().await, &[("eu", 2)], &["--allow-faults"]).await;
    let client = connect(&cluster, Role::Client).await;
    for command in [block("eu-1"), FaultCommand::Heal, FaultCommand::Show] {
        let error = client.fault("eu-0", command).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("not allowed") && text.contains("admin certificate"), "{text}");
    }
    // A profile without an admin's certificate cannot even ask.
    let cli = cluster.cli_with(|profile| profile.admin = None);
    let refused = cli.run(&["fault", "partition", "eu-0", "eu-1"]).await.expect_code(7);
    refused.expect_words(&["admin"]);
    // One that passes a client's certificate off as an admin's is found out.
    let cli = cluster.cli_with(|profile| {
        let (certificate, key) = (profile.certificate.clone(), profile.key.clone());
        profile.admin = Some(atoll_client::AdminFiles { certificate, key });
    });
    let refused = cli.run(&["fault", "partition", "eu-0", "eu-1"]).await.expect_code(7);
    refused.expect_words(&["not allowed", "atoll cert admin"]);
    cluster.node(0).says(&["request denied", "atoll://reef/client/client"]).await;
    cluster.cli().ok(&["put", "k", "v", "--level", "ALL"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_makes_levels_unavailable_until_it_is_healed() {
    let cluster = Cluster::start(Seats::one().await, &[("eu", 2)], &["--allow-faults"]).await;
    let cli = cluster.cli();
    cli.ok(&["put", "k", "v1", "--level", "ALL"]).await;
    cli.ok(&["fault", "partition", "eu-0", "eu-1"]).await;
    let shown = cli.ok(&["fault", "show"]).await;
    assert!(shown.text().contains("eu-1: blocked"), "{shown}");
    // Nobody has noticed yet, or somebody has: unknown and unavailable are both honest.
    let put = cli.run(&["put", "k", "v2", "--level", "ALL", "--deadline", "1s"]).await;
    assert!(matches!(put.code, Some(4 | 5)), "{put}");
    cli.ok(&["put", "other", "v", "--level", "ONE"]).await;
    cli.ok(&["fault", "heal"]).await;
    cluster.connected().await;
    cli.ok(&["put", "k2", "v", "--level", "ALL"]).await;
    let got = cli.ok(&["get", "other", "--level", "ALL", "-o", "raw"]).await;
    assert_eq!(got.stdout, b"v");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_on_unknown_nodes_are_usage_errors() {
    let cluster = Cluster::start(Seats::one().await, &[("eu", 2)], &["--allow-faults"]).await;
    let cli = cluster.cli();
    let unknown = cli.run(&["fault", "partition", "eu-0", "eu-7"]).await.expect_code(2);
    unknown.expect_words(&["`eu-7` is neither a node nor a datacenter", "eu-0, eu-1"]);
    let itself = cli.run(&["fault", "partition", "eu-0", "eu-0"]).await.expect_code(2);
    itself.expect_words(&["no link between", "two different nodes"]);
}
