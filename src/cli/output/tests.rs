use std::time::{Duration, UNIX_EPOCH};

use super::*;

#[test]
fn a_table_has_aligned_columns_and_no_spaces_at_the_end() {
    let mut table =
        Columns::new(&[("NODE", Align::Left), ("DATA", Align::Right), ("NOTE", Align::Left)]);
    table.row(["eu-1", "1.0 KiB", ""]);
    table.row(["europe-2", "-", "silent\n4s"]);
    let expected =
        "  NODE         DATA  NOTE\n  eu-1      1.0 KiB\n  europe-2        -  silent\\n4s";
    assert_eq!(table.render(2), expected);
}

#[test]
fn control_characters_are_escaped() {
    assert_eq!(escape("a\u{1b}[31mb\tc"), "a\\u{1b}[31mb\\tc");
    assert_eq!(escape("ünï"), "ünï");
}

#[test]
fn values_are_cut() {
    let long = "x".repeat(61);
    let rows: [(&[u8], &str, bool); 5] = [
        (b"", "", false),
        (b"hello", "hello", false),
        (b"two\nlines", "two\\nlines", true),
        (b"\xff\x00", "0xff00", true),
        (&[0xab; 17], "0xabababababababababababababababab…", true),
    ];
    for (value, shown, cut) in rows {
        assert_eq!(brief(value), shown);
        assert_eq!(is_cut(value), cut, "{shown}");
    }
    assert_eq!(brief(long.as_bytes()), format!("{}…", "x".repeat(60)));
    assert!(is_cut(long.as_bytes()));
}

#[test]
fn sizes() {
    let rows = [
        (0, "0 B"),
        (1_023, "1023 B"),
        (1_024, "1.0 KiB"),
        (1_536, "1.5 KiB"),
        (10 * 1_024 * 1_024, "10.0 MiB"),
        (u64::MAX, "16384.0 PiB"),
    ];
    for (bytes, shown) in rows {
        assert_eq!(size(bytes), shown);
    }
}

#[test]
fn spans_and_round_trips() {
    let seconds = [(0, "0s"), (59, "59s"), (60, "1m0s"), (3_725, "1h2m"), (90_000, "1d1h")];
    for (given, shown) in seconds {
        assert_eq!(span(Duration::from_secs(given)), shown);
    }
    let micros =
        [(0, "0µs"), (999, "999µs"), (1_000, "1.0ms"), (80_449, "80.4ms"), (80_450, "80.5ms")];
    for (given, shown) in micros {
        assert_eq!(round_trip(Duration::from_micros(given)), shown);
    }
}

#[test]
fn moments() {
    assert_eq!(moment(UNIX_EPOCH + Duration::from_millis(1_500)), "1970-01-01T00:00:01.500Z");
    assert_eq!(moment(UNIX_EPOCH + Duration::from_secs(300_000_000_000)), "after the year 9999");
}
