//! Every shape of a stack against what it must mean.

use bytes::Bytes;

use super::{Floor, Fold, Stack};
use crate::entry::{Entry, Value};
use crate::merge::{MergeError, MergeOperator};

/// Concatenates; an operand `!` is refused.
struct Concat;

impl MergeOperator for Concat {
    fn merge(
        &self,
        _key: &[u8],
        existing: Option<&[u8]>,
        operands: &[&[u8]],
    ) -> Result<Vec<u8>, MergeError> {
        if operands.contains(&&b"!"[..]) {
            return Err(MergeError::new("refused"));
        }
        Ok([existing.unwrap_or_default(), &operands.concat()].concat())
    }
}

fn value(text: &str) -> Value {
    let bytes = Bytes::copy_from_slice(&text.as_bytes()[1..]);
    match &text[..1] {
        "=" => Value::Put(bytes),
        "+" => Value::Merge(bytes),
        _ => Value::Delete,
    }
}

/// Entries oldest first, as people write them; the newest gets the highest sequence number.
fn stack(oldest_first: &[&str]) -> Stack {
    let mut stack = Stack::default();
    for (index, text) in oldest_first.iter().enumerate().rev() {
        stack.push(Entry { sequence: index as u64 + 1, value: value(text) });
    }
    stack
}

#[test]
fn table_of_folds() {
    let one = |sequence, text: &str| Fold::One(Entry { sequence, value: value(text) });
    let cases: [(&[&str], Option<&str>, Fold, Fold); 8] = [
        (&[], None, Fold::Nothing, Fold::Nothing),
        (&["=a"], Some("a"), one(1, "=a"), one(1, "=a")),
        (&["-"], None, one(1, "-"), Fold::Nothing),
        (&["+a"], Some("a"), one(1, "+a"), one(1, "=a")),
        (&["+a", "+b"], Some("ab"), one(2, "+ab"), one(2, "=ab")),
        (&["=a", "+b"], Some("ab"), one(2, "=ab"), one(2, "=ab")),
        (&["-", "+b"], Some("b"), one(2, "=b"), one(2, "=b")),
        (&["-", "+b", "+c"], Some("bc"), one(3, "=bc"), one(3, "=bc")),
    ];
    for (entries, read, above, bottom) in cases {
        let resolved = stack(entries).resolve(b"k", &Concat).unwrap();
        assert_eq!(resolved.as_deref(), read.map(str::as_bytes), "{entries:?}");
        assert_eq!(stack(entries).fold(b"k", &Concat, Floor::Maybe), above, "{entries:?}");
        assert_eq!(stack(entries).fold(b"k", &Concat, Floor::Bottom), bottom, "{entries:?}");
    }
}

#[test]
fn a_failing_operator_loses_nothing() {
    let mut refused = stack(&["=a", "+!", "+b"]);
    assert!(refused.resolve(b"k", &Concat).is_err());
    match refused.fold(b"k", &Concat, Floor::Bottom) {
        Fold::Unfolded(entries) => {
            assert_eq!(entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [3, 2, 1]);
        }
        other => panic!("{other:?}"),
    }
    assert!(refused.is_empty());
}
