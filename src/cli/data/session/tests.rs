//! Session files: made, replaced, refused.

use super::*;
use crate::cli::exit::{exit_code, message};

const TOKEN: &str = "AQAAAABo9ynVfpLd0Q";

#[test]
fn a_missing_file_is_made_and_an_empty_one_is_a_new_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session");
    for _ in 0..2 {
        let file = SessionFile::open(path.clone()).unwrap();
        assert_eq!(file.token, None);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }
}

#[test]
fn what_is_saved_is_read_back_and_nothing_else_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session");
    let token: SessionToken = TOKEN.parse().unwrap();
    SessionFile::open(path.clone()).unwrap().save(&token).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{TOKEN}\n"));
    assert_eq!(SessionFile::open(path).unwrap().token, Some(token));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_damaged_file_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session");
    for damaged in ["nonsense!", &TOKEN.replace('A', "B"), &TOKEN[1..]] {
        fs::write(&path, damaged).unwrap();
        let error = SessionFile::open(path.clone()).unwrap_err();
        assert_eq!(exit_code(&error), 2);
        assert!(message(&error).contains("nothing was sent"), "{}", message(&error));
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }
    let nowhere = folder.path().join("no/such/folder/session");
    assert_eq!(exit_code(&SessionFile::open(nowhere).unwrap_err()), 2);
}

/// Whoever waits for the lock goes on from what the other one saved, not from what was there before.
#[test]
fn commands_with_one_file_run_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session");
    let first = SessionFile::open(path.clone()).unwrap();
    let waiting = std::thread::spawn({
        let path = path.clone();
        move || SessionFile::open(path).unwrap().token
    });
    let token: SessionToken = TOKEN.parse().unwrap();
    first.save(&token).unwrap();
    drop(first);
    assert_eq!(waiting.join().unwrap(), Some(token));
}
