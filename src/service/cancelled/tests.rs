//! Notes of cancelled requests.

use super::*;

#[test]
fn a_note_counts_once_and_for_its_link_only() {
    let cancelled = Cancelled::default();
    let (link, other) = (LinkId::of_test(1), LinkId::of_test(2));
    assert!(!cancelled.take(link, 7));
    cancelled.note(link, 7);
    assert!(!cancelled.take(other, 7));
    assert!(!cancelled.take(link, 8));
    assert!(cancelled.take(link, 7));
    assert!(!cancelled.take(link, 7));
}

#[test]
fn the_oldest_notes_make_room() {
    let cancelled = Cancelled::default();
    let link = LinkId::of_test(1);
    let count = 3 * NOTES_MAX as u64;
    (0..count).for_each(|request| cancelled.note(link, request));
    let kept: Vec<_> = (0..count).filter(|request| cancelled.take(link, *request)).collect();
    assert_eq!(kept, (count - NOTES_MAX as u64..count).collect::<Vec<_>>());
}
