//! Whether the tables that a manifest lists can be a version: what a version asserts of itself.
//!
//! Asked before a store is opened, and by whoever verifies one. Pure; the rules are those of `version.rs`.

use crate::manifest::TableRecord;
use crate::version::LEVELS;

/// What is wrong with the levels, if anything.
pub(crate) fn damage_of_levels<'a>(
    records: impl Iterator<Item = &'a TableRecord> + Clone,
) -> Option<&'static str> {
    if !records.clone().all(|record| usize::from(record.level) < LEVELS) {
        return Some("a table lies in a level that does not exist");
    }
    if records.clone().any(|record| key_first(record) > record.meta.key_last.as_ref()) {
        return Some("a table is listed of which nothing lives");
    }
    let of_level = |level: usize| {
        let records = records.clone().filter(move |record| usize::from(record.level) == level);
        records.collect::<Vec<_>>()
    };
    let mut newest = of_level(0);
    newest.sort_by_key(|record| record.meta.sequence_max);
    let overlaps_in_time = newest
        .iter()
        .zip(newest.iter().skip(1))
        .any(|(older, newer)| newer.meta.sequence_min <= older.meta.sequence_max);
    if overlaps_in_time {
        return Some("tables of level 0 overlap in sequence numbers");
    }
    let overlaps = (1..LEVELS).any(|level| {
        let mut tables = of_level(level);
        tables.sort_by_key(|record| key_first(record));
        let neighbours = tables.iter().zip(tables.iter().skip(1));
        neighbours.into_iter().any(|(left, right)| left.meta.key_last.as_ref() >= key_first(right))
    });
    overlaps.then_some("tables of a level overlap in keys")
}

/// The lowest key that may live in a table.
fn key_first(record: &TableRecord) -> &[u8] {
    record.trimmed_to.as_ref().unwrap_or(&record.meta.key_first)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::damage_of_levels;
    use crate::manifest::TableRecord;
    use crate::sstable::TableMeta;

    fn record(level: u8, keys: (&'static str, &'static str), sequences: (u64, u64)) -> TableRecord {
        let meta = TableMeta {
            file_id: 1,
            bytes: 1,
            entries: 1,
            sequence_min: sequences.0,
            sequence_max: sequences.1,
            key_first: Bytes::from(keys.0),
            key_last: Bytes::from(keys.1),
        };
        TableRecord { level, meta, trimmed_to: None }
    }

    #[test]
    fn what_an_open_would_refuse_is_named() {
        let sound = [
            record(0, ("a", "z"), (5, 9)),
            record(0, ("a", "z"), (1, 4)),
            record(1, ("a", "c"), (1, 9)),
            record(1, ("d", "e"), (1, 9)),
        ];
        assert_eq!(damage_of_levels(sound.iter()), None);
        let rows = [
            (record(7, ("a", "b"), (1, 1)), "does not exist"),
            (record(0, ("a", "b"), (9, 10)), "in sequence numbers"),
            (record(1, ("c", "c1"), (1, 1)), "in keys"),
            (record(2, ("c", "b"), (1, 1)), "nothing lives"),
        ];
        for (wrong, word) in rows {
            let mut all = sound.to_vec();
            all.push(wrong);
            assert!(damage_of_levels(all.iter()).is_some_and(|what| what.contains(word)), "{word}");
        }
        let moved =
            TableRecord { trimmed_to: Some(Bytes::from("c2")), ..record(1, ("b", "c9"), (1, 1)) };
        let all = [record(1, ("a", "c1"), (1, 1)), moved];
        assert_eq!(damage_of_levels(all.iter()), None, "what moved on does not overlap");
    }
}
