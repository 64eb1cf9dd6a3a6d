use super::*;
use crate::cli::exit::{exit_code, message};

fn identity(content: &[u8]) -> LoadIdentity {
    let content = Fingerprint::of(content).unwrap();
    LoadIdentity { cluster: "demo".into(), keyspace: "default".into(), content }
}

#[test]
fn the_fingerprint_is_size_and_hash() {
    let fingerprint = Fingerprint::of(&b"key,value\na,1\n"[..]).unwrap();
    assert_eq!(fingerprint.bytes, 14);
    assert_eq!(fingerprint.xxh3.len(), 32);
    assert_eq!(Fingerprint::of(&b"key,value\na,1\n"[..]).unwrap(), fingerprint);
    assert_ne!(Fingerprint::of(&b"key,value\na,2\n"[..]).unwrap(), fingerprint);
    let long = vec![7; 3 * HASH_CHUNK_BYTES + 1];
    assert_ne!(Fingerprint::of(&long[..]).unwrap(), Fingerprint::of(&long[1..]).unwrap());
}

#[test]
fn a_later_run_begins_where_the_earlier_one_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.atoll-progress");
    let (mut progress, start) = Progress::begin(path.clone(), identity(b"x")).unwrap();
    assert_eq!(start, Start::Fresh);
    let (_, start) = Progress::begin(path.clone(), identity(b"x")).unwrap();
    assert_eq!(start, Start::Resumed { rows: 0 }, "rows may have been sent already");
    progress.save(300).unwrap();
    let (progress, start) = Progress::begin(path.clone(), identity(b"x")).unwrap();
    assert_eq!(start, Start::Resumed { rows: 300 });
    progress.finish().unwrap();
    assert!(!path.exists());
    let (_, start) = Progress::begin(path, identity(b"x")).unwrap();
    assert_eq!(start, Start::Fresh);
}

#[test]
fn rows_are_not_issued_far_beyond_what_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p");
    let (mut progress, _) = Progress::begin(path.clone(), identity(b"x")).unwrap();
    assert!(progress.may_issue(AHEAD_ROWS_MAX - 1));
    assert!(!progress.may_issue(AHEAD_ROWS_MAX));
    progress.save_sometimes(SAVE_EVERY_ROWS - 1).unwrap();
    assert!(!progress.may_issue(AHEAD_ROWS_MAX), "too early to be worth a sync");
    progress.save_sometimes(SAVE_EVERY_ROWS).unwrap();
    assert!(progress.may_issue(AHEAD_ROWS_MAX + SAVE_EVERY_ROWS - 1));
    assert_eq!(read(&path).unwrap().unwrap().rows, SAVE_EVERY_ROWS);
}

#[test]
fn another_load_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p");
    let (mut progress, _) = Progress::begin(path.clone(), identity(b"x")).unwrap();
    progress.save(5).unwrap();
    let other_keyspace = LoadIdentity { keyspace: "users".into(), ..identity(b"x") };
    let other_cluster = LoadIdentity { cluster: "prod".into(), ..identity(b"x") };
    let rows = [
        (identity(b"y"), "has changed since"),
        (other_keyspace, "keyspace `default`"),
        (other_cluster, "cluster `demo`"),
    ];
    for (other, text) in rows {
        let error = Progress::begin(path.clone(), other).unwrap_err();
        assert_eq!(exit_code(&error), 2);
        assert!(message(&error).contains(text), "{}", message(&error));
    }
    fs::write(&path, "not json").unwrap();
    let error = Progress::begin(path.clone(), identity(b"x")).unwrap_err();
    assert_eq!(exit_code(&error), 2);
    let (_, start) = Progress::begin(folder.path().join("q"), identity(b"x")).unwrap();
    assert_eq!(start, Start::Fresh);
}

#[test]
fn the_prefix_grows_over_rows_that_ended_early() {
    let mut prefix = Prefix::new(10);
    prefix.complete(12);
    prefix.complete(11);
    assert_eq!(prefix.done(), 10);
    prefix.complete(10);
    assert_eq!(prefix, Prefix { done: 13, beyond: BTreeSet::new() });
}
