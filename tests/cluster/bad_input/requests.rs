//! Requests that cannot be carried out as asked: exit code 2, the cause, the fix, and nothing stored.

use crate::harness::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_keyspace_is_named_with_the_way_to_create_it() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    let expected =
        ["no keyspace `nowhere`", "atoll keyspace create nowhere", "atoll keyspace list"];
    let put = cli.run(&["put", "k", "v", "--keyspace", "nowhere"]).await.expect_code(2);
    put.expect_words(&expected).expect_words(&["nothing was written"]);
    cli.run(&["get", "k", "--keyspace", "nowhere"]).await.expect_code(2).expect_words(&expected);
    let delete = cli.run(&["delete", "k", "--keyspace", "nowhere"]).await;
    delete.expect_code(2).expect_words(&expected);
    let shown = cli.run(&["keyspace", "show", "nowhere"]).await;
    shown.expect_code(2).expect_words(&["no keyspace `nowhere`"]);
    let odd = cli.run(&["put", "k", "v", "--keyspace", "no where"]).await.expect_code(2);
    odd.expect_words(&["no where"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_key_and_one_that_is_too_long_are_refused() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    let (longest, too_long) = ("k".repeat(1_024), "k".repeat(1_025));
    for verb in [&["put"][..], &["get"], &["delete"], &["explain"], &["ring"]] {
        let with = |key: &str| {
            let value = (verb == ["put"]).then_some("v");
            let words = verb.iter().copied().chain([key]).chain(value);
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        let empty = cli.run(&with("")).await.expect_code(2);
        empty.expect_words(&["the key is empty", "1 to 1024 bytes"]);
        let long = cli.run(&with(&too_long)).await.expect_code(2);
        long.expect_words(&["the key has 1025 bytes", "at most 1024 bytes"]);
    }
    cli.ok(&["put", &longest, "v"]).await;
    assert_eq!(cli.ok(&["get", &longest, "-o", "raw"]).await.stdout, b"v");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_over_the_limit_is_refused_and_nothing_is_stored() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    // Key and value together.
    let largest = cluster.write("largest", vec![b'x'; 10 * 1_024 - 3]);
    let too_large = cluster.write("too-large", vec![b'x'; 10 * 1_024 - 2]);
    let enormous = cluster.write("enormous", vec![b'x'; 1_024 * 1_024 + 1]);
    let put = |file: &std::path::Path| {
        let file = file.to_str().unwrap().to_owned();
        ["put", "key", "--file"].map(str::to_owned).into_iter().chain([file]).collect::<Vec<_>>()
    };
    let refused = cli.run(&put(&too_large)).await.expect_code(2);
    refused.expect_words(&["10241 bytes", "limit is 10240 bytes", "record_bytes_max"]);
    let refused = cli.run(&put(&enormous)).await.expect_code(2);
    refused.expect_words(&["1048576 bytes", "nothing was written"]);
    cli.run(&["get", "key"]).await.expect_code(3).expect_words(&["`key` has no value"]);
    cli.ok(&put(&largest)).await;
    let got = cli.ok(&["get", "key", "-o", "raw"]).await;
    assert_eq!(got.stdout.len(), 10 * 1_024 - 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_level_is_refused_with_the_known_ones() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    for level in ["MOST", "LOCAL_QUORUM+", "LOCAL_QUORUM+0", "QUORUM+1", ""] {
        for verb in [&["put", "k", "v"][..], &["get", "k"], &["delete", "k"]] {
            let words: Vec<&str> = verb.iter().copied().chain(["--level", level]).collect();
            let refused = cli.run(&words).await.expect_code(2);
            refused.expect_words(&["--level", "LOCAL_QUORUM", "EACH_QUORUM"]);
        }
    }
    cli.run(&["get", "k"]).await.expect_code(3);
    cli.ok(&["put", "k", "v", "--level", "local_quorum"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_the_topology_cannot_satisfy_is_refused_whoever_is_alive() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    for (level, needs) in [("TWO", "2"), ("THREE", "3"), ("LOCAL_QUORUM+1", "LOCAL_QUORUM+1")] {
        let put = cli.run(&["put", "k", "v", "--level", level]).await.expect_code(2);
        put.expect_words(&["the topology cannot satisfy the level", level, needs]);
        let get = cli.run(&["get", "k", "--level", level]).await.expect_code(2);
        get.expect_words(&["the topology cannot satisfy the level", level, needs]);
    }
    cli.run(&["get", "k"]).await.expect_code(3);
    // What sounds like many, but is one here.
    for level in ["ALL", "QUORUM", "EACH_QUORUM", "LOCAL_QUORUM", "LOCAL_ONE", "ONE"] {
        cli.ok(&["put", level, "v", "--level", level]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_is_damaged_or_of_another_key_is_refused() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    let put = cli.ok(&["put", "mine", "v1", "-o", "raw"]).await;
    let context = put.text().trim();
    let swapped = |from: char, to: char| {
        let at = context.find(from)?;
        let mut text = context.to_owned();
        text.replace_range(at..=at, &to.to_string());
        Some(text)
    };
    let altered = ('b'..'y').find_map(|letter| swapped(letter, 'z')).unwrap();
    let damaged =
        [(altered.as_str(), "damaged"), (&context[..8], "damaged"), ("no base64!", "base64")];
    for (text, expected) in damaged {
        for verb in [&["put", "mine", "v2"][..], &["delete", "mine"]] {
            let words: Vec<&str> = verb.iter().copied().chain(["--context", text]).collect();
            let refused = cli.run(&words).await.expect_code(2);
            refused.expect_words(&["--context", expected, "pass it exactly as"]);
        }
    }
    for verb in [&["put", "yours", "v2"][..], &["delete", "yours"]] {
        let words: Vec<&str> = verb.iter().copied().chain(["--context", context]).collect();
        let refused = cli.run(&words).await.expect_code(2);
        refused.expect_words(&["the context belongs to another key", "nothing was written"]);
    }
    cli.run(&["get", "yours"]).await.expect_code(3);
    assert_eq!(cli.ok(&["get", "mine", "-o", "raw"]).await.stdout, b"v1");
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_are_no_values_are_usage_errors() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    let wrong = [
        (&["put", "k", "v", "--ttl", "soon"][..], "--ttl"),
        (&["put", "k", "v", "--ttl", "0s"], "above zero"),
        (&["get", "k", "-o", "xml"], "xml"),
        (&["get"], "<KEY>"),
        (&["put", "k", "v", "--deadline", "fast"], "--deadline"),
        (&["frobnicate"], "frobnicate"),
        (&["get", "k", "--profile", "/nowhere.toml"], "/nowhere.toml"),
        (&["put", "k", "--file", "/nowhere"], "nothing was written"),
    ];
    for (words, expected) in wrong {
        let refused = cli.run(words).await.expect_code(2).expect_words(&[expected]);
        assert_eq!(refused.text(), "", "data goes to stdout, and there is none");
    }
}
