//! `atoll storage verify` and `dump` on the store of a real node: running, stopped, damaged.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Cli, Cluster, Outcome};

async fn verify(cli: &Cli, directory: &Path, more: &[&str]) -> Outcome {
    let mut arguments = vec!["storage", "verify", directory.to_str().unwrap()];
    arguments.extend(more);
    cli.run(&arguments).await
}

async fn dump(cli: &Cli, file: &Path, more: &[&str]) -> Outcome {
    let mut arguments = vec!["storage", "dump", file.to_str().unwrap()];
    arguments.extend(more);
    cli.run(&arguments).await
}

/// Files with their content, in order.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

/// Whether a file is only there to be there: what it holds does not matter, and cannot be damaged.
fn holds_nothing(path: &Path) -> bool {
    path.ends_with("LOCK") || path.ends_with("RESERVE")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nodes_store_is_verified_and_shown_and_left_as_it_is() {
    let mut cluster = Cluster::single().await;
    let cli = cluster.cli();
    let large = "a large value ".repeat(200);
    for index in 0..20 {
        cli.ok(&["put", &format!("key{index}"), "small"]).await;
    }
    cli.ok(&["put", "large", &large]).await;
    let data = cluster.path("eu-0");
    let store = data.join("storage");
    let refused = verify(&cli, &data, &[]).await.expect_code(2);
    refused.expect_words(&["LOCK is locked", "a node uses this store", "fix: stop the node"]);
    dump(&cli, &store.join("CURRENT"), &[]).await.expect_code(0);
    assert!(cluster.stop(0).await.success());

    let before = files(&store);
    for directory in [&data, &store] {
        let sound = verify(&cli, directory, &[]).await.expect_code(0);
        assert!(sound.text().contains("sound"), "{sound}");
    }
    let report = verify(&cli, &data, &["-o", "json"]).await.expect_code(0).json();
    assert_eq!(report["sound"], true, "{report}");
    assert!(report["tables"]["entries"].as_u64() >= Some(21), "{report}");
    assert_eq!(report["value_files"]["files"], 1, "the log holds the large value: {report}");
    for (path, _) in before.iter().filter(|(path, _)| !holds_nothing(path)) {
        let shown = dump(&cli, path, &[]).await.expect_code(0);
        assert!(!shown.text().contains("damaged"), "{shown}");
        let document = dump(&cli, path, &["-o", "json"]).await.expect_code(0).json();
        assert!(!document["items"].as_array().unwrap().is_empty(), "{document}");
    }
    assert_eq!(files(&store), before, "nothing was changed");
    cluster.restart(0).await;
    assert_eq!(cluster.cli().ok(&["get", "large", "-o", "raw"]).await.stdout, large.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_to_a_nodes_store_is_found_and_named() {
    let mut cluster = Cluster::single().await;
    let cli = cluster.cli();
    cli.ok(&["put", "large", &"a large value ".repeat(200)]).await;
    assert!(cluster.stop(0).await.success());
    let store = cluster.path("eu-0").join("storage");
    let damageable = |(path, bytes): &(PathBuf, Vec<u8>)| bytes.len() > 32 && !holds_nothing(path);
    for (path, mut bytes) in files(&store).into_iter().filter(damageable) {
        let name = path.file_name().unwrap().to_str().unwrap();
        bytes[40] ^= 4;
        fs::write(&path, &bytes).unwrap();
        let damaged = verify(&cli, &store, &[]).await.expect_code(8);
        assert!(damaged.text().contains("DAMAGED"), "{damaged}");
        damaged.expect_words(&[&format!("damaged: {name} at offset"), "is damaged"]);
        let report = verify(&cli, &store, &["-o", "json"]).await.expect_code(8).json();
        assert_eq!(report["damages"][0]["file"], name, "{report}");
        let shown = dump(&cli, &path, &[]).await.expect_code(0);
        assert!(shown.text().contains("damaged"), "{shown}");
        bytes[40] ^= 4;
        fs::write(&path, &bytes).unwrap();
    }
    verify(&cli, &store, &[]).await.expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_store_is_refused_with_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let cli = Cli::new(folder.path());
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("empty")).unwrap();
    fs::create_dir(at("other")).unwrap();
    fs::write(at("other/data.db"), "of another program").unwrap();
    for (place, words) in [
        ("missing", "there is no such directory"),
        ("empty", "has no files"),
        ("other", "has other files only"),
        ("other/data.db", "not a directory"),
    ] {
        let refused = verify(&cli, &at(place), &[]).await.expect_code(2);
        refused.expect_words(&[words, "a store has CURRENT", "fix: name a node's data_dir"]);
    }
    for (place, words) in [
        ("missing", "there is no file"),
        ("empty", "is a directory"),
        ("other/data.db", "not a file of a store"),
    ] {
        dump(&cli, &at(place), &[]).await.expect_code(2).expect_words(&[words, "fix: name"]);
    }
    assert_eq!(files(&at("other")).len(), 1, "nothing was made");
}
