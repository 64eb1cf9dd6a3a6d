//! The profile file: what is accepted, what is said about the rest, and where it is looked for.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::profile::places;
use crate::{Level, ProfileError, ProfileFile, Role, find_profile};

const FULL: &str = r#"
cluster = "demo"
seeds = ["127.0.0.1:7411", "[::1]:7421", "db.internal:7400"]
dc = "eu"
ca = "certs/ca.crt"
certificate = "certs/client.crt"
key = "certs/client.key"
admin_certificate = "certs/admin.crt"
admin_key = "/etc/atoll/admin.key"
level = "local_quorum+1"
deadline = "1s 500ms"
"#;

const SMALL: &str = r#"
cluster = "demo"
seeds = ["127.0.0.1:7411"]
ca = "ca.crt"
certificate = "client.crt"
key = "client.key"
"#;

fn problems(text: &str) -> String {
    ProfileFile::parse(text).unwrap_err().to_string()
}

#[test]
fn full_file_round_trip() {
    let file = ProfileFile::parse(FULL).unwrap();
    assert_eq!(file.level, Some(Level::LocalQuorumPlus(1)));
    assert_eq!(file.deadline, Some(Duration::from_millis(1_500)));
    assert_eq!(ProfileFile::parse(&file.to_toml()).unwrap(), file);
}

#[test]
fn small_file_round_trip() {
    let file = ProfileFile::parse(SMALL).unwrap();
    assert_eq!((file.dc.clone(), file.level, file.deadline), (None, None, None));
    assert_eq!(ProfileFile::parse(&file.to_toml()).unwrap(), file);
    let error = file.credentials(Role::Admin).unwrap_err().to_string();
    assert!(error.contains("admin_certificate") && error.contains("atoll cert"), "{error}");
}

#[test]
fn loaded_paths_are_relative_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client.toml");
    fs::write(&path, FULL).unwrap();
    let file = ProfileFile::load(&path).unwrap();
    let client = file.credentials(Role::Client).unwrap();
    assert_eq!(client.ca, folder.path().join("certs/ca.crt"));
    assert_eq!(client.key, folder.path().join("certs/client.key"));
    let admin = file.credentials(Role::Admin).unwrap();
    assert_eq!(admin.certificate, folder.path().join("certs/admin.crt"));
    assert_eq!(admin.key, Path::new("/etc/atoll/admin.key"));
}

#[test]
fn every_problem_is_named_with_its_key_and_its_fix() {
    let wrong = FULL
        .replace("\"demo\"", "\"de mo\"")
        .replace("[::1]:7421", "nowhere")
        .replace("local_quorum+1", "MOST")
        .replace("1s 500ms", "soon")
        .replace("admin_key", "# admin_key");
    let text = problems(&wrong);
    for expected in [
        "cluster: `de mo`",
        "seeds: `nowhere` (write `host:port`",
        "level: `MOST` is not a consistency level",
        "deadline: `soon` (write a time above zero",
        "admin_key: missing",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(problems(&SMALL.replace("[\"127.0.0.1:7411\"]", "[]")).contains("seeds: no address"));
}

#[test]
fn unknown_and_missing_keys_are_named() {
    let text = problems(&format!("{SMALL}sedes = 1\n"));
    assert!(text.contains("line 7") && text.contains("sedes"), "{text}");
    let text = problems("cluster = \"demo\"\n");
    assert!(text.contains("seeds"), "{text}");
}

#[test]
fn a_file_that_was_asked_for_is_never_replaced_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.toml");
    let error = find_profile(Some(&missing)).unwrap_err();
    assert!(matches!(&error, ProfileError::Read { path, .. } if *path == missing), "{error}");
    assert!(error.to_string().contains("atoll dev"), "{error}");
    let error = find_profile(Some(folder.path())).unwrap_err();
    assert!(error.to_string().contains("not a file"), "{error}");
    let path = folder.path().join("client.toml");
    fs::write(&path, SMALL).unwrap();
    assert_eq!(find_profile(Some(&path)).unwrap(), path);
}

#[test]
fn usual_places_in_order() {
    let environment = |set: &'static [(&'static str, &'static str)]| {
        let value = move |name: &str| {
            set.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        places(value).into_iter().map(|place| place.path).collect::<Vec<PathBuf>>()
    };
    let here = PathBuf::from("./.atoll/client.toml");
    assert_eq!(environment(&[]), [here.as_path()]);
    let home = Path::new("/h/.config/atoll/client.toml");
    assert_eq!(environment(&[("HOME", "/h")]), [&here, home]);
    assert_eq!(environment(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "")]), [&here, home]);
    let configured = Path::new("/x/atoll/client.toml");
    assert_eq!(environment(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]), [&here, configured]);
}
