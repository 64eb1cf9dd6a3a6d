use super::*;
use crate::cli::exit::exit_code;

#[test]
fn a_value_that_is_too_large_is_not_read_to_its_end() {
    let most = vec![7; RECORD_BYTES_MAX_CEILING];
    assert_eq!(read_bounded(&most[..], "x").unwrap().len(), RECORD_BYTES_MAX_CEILING);
    let error = read_bounded(io::repeat(7), "stdin").unwrap_err();
    assert_eq!(exit_code(&error), 2);
}

#[test]
fn a_value_is_the_argument_or_a_file() {
    let mut console = Console::new(Box::new(io::sink()), Box::new(io::sink()));
    let value = take_value(Some(OsStr::new("")), None, &mut console).unwrap();
    assert!(value.is_empty());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    std::fs::write(&path, b"two\nlines\n").unwrap();
    let value = take_value(None, Some(path), &mut console).unwrap();
    assert_eq!(value, b"two\nlines\n");
    let error = take_value(None, Some(folder.path().join("absent")), &mut console).unwrap_err();
    assert_eq!(exit_code(&error), 2);
}
