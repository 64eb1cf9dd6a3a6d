//! Files that cannot be loaded: every malformed line is named, and none of the others is loaded.

use crate::harness::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn malformed_csv_lines_are_numbered_and_nothing_is_loaded() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    let file = cluster.write(
        "rows.csv",
        "key,value\ngood-1,v\nonly-a-key\n\"two\nlines\",v\ngood-2,v\na,b,c\n,empty\ngood-3,v\n",
    );
    let refused = cli.run(&["load", file.to_str().unwrap()]).await.expect_code(2);
    refused
        .expect_words(&[
            "3 malformed row(s)",
            "line 3:",
            "line 7:",
            "line 8:",
            "nothing was loaded",
        ])
        .expect_words(&["the key is empty"]);
    for key in ["good-1", "good-2", "good-3"] {
        cli.run(&["get", key]).await.expect_code(3);
    }
    assert!(!cluster.path("rows.csv.atoll-progress").exists(), "a load that did not begin");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_files_that_cannot_be_loaded_say_why() {
    let cluster = Cluster::single().await;
    let cli = cluster.cli();
    let files = [
        ("no-header.csv", "a,b\n1,2\n", &["line 1", "key"][..]),
        ("long.tsv", &format!("key\tvalue\nk\t{}\n", "v".repeat(10_241)), &["line 2", "10240"]),
        (
            "not.jsonl",
            "{\"key\":\"a\",\"value\":\"b\"}\n{\"key\":1}\nnonsense\n",
            &["line 2", "line 3"],
        ),
        ("unknown.xml", "<a/>", &["--format csv, tsv or jsonl"]),
    ];
    for (file, text, expected) in files {
        let path = cluster.write(file, text);
        let refused = cli.run(&["load", path.to_str().unwrap()]).await.expect_code(2);
        refused.expect_words(expected);
    }
    cli.run(&["load", "/nowhere.csv"]).await.expect_code(2).expect_words(&["cannot read"]);
    for key in ["a", "k", "1"] {
        cli.run(&["get", key]).await.expect_code(3);
    }
}
