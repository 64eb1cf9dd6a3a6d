//! The choice as a table: a tree drawn in text, and what is merged.

use bytes::Bytes;

use super::{Allowance, Choice, Shape, TableProgress, choose};
use crate::fold::Floor;

/// `id:first-last*bytes`, a `/` after the id if trimmed; tables by space, levels by `|`.
fn tree(text: &str) -> Vec<Vec<Shape>> {
    text.split('|').map(|level| level.split_whitespace().map(shape).collect()).collect()
}

fn shape(text: &str) -> Shape {
    let (id, rest) = text.split_once(':').unwrap();
    let (range, bytes) = rest.split_once('*').unwrap();
    let (first, last) = range.split_once('-').unwrap();
    let trimmed = id.ends_with('/');
    Shape {
        file_id: id.trim_end_matches('/').parse().unwrap(),
        bytes: bytes.parse().unwrap(),
        key_first: Bytes::copy_from_slice(first.as_bytes()),
        key_last: Bytes::copy_from_slice(last.as_bytes()),
        progress: if trimmed { TableProgress::Trimmed } else { TableProgress::Whole },
    }
}

fn chosen(text: &str) -> String {
    let allowance = Allowance { tables_l0: 3, level_bytes_base: 100 };
    match choose(&tree(text), allowance) {
        Choice::Nothing => "nothing".to_owned(),
        Choice::Merge(inputs) => {
            let floor = if inputs.floor == Floor::Bottom { " bottom" } else { "" };
            format!("{} {:?} {:?}{floor}", inputs.level, inputs.uppers, inputs.lowers)
        }
    }
}

#[test]
fn table_of_choices() {
    let cases = [
        ("", "nothing"),
        ("||", "nothing"),
        // Below the trigger; at the trigger, newest first; only overlapping tables of level 1.
        ("2:a-z*9 1:a-z*9||", "nothing"),
        ("3:b-c*9 2:c-d*9 1:b-b*9|4:a-a*9 5:c-e*9 6:f-g*9|", "0 [3, 2, 1] [5] bottom"),
        // What was begun is finished first, with the oldest tables only.
        ("9:a-z*9 3/:m-z*9 2:a-z*9 1/:m-z*9|4:a-k*9 5:l-z*9|", "0 [3, 2, 1] [4, 5] bottom"),
        ("9:a-z*9 3/:m-z*9|4:a-k*9 5:l-z*9|", "0 [3] [5] bottom"),
        // A deeper level that is full; the table with the least overlap per byte; the trimmed one before all.
        ("|1:a-c*60 2:d-f*60|3:a-b*50 4:e-e*20|", "1 [2] [4] bottom"),
        ("|1/:b-c*60 2:d-f*60|3:a-b*50 4:e-e*20|", "1 [1] [3] bottom"),
        // The higher score wins.
        ("3:a-z*9 2:a-z*9 1:a-z*9|4:a-c*500|", "1 [4] [] bottom"),
        // Deeper data under the span of uppers and lowers keeps the floor.
        ("3:d-e*9 2:d-e*9 1:d-e*9|4:a-d*9|5:a-b*9|", "0 [3, 2, 1] [4]"),
        ("3:d-e*9 2:d-e*9 1:d-e*9|4:c-d*9|5:a-b*9|", "0 [3, 2, 1] [4] bottom"),
        // The last level has nowhere to go.
        ("|1:a-c*9999", "nothing"),
    ];
    for (text, expected) in cases {
        assert_eq!(chosen(text), expected, "{text}");
    }
}
