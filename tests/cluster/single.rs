//! One node: values and their versions, expiry, loads that are resumed, and restarts of both kinds.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use atoll_client::Versions;
use atolldb::config::RawTls;
use futures_util::StreamExt;

use crate::harness::{CLUSTER, Cluster, Folder, NodeProcess, Seats, Start, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_put_read_superseded_and_deleted() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    cli.run(&["get", "k"]).await.expect_code(3).expect_words(&["`k` has no value"]);
    let put = cli.ok(&["put", "k", "v1", "-o", "json"]).await.json();
    assert_eq!((&put["acked"], &put["siblings"]), (&1.into(), &1.into()), "{put}");

    let got = cli.ok(&["get", "k", "-o", "json"]).await.json();
    assert_eq!((&got["key"], &got["keyspace"]), (&"k".into(), &"default".into()), "{got}");
    assert_eq!(got["values"].as_array().unwrap().len(), 1, "{got}");
    assert_eq!(got["values"][0]["value"], "v1");
    assert_eq!(got["values"][0]["bytes"], 2);
    assert!(got["values"][0]["expires_at"].is_null());
    let table = cli.ok(&["get", "k"]).await;
    assert!(table.text().contains("v1") && table.text().contains("context "), "{table}");

    let context = got["context"].as_str().unwrap();
    let put = cli.ok(&["put", "k", "v2", "--context", context, "-o", "json"]).await.json();
    assert_eq!(put["siblings"], 1, "{put}");
    assert_eq!(cli.ok(&["get", "k", "-o", "raw"]).await.stdout, b"v2");

    let deleted = cli.ok(&["delete", "k", "-o", "json"]).await.json();
    assert_eq!(deleted["deleted"], true, "{deleted}");
    let gone = cli.run(&["get", "k", "-o", "raw"]).await.expect_code(3);
    assert!(gone.stdout.is_empty(), "{gone}");
    let again = cli.ok(&["delete", "k", "-o", "json"]).await;
    assert_eq!(again.json()["deleted"], false, "{again}");
    again.expect_words(&["nothing to delete", "nothing was written"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_come_back_as_they_went() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    let bytes: Vec<u8> = (0..=255).cycle().take(5_000).collect();
    let file = cluster.write("bytes", &bytes);
    cli.ok(&["put", "k", "--file", file.to_str().unwrap()]).await;
    assert_eq!(cli.ok(&["get", "k", "-o", "raw"]).await.stdout, bytes);
    let got = cli.ok(&["get", "k", "-o", "json"]).await.json();
    assert!(got["values"][0]["value_base64"].is_string(), "{got}");
    cli.ok(&["put", "empty", ""]).await;
    assert!(cli.ok(&["get", "empty", "-o", "raw"]).await.stdout.is_empty(), "and it is a value");
}

#[tokio::test(flavor = "multi_thread")]
async fn blind_writes_become_siblings_and_a_context_resolves_them() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    cli.ok(&["put", "cart", "apples"]).await;
    let second = cli.ok(&["put", "cart", "pears", "-o", "json"]).await;
    assert_eq!(second.json()["siblings"], 2, "{second}");
    second.expect_words(&["warning", "2 concurrent versions"]);

    let raw = cli.run(&["get", "cart", "-o", "raw"]).await.expect_code(6);
    assert!(raw.stdout.is_empty(), "{raw}");
    raw.expect_words(&["`cart` has 2 siblings"]);
    let got = cli.ok(&["get", "cart", "-o", "json"]).await.json();
    let mut values: Vec<&str> =
        got["values"].as_array().unwrap().iter().map(|it| it["value"].as_str().unwrap()).collect();
    values.sort_unstable();
    assert_eq!(values, ["apples", "pears"]);

    let context = got["context"].as_str().unwrap();
    // Somebody else is faster: what the context does not cover stays.
    cli.ok(&["put", "cart", "plums"]).await;
    let put = cli.ok(&["put", "cart", "both", "--context", context, "-o", "json"]).await.json();
    assert_eq!(put["siblings"], 2, "{put}");
    let got = cli.ok(&["get", "cart", "-o", "json"]).await.json();
    let context = got["context"].as_str().unwrap();
    cli.ok(&["put", "cart", "all three", "--context", context]).await;
    assert_eq!(cli.ok(&["get", "cart", "-o", "raw"]).await.stdout, b"all three");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_too_many_siblings_asks_for_a_context() {
    let cluster = Cluster::single().await;
    let client = cluster.client().await;
    let keyspace = client.keyspace("default");
    for number in 1..=64u16 {
        let written = keyspace.put("k", format!("v{number}")).await.unwrap();
        assert_eq!(written.siblings(), number);
    }
    let cli = cluster.cli();
    let refused = cli.run(&["put", "k", "one more"]).await.expect_code(6);
    refused.expect_words(&["64 concurrent values", "put with the context of that get"]);
    let found = keyspace.get("k").await.unwrap();
    assert_eq!(found.values().len(), 64);
    keyspace.put("k", "merged").resolves(&found).await.unwrap();
    assert_eq!(cli.ok(&["get", "k", "-o", "raw"]).await.stdout, b"merged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_with_a_time_to_live_says_so_and_goes() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    cli.ok(&["put", "long", "v", "--ttl", "7d"]).await;
    let got = cli.ok(&["get", "long", "-o", "json"]).await.json();
    assert!(got["values"][0]["expires_at"].is_string(), "{got}");
    cli.ok(&["put", "short", "v", "--ttl", "1s"]).await;
    until("the value has expired", async || {
        let got = cli.run(&["get", "short", "-o", "raw"]).await;
        if got.code == Some(3) { Ok(()) } else { Err(got.to_string()) }
    })
    .await;
    cli.ok(&["get", "long"]).await;
    // An expired value is no sibling of what follows.
    cli.ok(&["put", "short", "v2"]).await;
    assert_eq!(cli.ok(&["get", "short", "-o", "raw"]).await.stdout, b"v2");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_format_are_loaded() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    let files = [
        ("rows.csv", "key,value\n\"c,1\",\"a \"\"quoted\"\" value\"\nc2,\"two\nlines\"\n"),
        ("rows.tsv", "key\tvalue\nt1\twith \"quotes\", and commas\n"),
        (
            "rows.jsonl",
            "{\"key\":\"j1\",\"value\":\"text\"}\n{\"key\":\"j2\",\"value\":{\"b\":1,\"a\":2}}\n",
        ),
    ];
    for (file, text) in files {
        let path = cluster.write(file, text);
        let loaded = cli.ok(&["load", path.to_str().unwrap()]).await;
        loaded.expect_words(&["loaded", "into keyspace `default`"]);
        assert!(!cluster.path(&format!("{file}.atoll-progress")).exists());
    }
    let expected = [
        ("c,1", "a \"quoted\" value"),
        ("c2", "two\nlines"),
        ("t1", "with \"quotes\", and commas"),
        ("j1", "text"),
        ("j2", "{\"a\":2,\"b\":1}"),
    ];
    for (key, value) in expected {
        assert_eq!(cli.ok(&["get", key, "-o", "raw"]).await.text(), value, "{key}");
    }
}

/// Rows of the load that is killed: one at a time they take seconds, so that there is a middle to be killed in.
const ROWS: usize = 4_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_was_killed_continues_and_writes_no_row_twice() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    let rows: String = (0..ROWS).map(|row| format!("key-{row},value {row}\n")).collect();
    let file = cluster.write("rows.csv", format!("key,value\n{rows}"));
    let words = ["load", file.to_str().unwrap()];
    let slowly = [&words[..], &["--concurrency", "1"]].concat();
    let noted = cluster.path("rows.csv.atoll-progress");
    let mut loader = cli.command(&slowly).kill_on_drop(true).spawn().unwrap();
    let done = until("the load has got somewhere", async || {
        assert_eq!(loader.try_wait().unwrap(), None, "it was faster than this test: more rows");
        let noted: serde_json::Value =
            serde_json::from_slice(&fs::read(&noted).unwrap_or_default()).unwrap_or_default();
        let rows = noted["rows"].as_u64().unwrap_or(0);
        if rows > 0 { Ok(rows) } else { Err(noted.to_string()) }
    })
    .await;
    loader.kill().await.unwrap();
    assert!((1..u64::try_from(ROWS).unwrap()).contains(&done), "{done}");

    let resumed = cli.ok(&words).await;
    resumed.expect_words(&["continuing after", &format!("of {ROWS} rows"), "loaded"]);
    assert!(!noted.exists(), "it is done");
    let keyspace = cluster.client().await.keyspace("default");
    let check = |row: usize| {
        let get = keyspace.get(format!("key-{row}"));
        async move {
            let found = get.await.unwrap();
            let Versions::One { value, .. } = &found else { panic!("key-{row}: {found:?}") };
            assert_eq!(value.bytes(), format!("value {row}").as_bytes());
        }
    };
    futures_util::stream::iter((0..ROWS).map(check)).buffer_unordered(16).count().await;
}

/// What `atoll status` says of the only node.
async fn only_node(cluster: &Cluster) -> serde_json::Value {
    let status = cluster.cli().ok(&["status", "-o", "json"]).await.json();
    let node = status["nodes"][0].clone();
    assert_eq!(node["state"], "up", "{status}");
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_is_shown_as_tables_and_as_a_document() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    cli.ok(&["put", "k", "v"]).await;
    let table = cli.ok(&["status", "--storage"]).await;
    for said in ["what it holds", "eu-0", "WRITE AMP", "LAST MINUTE"] {
        assert!(table.text().contains(said), "{said} is missing in {table}");
    }
    let document = cli.ok(&["status", "--storage", "-o", "json"]).await.json();
    let node = &document["nodes"][0];
    assert_eq!((&node["node"], &node["state"]), (&"eu-0".into(), &"up".into()), "{document}");
    assert!(node["entries"].as_u64().unwrap() >= 1, "{document}");
    let kinds = node["syncs"].as_array().unwrap();
    let log = kinds.iter().find(|syncs| syncs["kind"] == "log").expect("a put is synced");
    assert!(log["since_start"]["count"].as_u64().unwrap() >= 1, "{document}");
    assert!(log["since_start"]["max_us"].as_u64().unwrap() >= 1, "{document}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_printed_with_its_defaults() {
    let folder = Folder::create(&[("eu", 1)]);
    let config = folder.vary_config("eu-0", |raw| raw.storage.cache_bytes = Some(1_048_576));
    let config = config.to_str().unwrap();
    let printed = folder.cli().ok(&["config", "print", config]).await;
    for said in [
        "id = \"eu-0\"",
        "durability = \"fsync\"",
        "memtable_bytes_max = 33554432",
        "cache_bytes = 1048576",
        "value_separation_bytes = 512",
        "compaction_bytes_per_second_max = 268435456",
        "scrub_bytes_per_second_max = 8388608",
    ] {
        assert!(printed.text().contains(said), "{said} is missing in {printed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_keeps_the_data_and_the_incarnation() {
    let mut cluster = Cluster::single().await;
    let cli = cluster.cli();
    cli.ok(&["put", "k", "v1"]).await;
    let before = only_node(&cluster).await;
    assert_eq!(before["pid"], cluster.node(0).pid());
    assert!(cluster.stop(0).await.success());
    let log = fs::read_to_string(cluster.log("eu-0")).unwrap();
    for said in ["first boot", "asked to stop", "stopped cleanly"] {
        assert!(log.contains(said), "{said} is missing in {log}");
    }
    let unreachable = cli.run(&["get", "k"]).await.expect_code(4);
    unreachable
        .expect_words(&["no node could be reached", &cluster.members[0].address.to_string()]);

    cluster.restart(0).await;
    cluster.node(0).says(&["last stop was clean"]).await;
    let after = only_node(&cluster).await;
    assert_eq!(after["incarnation"], before["incarnation"]);
    assert_ne!(after["pid"], before["pid"]);
    assert_eq!(cli.ok(&["get", "k", "-o", "raw"]).await.stdout, b"v1");
    let context = cli.ok(&["get", "k", "-o", "json"]).await.json()["context"].clone();
    cli.ok(&["put", "k", "v2", "--context", context.as_str().unwrap()]).await;
    assert_eq!(cli.ok(&["get", "k", "-o", "raw"]).await.stdout, b"v2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_keeps_the_data_under_a_new_incarnation() {
    let mut cluster = Cluster::single().await;
    let cli = cluster.cli();
    let before = only_node(&cluster).await;
    let put = cli.ok(&["put", "k", "v1", "-o", "raw"]).await;
    cluster.kill(0);
    cluster.restart(0).await;
    cluster.node(0).says(&["last stop was unclean: new incarnation"]).await;
    let after = only_node(&cluster).await;
    assert_ne!(after["incarnation"], before["incarnation"]);
    assert_eq!(cli.ok(&["get", "k", "-o", "raw"]).await.stdout, b"v1");
    // A context from before the kill still covers what it covered.
    cli.ok(&["put", "k", "v2", "--context", put.text().trim()]).await;
    assert_eq!(cli.ok(&["get", "k", "-o", "raw"]).await.stdout, b"v2");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_the_command_line_run_a_node() {
    let _seat = Seats::one().await;
    let folder = Folder::create(&[("eu", 1)]);
    let cli = folder.cli();
    cli.ok(&["cert", "ca", "--cluster", CLUSTER, "--dir", "own"]).await;
    let leaf = ["--cluster", CLUSTER, "--ca-dir", "own"];
    let node = [&["cert", "node", "eu-0", "--dc", "eu", "--rack", "r0"], &leaf[..]].concat();
    let client = [&["cert", "client", "app"], &leaf[..]].concat();
    for words in [&node, &client] {
        cli.ok(words).await;
        let again = cli.run(words).await.expect_code(2);
        again.expect_words(&["exists and is not overwritten"]);
    }
    let own = folder.path("own");
    for key in ["ca.key", "eu-0.key", "app.key"] {
        let mode = fs::metadata(own.join(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let shown = cli.ok(&["cert", "show", "own/app.crt", "-o", "json"]).await.json();
    assert_eq!(shown["identity"], "atoll://reef/client/app", "{shown}");

    let config = folder.vary_config("eu-0", |raw| {
        let [ca, certificate, key] = ["ca.crt", "eu-0.crt", "eu-0.key"].map(|file| own.join(file));
        raw.tls = RawTls { ca, certificate, key };
    });
    cli.ok(&["config".as_ref(), "check".as_ref(), config.as_os_str()]).await;
    let mut process = NodeProcess::spawn(&config, &folder.log("eu-0"), &[]);
    assert!(matches!(process.started().await, Start::Serving), "{}", process.log());
    let app = folder.cli_with(|profile| {
        profile.ca = own.join("ca.crt");
        profile.certificate = own.join("app.crt");
        profile.key = own.join("app.key");
    });
    app.ok(&["put", "k", "v"]).await;
    // The folder's first CA is another one of the same cluster.
    cli.run(&["get", "k"]).await.expect_code(7);
}
