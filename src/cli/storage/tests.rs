use std::sync::{Arc, Mutex};

use atoll_storage::{Batch, Engine, MergeError, MergeOperator, Options, RealDisk};
use bytes::Bytes;
use clap::Parser;

use super::*;
use crate::cli::exit::{exit_code, message};

struct Refuse;

impl MergeOperator for Refuse {
    fn merge(&self, _: &[u8], _: Option<&Bytes>, _: &[Bytes]) -> Result<Bytes, MergeError> {
        Err(MergeError::new("no operands here"))
    }
}

/// A store with a table, a value file and an open end.
fn stored(directory: &Path) {
    let disk = Arc::new(RealDisk::new(directory));
    let engine = Engine::open(disk, Options::default(), Arc::new(Refuse)).unwrap();
    let mut batch = Batch::new();
    batch.put(b"small \x01", b"value");
    batch.put(b"large", &[7; 2_000]);
    engine.write(batch).unwrap();
    engine.close().unwrap();
}

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: StorageArgs,
}

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs `atoll storage …`: the exit code, stdout and stderr.
fn run(words: &[&str]) -> (u8, String, String) {
    let line = Line::try_parse_from(std::iter::once(&"storage").chain(words)).unwrap();
    let (out, err) = (Page::default(), Page::default());
    let mut console = Console::new(Box::new(out.clone()), Box::new(err.clone()));
    let ended = storage(line.args, &mut console);
    if let Err(error) = &ended {
        console.talk(message(error));
    }
    let text = |page: &Page| String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    (ended.as_ref().map_or_else(exit_code, |()| 0), text(&out), text(&err))
}

#[test]
fn a_sound_store_is_counted_in_both_formats() {
    let data = tempfile::tempdir().unwrap();
    let store = data.path().join("storage");
    stored(&store);
    let before = files(&store);
    for directory in [data.path(), store.as_path()] {
        let (code, out, err) = run(&["verify", directory.to_str().unwrap()]);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        assert!(out.contains("sound") && !out.contains("DAMAGED"), "{out}");
    }
    let (code, out, _) = run(&["verify", store.to_str().unwrap(), "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["sound"]), (0, &true.into()));
    assert_eq!((&report["tables"]["files"], &report["tables"]["entries"]), (&1.into(), &2.into()));
    assert_eq!(report["value_files"]["files"], 1);
    assert_eq!(files(&store), before, "nothing was changed");
}

fn files(directory: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    let mut all: Vec<_> =
        entries.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect();
    all.sort();
    all
}

fn named(directory: &Path, extension: &str) -> std::path::PathBuf {
    let mut paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.find(|path| path.extension().is_some_and(|found| found == extension)).unwrap()
}

#[test]
fn damage_has_its_exit_code_and_its_place() {
    let store = tempfile::tempdir().unwrap();
    stored(store.path());
    let table = named(store.path(), "sst");
    let mut bytes = std::fs::read(&table).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&table, bytes).unwrap();
    let name = table.file_name().unwrap().to_str().unwrap();
    let (code, out, err) = run(&["verify", store.path().to_str().unwrap()]);
    assert_eq!(code, 8, "{err}");
    assert!(out.contains("DAMAGED") && out.contains(name), "{out}");
    assert!(err.contains(&format!("damaged: {name} at offset 0")), "{err}");
    assert!(err.contains("1 problem"), "{err}");
    let (_, out, _) = run(&["verify", store.path().to_str().unwrap(), "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["sound"], &report["damages"][0]["file"]), (&false.into(), &name.into()));
    let (code, out, _) = run(&["dump", table.to_str().unwrap()]);
    assert_eq!(code, 0);
    assert!(out.contains("damaged") && out.contains("footer"), "{out}");
}

#[test]
fn every_kind_of_file_is_shown() {
    let store = tempfile::tempdir().unwrap();
    stored(store.path());
    let rows = [
        (store.path().join("CURRENT"), "manifest_id="),
        (named(store.path(), "manifest"), "sequence_flushed="),
        (named(store.path(), "sst"), "key=736d616c6c2001 \"small .\""),
        (named(store.path(), "wal"), "sequence_before="),
    ];
    for (path, word) in rows {
        let (code, out, err) = run(&["dump", path.to_str().unwrap()]);
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.contains(word) && !out.contains("damaged"), "{out}");
        let (_, out, _) = run(&["dump", path.to_str().unwrap(), "-o", "json"]);
        let document: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert!(!document["items"].as_array().unwrap().is_empty(), "{out}");
    }
    let (_, out, err) =
        run(&["dump", named(store.path(), "sst").to_str().unwrap(), "--limit", "2"]);
    assert_eq!(out.lines().count(), 2);
    assert!(err.contains("stopped after 2"), "{err}");
}

#[test]
fn what_is_no_store_says_what_was_expected() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir(at("empty")).unwrap();
    std::fs::create_dir(at("other")).unwrap();
    std::fs::write(at("other/PG_VERSION"), "17").unwrap();
    std::fs::write(at("other/picture.jpg"), [9; 200]).unwrap();
    let rows = [
        (["verify", &at("missing")], "no such directory"),
        (["verify", &at("empty")], "has no files"),
        (["verify", &at("other")], "has other files only"),
        (["verify", &at("other/picture.jpg")], "not a directory"),
        (["dump", &at("missing")], "there is no file"),
        (["dump", &at("empty")], "is a directory"),
        (["dump", &at("other/PG_VERSION")], "not a file of a store"),
        (["dump", &at("other/picture.jpg")], "ATOLLSST"),
    ];
    for (words, text) in rows {
        let (code, out, err) = run(&words);
        assert_eq!((code, out.as_str()), (2, ""), "{words:?}: {err}");
        assert!(err.contains(text) && err.contains("fix: "), "{words:?}: {err}");
    }
    assert!(!place.path().join("other/LOCK").exists(), "nothing was made");
}

#[test]
fn an_open_store_says_who_has_it() {
    let store = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk::new(store.path()));
    let engine = Engine::open(disk, Options::default(), Arc::new(Refuse)).unwrap();
    let (code, _, err) = run(&["verify", store.path().to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(err.contains("LOCK is locked") && err.contains("stop the node"), "{err}");
    let (code, ..) = run(&["dump", store.path().join("CURRENT").to_str().unwrap()]);
    assert_eq!(code, 0, "a file can be shown all the same");
    drop(engine);
}
