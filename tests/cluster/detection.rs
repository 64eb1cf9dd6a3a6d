//! Failure detection: the others convict who is dead or stands still, nobody else is convicted, and who comes back is
//! believed to be alive. All that is looked at is what `atoll status -o json` tells.

use serde_json::Value;

use crate::harness::{Cli, Cluster, Seats, until};

/// The binary, asking the first node.
fn cli(cluster: &Cluster) -> Cli {
    let seed = cluster.members[0].address.to_string();
    cluster.cli_with(|profile| profile.seeds = vec![seed])
}

/// The nodes as the first one tells of them.
async fn nodes(cli: &Cli) -> Result<Vec<Value>, String> {
    let outcome = cli.run(&["status", "-o", "json"]).await;
    if outcome.code != Some(0) {
        return Err(outcome.to_string());
    }
    Ok(outcome.json()["nodes"].as_array().unwrap().clone())
}

/// Waits until each of `observers` has convicted `node`, and names all of them as observers.
async fn convicted(cli: &Cli, node: &str, observers: &[&str]) {
    until(&format!("{observers:?} have convicted {node}"), async || {
        let nodes = nodes(cli).await?;
        for observer in observers {
            let report = nodes.iter().find(|report| report["node"] == *observer).unwrap();
            let suspicions = report["suspicions"].as_array().ok_or(report.to_string())?;
            let suspicion = suspicions.iter().find(|suspicion| suspicion["node"] == node);
            let suspicion = suspicion.ok_or(format!("{observer} has nothing against {node}"))?;
            let names: Vec<&str> = suspicion["observers"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap())
                .collect();
            if suspicion["state"] != "convicted" || names != observers {
                return Err(suspicion.to_string());
            }
        }
        Ok(())
    })
    .await;
}

/// Waits until nobody suspects anybody.
async fn trusted(cli: &Cli) {
    until("all nodes are up, and nobody suspects anybody", async || {
        let nodes = nodes(cli).await?;
        let is_calm = |report: &Value| {
            report["state"] == "up" && report["suspicions"].as_array().is_some_and(Vec::is_empty)
        };
        if nodes.iter().all(is_calm) { Ok(()) } else { Err(format!("{nodes:#?}")) }
    })
    .await;
}

/// Whom the processes convicted while they ran.
fn convictions(cluster: &Cluster, index: usize) -> usize {
    cluster.node(index).log().lines().filter(|line| line.contains("Convicted")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_is_convicted_until_it_is_back() {
    let mut cluster = Cluster::start(Seats::all().await, &[("eu", 3)], &[]).await;
    let cli = cli(&cluster);
    trusted(&cli).await;
    cluster.kill(2);
    convicted(&cli, "eu-2", &["eu-0", "eu-1"]).await;
    cluster.restart(2).await;
    trusted(&cli).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_datacenter_convicts_too() {
    let mut cluster = Cluster::start(Seats::all().await, &[("eu", 2), ("us", 1)], &[]).await;
    let cli = cli(&cluster);
    trusted(&cli).await;
    cluster.kill(2);
    convicted(&cli, "us-0", &["eu-0", "eu-1"]).await;
    cluster.restart(2).await;
    trusted(&cli).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stands_still_is_convicted_and_convicts_nobody() {
    let cluster = Cluster::start(Seats::all().await, &[("eu", 3)], &[]).await;
    let cli = cli(&cluster);
    trusted(&cli).await;
    cluster.node(2).pause();
    convicted(&cli, "eu-2", &["eu-0", "eu-1"]).await;
    cluster.node(2).resume();
    cluster.node(2).says(&["stood still"]).await;
    trusted(&cli).await;
    assert_eq!(convictions(&cluster, 2), 0, "{}", cluster.node(2).log());
}
