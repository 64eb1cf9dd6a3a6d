//! Processes are found by number and by roster, and what cannot be found is said at once.

use super::{NodeSource, check, processes};

#[test]
fn a_roster_names_running_nodes() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("nodes.json");
    let roster =
        r#"[{"id": "eu-1", "dc": "eu", "pid": 17}, {"id": "eu-2", "dc": "eu", "pid": null}]"#;
    std::fs::write(&path, roster).unwrap();
    assert_eq!(processes(&NodeSource::Roster(path)), [("eu-1".to_owned(), 17)]);
}

#[test]
fn what_is_not_there_is_said() {
    check(&[NodeSource::Pid(std::process::id())]).unwrap();
    let error = check(&[NodeSource::Pid(u32::MAX)]).unwrap_err().to_string();
    assert!(error.contains("no such process"), "{error}");
    let error = check(&[NodeSource::Roster("/nowhere/nodes.json".into())]).unwrap_err();
    assert!(error.to_string().contains("--dev takes"), "{error}");
}
