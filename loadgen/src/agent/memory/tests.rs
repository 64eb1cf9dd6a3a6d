//! Contexts follow answers, siblings ask for a read, memory is bounded.

use atoll_client::{Context, Level};

use super::{Known, Memory, SHARDS};

fn context() -> Context {
    "AQcAAAAAAAAAAAEAAAAAAAABAKoAAAAAAAAAAwAAAAAAAAB75wHv".parse().unwrap()
}

#[test]
fn the_last_answer_decides() {
    let memory = Memory::default();
    assert_eq!(memory.known(1), Known::Nothing);
    let before = memory.writes(1);
    memory.note_written(1, &context());
    assert_eq!(memory.known(1), Known::Context(context()));
    memory.note_siblings(1);
    memory.note_written(1, &context());
    assert_eq!(memory.known(1), Known::Siblings, "only a read knows all of them");
    memory.note_seen(1, &context(), before);
    assert_eq!(memory.known(1), Known::Siblings, "an overtaken read knows nothing");
    memory.note_seen(1, &context(), memory.writes(1));
    assert_eq!(memory.known(1), Known::Context(context()));
    assert_eq!(memory.known(2), Known::Nothing);
}

#[test]
fn a_get_must_see_puts_whose_quorums_overlap() {
    let memory = Memory::default();
    memory.note_acknowledged(1, (Level::LocalQuorum, 0), 5);
    memory.note_acknowledged(1, (Level::LocalQuorum, 0), 4);
    memory.note_acknowledged(1, (Level::LocalOne, 1), 9);
    assert_eq!(memory.to_see(1, (Level::LocalQuorum, 0)), (Some(5), Some(9)));
    assert_eq!(memory.to_see(1, (Level::LocalQuorum, 1)), (None, Some(9)));
    assert_eq!(memory.to_see(2, (Level::LocalQuorum, 1)), (None, None));
}

#[test]
fn memory_is_bounded() {
    let memory = Memory::with_capacity(SHARDS * 4);
    for key in 0..10_000 {
        memory.note_written(key, &context());
        assert_eq!(memory.known(key), Known::Context(context()), "the newest is kept");
    }
    let kept = (0..10_000).filter(|key| memory.known(*key) != Known::Nothing).count();
    assert!(kept <= SHARDS * 4, "{kept}");
}
