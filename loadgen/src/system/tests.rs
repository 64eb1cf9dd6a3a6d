//! The formats of `/proc`, and this process.

use super::{machine, parse_usage, usage, value_of};

#[test]
fn usage_is_read_behind_a_strange_name() {
    let stat = "17 (a) b (c)) S 1 1 1 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 9 0 5 6 7";
    let found = parse_usage(stat, "1000 300 20 1 0 9 0", (100, 4_096)).unwrap();
    assert_eq!((found.cpu_seconds, found.memory_bytes), (3.0, 1_228_800));
    assert_eq!(parse_usage("17 (x) S 1", "1 2", (100, 4_096)), None);
    assert_eq!(parse_usage(stat, "", (100, 4_096)), None);
}

#[test]
fn this_process_uses_memory_and_an_absent_one_is_none() {
    assert!(usage(None).is_some_and(|usage| usage.memory_bytes > 0));
    assert_eq!(usage(Some(u32::MAX)), None);
    assert!(machine().cores >= 1 && !machine().kernel.is_empty());
}

#[test]
fn values_are_found_by_name() {
    assert_eq!(value_of("a\t: 1\nmodel name\t: X: Y\n", "model name"), Some("X: Y"));
    assert_eq!(value_of("a: 1", "b"), None);
}
