//! Metadata over restarts.

use std::collections::BTreeMap;

use atoll_protocol::ids::{Incarnation, Name};
use atoll_protocol::token::Partition;
use tempfile::TempDir;

use super::{LastStop, Meta, MetaError, Owner};

fn owner(node: &str) -> Owner {
    let name = |text| Name::new(text).unwrap();
    Owner { cluster: name("demo"), dc: name("eu"), rack: name("a"), node: name(node) }
}

#[test]
fn the_incarnation_is_reused_only_after_a_clean_stop() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("meta.redb");
    let open = || Meta::open(&path).unwrap();

    let first = open().begin_life(Incarnation(1), Some(70)).unwrap();
    assert_eq!((first.last_stop, first.incarnation), (LastStop::FirstBoot, Incarnation(1)));

    let unclean = open().begin_life(Incarnation(2), Some(70)).unwrap();
    assert_eq!((unclean.last_stop, unclean.incarnation), (LastStop::Unclean, Incarnation(2)));

    let minted = BTreeMap::from([(Partition(3), 17)]);
    open().end_life(Incarnation(2), &minted, 70).unwrap();
    let clean = open().begin_life(Incarnation(3), Some(70)).unwrap();
    assert_eq!((clean.last_stop, clean.incarnation), (LastStop::Clean, Incarnation(2)));
    assert_eq!(clean.minted, minted);

    let marker_is_spent = open().begin_life(Incarnation(4), Some(70)).unwrap();
    assert_eq!(marker_is_spent.last_stop, LastStop::Unclean);
    assert_eq!(marker_is_spent.incarnation, Incarnation(4));
    assert!(marker_is_spent.minted.is_empty());
}

/// redb answers damage to its last commit, which removed the marker, with the commit before.
#[test]
fn a_clean_marker_from_before_the_last_write_is_not_believed() {
    let folder = TempDir::new().unwrap();
    let meta = Meta::open(&folder.path().join("meta.redb")).unwrap();
    meta.begin_life(Incarnation(1), Some(0)).unwrap();
    meta.end_life(Incarnation(1), &BTreeMap::new(), 70).unwrap();
    let rolled_back = meta.begin_life(Incarnation(2), Some(71)).unwrap();
    assert_eq!(
        (rolled_back.last_stop, rolled_back.incarnation),
        (LastStop::Unclean, Incarnation(2))
    );
}

/// A clean stop leaves no log that could be torn: the engine stands where it stood because its last writes are lost.
#[test]
fn a_clean_marker_is_not_believed_where_the_log_is_torn() {
    let folder = TempDir::new().unwrap();
    let meta = Meta::open(&folder.path().join("meta.redb")).unwrap();
    meta.begin_life(Incarnation(1), None).unwrap();
    meta.end_life(Incarnation(1), &BTreeMap::new(), 70).unwrap();
    let torn = meta.begin_life(Incarnation(2), None).unwrap();
    assert_eq!((torn.last_stop, torn.incarnation), (LastStop::Unclean, Incarnation(2)));
}

#[test]
fn a_data_directory_belongs_to_the_first_node_that_claims_it() {
    let folder = TempDir::new().unwrap();
    let meta = Meta::open(&folder.path().join("meta.redb")).unwrap();
    meta.claim(&owner("eu-1")).unwrap();
    meta.claim(&owner("eu-1")).unwrap();
    let error = meta.claim(&owner("eu-2")).unwrap_err();
    assert!(matches!(error, MetaError::OtherOwner { .. }));
    let text = error.to_string();
    assert!(text.contains("eu-1") && text.contains("eu-2") && text.contains("data_dir"), "{text}");
}

#[test]
fn metadata_in_use_is_said() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("meta.redb");
    let _held = Meta::open(&path).unwrap();
    assert!(matches!(Meta::open(&path), Err(MetaError::InUse { .. })));
}
