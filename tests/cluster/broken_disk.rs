//! A node whose disk fails: real files, and system calls that fail as those of a broken, full or read-only disk do.

use std::process::ExitStatus;

use crate::harness::{Cluster, Strace};

/// Calls that write to files and their names.
const WRITES: [&str; 2] = ["pwrite64", "ftruncate"];

/// A node with three acknowledged values, one of them larger than what tables keep.
async fn node_with_values() -> Cluster {
    let cluster = Cluster::single().await;
    for (key, value) in values() {
        cluster.cli().ok(&["put", key, &value]).await;
    }
    cluster
}

fn values() -> [(&'static str, String); 3] {
    [("a", "first".into()), ("b", "second".into()), ("large", "a large value ".repeat(200))]
}

async fn assert_values(cluster: &Cluster) {
    for (key, value) in values() {
        let got = cluster.cli().ok(&["get", key, "-o", "raw"]).await;
        assert_eq!(got.stdout, value.as_bytes(), "{key}");
    }
}

/// The node ends by itself because of what happens to a put, says `words`, and has every acknowledged value afterwards.
async fn stops_at_once_and_keeps_what_it_acknowledged(calls: &[&str], error: &str, words: &[&str]) {
    let Some(strace) = Strace::find() else {
        return;
    };
    let mut cluster = node_with_values().await;
    let failing = strace.fail(cluster.node(0), calls, error, &cluster.path("")).await;
    let put = cluster.cli().run(&["put", "c", "third", "--deadline", "5s"]).await;
    assert_eq!(put.code, Some(5), "its outcome is unknown: {put}");
    let (status, said): (ExitStatus, String) = cluster.ended(0).await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(words.iter().all(|word| said.contains(word)), "{words:?} in {said}");
    failing.lift().await;
    cluster.restart(0).await;
    assert_values(&cluster).await;
    cluster.cli().ok(&["put", "d", "fourth"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_fsync_failed_stops() {
    let (syncs, words) = (["fdatasync", "fsync"], ["storage failed", "sync", "os error 5"]);
    stops_at_once_and_keeps_what_it_acknowledged(&syncs, "EIO", &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_log_cannot_be_written_stops() {
    stops_at_once_and_keeps_what_it_acknowledged(&WRITES, "EIO", &["storage failed", "os error 5"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_disk_became_read_only_stops() {
    let words = ["storage failed", "Read-only file system"];
    stops_at_once_and_keeps_what_it_acknowledged(&WRITES, "EROFS", &words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_disk_is_full_serves_reads_and_heals_by_itself() {
    let Some(strace) = Strace::find() else {
        return;
    };
    let cluster = node_with_values().await;
    let failing = strace.fail(cluster.node(0), &["pwrite64"], "ENOSPC", &cluster.path("")).await;
    let refused = cluster.cli().run(&["put", "c", "third", "--deadline", "5s"]).await;
    // The coordinator keeps what it minted and may ship it later: the outcome is unknown, and said to be.
    refused.expect_code(5);
    cluster.node(0).says(&["write failed", "the disk is full"]).await;
    assert_values(&cluster).await;
    failing.lift().await;
    cluster.cli().ok(&["put", "d", "fourth"]).await;
    assert_eq!(cluster.cli().ok(&["get", "d", "-o", "raw"]).await.stdout, b"fourth");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_cannot_be_read_is_an_error_and_never_absent() {
    let Some(strace) = Strace::find() else {
        return;
    };
    let mut cluster = node_with_values().await;
    // What was stopped properly is in tables and value files, and no longer in memory.
    assert!(cluster.stop(0).await.success());
    cluster.restart(0).await;
    let failing = strace.fail(cluster.node(0), &["pread64"], "EIO", &cluster.path("")).await;
    let failed = cluster.cli().run(&["get", "large", "--deadline", "5s"]).await;
    failed.expect_code(4);
    cluster.node(0).says(&["cannot read", "os error 5"]).await;
    failing.lift().await;
    assert_values(&cluster).await;
}
