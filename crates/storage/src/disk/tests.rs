//! `RealDisk` keeps the promises of `Disk` that the engine leans on.

use super::{Disk, LockError, OpenHow, RealDisk};

#[test]
fn files_are_created_listed_renamed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(&dir.path().join("deep/er"));
    disk.create_dir("").unwrap();
    disk.create_dir("").unwrap();
    let file = disk.open("a", OpenHow::Create).unwrap();
    assert!(disk.open("a", OpenHow::Create).is_err());
    assert_eq!(file.write_at(3, b"xyz").unwrap(), 3);
    assert_eq!(file.len().unwrap(), 6);
    file.sync_all().unwrap();
    disk.rename("a", "b").unwrap();
    disk.sync_dir("").unwrap();
    assert_eq!(disk.list("").unwrap(), ["b"]);
    let mut buffer = [9u8; 8];
    let read = disk.open("b", OpenHow::Read).unwrap();
    assert_eq!(read.read_at(1, &mut buffer).unwrap(), 5);
    assert_eq!(&buffer[..5], b"\0\0xyz");
    disk.remove("b").unwrap();
    assert!(disk.open("b", OpenHow::Read).is_err());
    assert!(disk.free_bytes().unwrap() > 0);
}

#[test]
fn a_second_lock_is_refused_until_the_first_drops() {
    let dir = tempfile::tempdir().unwrap();
    let disk = RealDisk::new(dir.path());
    let lock = disk.lock_exclusive("LOCK").unwrap();
    match disk.lock_exclusive("LOCK") {
        Err(LockError::Held { path }) => assert!(path.ends_with("LOCK")),
        _ => panic!("the lock is held"),
    }
    drop(lock);
    assert!(disk.lock_exclusive("LOCK").is_ok());
}
