//! Texts and the numbers that they are.

use std::time::Duration;

use super::{bytes, count, grouped, millis, percent, positive_span, size, span};

#[test]
fn counts_have_suffixes_of_a_thousand() {
    let table = [("1", 1), ("500", 500), ("20k", 20_000), ("1.1k", 1_100), ("10M", 10_000_000)];
    for (text, value) in table {
        assert_eq!(count(text), Ok(value), "{text}");
    }
    for text in ["", "0", "-1", "1.5", "k", "20q", "1e5", "nan", "1.2.3", "99999999G"] {
        let error = count(text).unwrap_err();
        assert!(error.contains(text) && error.contains("20k"), "{text}: {error}");
    }
}

#[test]
fn sizes_have_suffixes_of_1024() {
    let table = [("100", 100), ("1k", 1_024), ("4KiB", 4_096), ("1.5k", 1_536), ("1M", 1 << 20)];
    for (text, value) in table {
        assert_eq!(bytes(text), Ok(value), "{text}");
    }
    for text in ["", "0", "-1", "5G", "x"] {
        assert!(bytes(text).unwrap_err().contains("4KiB"), "{text}");
    }
}

#[test]
fn percentages_are_fractions() {
    assert_eq!(percent("5%"), Ok(0.05));
    assert_eq!(percent("0.1%"), Ok(0.001));
    assert_eq!(percent("95"), Ok(0.95));
    for text in ["", "%", "101%", "-1%", "NaN", "inf"] {
        assert!(percent(text).is_err(), "{text}");
    }
}

#[test]
fn spans_need_units() {
    assert_eq!(span("0s"), Ok(Duration::ZERO));
    assert_eq!(positive_span("500us"), Ok(Duration::from_micros(500)));
    assert!(positive_span("0s").is_err());
    assert!(span("10").unwrap_err().contains("10ms"));
}

#[test]
fn numbers_are_readable() {
    assert_eq!(grouped(0), "0");
    assert_eq!(grouped(999), "999");
    assert_eq!(grouped(1_234_567), "1 234 567");
    assert_eq!(millis(1_234_567), "1.235");
    assert_eq!(millis(12_345_678), "12.35");
    assert_eq!(millis(2_345_678_901), "2346");
    assert_eq!(size(17), "17 B");
    assert_eq!(size(1_536), "1.5 KiB");
}
