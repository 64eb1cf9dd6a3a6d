//! Levels are read, joined with their defaults, and drawn by their weights.

use atoll_client::Level;

use super::{LevelOption, Levels};
use crate::chance::Chance;
use crate::workload::mix::Op;

fn levels(texts: &[&str]) -> Result<Levels, String> {
    let options: Result<Vec<LevelOption>, String> = texts.iter().map(|text| text.parse()).collect();
    Levels::new(&options?, Level::LocalQuorum)
}

#[test]
fn operations_have_their_own_or_the_common_level() {
    let mixed = levels(&["QUORUM", "get=LOCAL_ONE:90,QUORUM:10"]).unwrap();
    assert_eq!(mixed.of(Op::Put).collect::<Vec<_>>(), [Level::Quorum]);
    assert_eq!(mixed.of(Op::Get).collect::<Vec<_>>(), [Level::LocalOne, Level::Quorum]);
    let default = levels(&[]).unwrap();
    assert_eq!(default.of(Op::Get).collect::<Vec<_>>(), [Level::LocalQuorum]);
    let mut chance = Chance::new(1, 0, 0);
    let weak = (0..10_000).filter(|_| mixed.draw(Op::Get, &mut chance) == Level::LocalOne).count();
    assert!((8_800..9_200).contains(&weak), "{weak}");
}

#[test]
fn mistakes_are_named() {
    for (texts, word) in [
        (&["read=ONE"][..], "not an operation"),
        (&["get=MOST"], "not a consistency level"),
        (&["get=ONE:x"], "LEVEL:weight"),
        (&["get=ONE:0"], "LEVEL:weight"),
        (&["get=ONE,ONE"], "twice"),
        (&["get=ONE", "get=TWO"], "join them"),
        (&["ONE", "TWO"], "twice"),
    ] {
        let error = levels(texts).unwrap_err();
        assert!(error.contains(word), "{texts:?}: {error}");
    }
}
