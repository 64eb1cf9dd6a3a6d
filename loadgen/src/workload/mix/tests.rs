//! Mixes are read, drawn by their weights, and refused with the fix.

use super::{Mix, Op, ycsb};
use crate::chance::Chance;

#[test]
fn weights_are_kept() {
    let mix: Mix = "get=95, put=4.5,delete=0.5,update=0".parse().unwrap();
    assert_eq!(mix.to_string(), "get=95,put=4.5,delete=0.5");
    assert_eq!(mix.to_string().parse::<Mix>().unwrap(), mix);
    assert!(mix.has(Op::Delete) && !mix.has(Op::Update));
}

#[test]
fn draws_follow_the_weights() {
    let mix: Mix = "get=6,put=3,update=1".parse().unwrap();
    let mut chance = Chance::new(1, 0, 0);
    let mut seen = [0u32; 5];
    for _ in 0..100_000 {
        let op = mix.draw(&mut chance);
        seen[Op::ALL.iter().position(|other| *other == op).unwrap()] += 1;
    }
    for (index, share) in [(0, 0.6), (1, 0.3), (2, 0.0), (3, 0.1), (4, 0.0)] {
        let got = f64::from(seen[index]) / 1e5;
        assert!((got - share).abs() < 0.01, "{}: {got}", Op::ALL[index].name());
    }
}

#[test]
fn mistakes_are_named() {
    for (text, word) in [
        ("get", "operation=weight"),
        ("get=x", "operation=weight"),
        ("get=-1", "operation=weight"),
        ("read=5", "`read` is not an operation"),
        ("get=1,get=2", "twice"),
        ("get=0", "every weight is zero"),
        ("scan=5", "no scan yet"),
        ("", "operation=weight"),
    ] {
        let error = text.parse::<Mix>().unwrap_err();
        assert!(error.contains(word), "{text}: {error}");
    }
}

#[test]
fn ycsb_workloads_have_names() {
    for (name, mix) in [
        ("a", "get=50,put=50"),
        ("B", "get=95,put=5"),
        ("c", "get=100"),
        ("d", "get=95,insert=5"),
        ("f", "get=50,update=50"),
    ] {
        assert_eq!(ycsb(name).unwrap().0.to_string(), mix);
    }
    assert!(ycsb("e").unwrap_err().contains("no scan yet"));
    assert!(ycsb("g").unwrap_err().contains("a, b, c, d or f"));
}
