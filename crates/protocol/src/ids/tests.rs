//! Names, good and bad, and how ids print.

use super::{Epoch, Incarnation, Name};
use crate::limits::NAME_BYTES_MAX;

#[test]
fn good_names() {
    let longest = "n".repeat(NAME_BYTES_MAX);
    for text in ["a", "Z", "0", "eu-west-1", "a.b_c-d", "9..-", "node1", &longest] {
        let name = Name::new(text).unwrap();
        assert_eq!(name.as_str(), text);
        assert_eq!(name.to_string(), text);
        assert_eq!(format!("{name:?}"), format!("{text:?}"));
        assert_eq!(text.parse(), Ok(name.clone()));
        assert_eq!(Name::try_from(String::from(name.clone())), Ok(name));
    }
    assert_eq!(
        format!("{:>4}|{:<4}|", Name::new("eu").unwrap(), Name::new("us").unwrap()),
        "  eu|us  |"
    );
}

#[test]
fn bad_names() {
    let long = "n".repeat(NAME_BYTES_MAX + 1);
    let huge = "n".repeat(10_000);
    let table = [
        "", ".", "..", "-a", "_a", ".a", "a b", " a", "a ", "a/b", "a\\b", "a:b", "a*", "a\0",
        "a\n", "ä", "aé", "a+b", "a%20", "a@b", &long, &huge,
    ];
    for text in table {
        let error = Name::new(text).unwrap_err();
        assert!(text.starts_with(&error.text) && error.text.len() <= 2 * NAME_BYTES_MAX, "{text}");
    }
}

#[test]
fn ids_print_as_people_write_them() {
    assert_eq!(Epoch(7).to_string(), "7");
    assert_eq!(Incarnation(0xab).to_string(), "00000000000000ab");
    assert_eq!(format!("{:?}", Incarnation(u64::MAX)), "ffffffffffffffff");
    assert!(Incarnation(2) < Incarnation(10) && Epoch::default() == Epoch(0));
}
