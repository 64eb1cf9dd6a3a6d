//! Every shape of a stack against what it must mean.

use bytes::Bytes;

use super::{Floor, Fold, Stack};
use crate::entry::{Entry, Fetch, Payload, Pointer, Value, digest};
use crate::error::Error;
use crate::merge::{MergeError, MergeOperator};

/// Concatenates; an operand `!` is refused.
struct Concat;

impl MergeOperator for Concat {
    fn merge(
        &self,
        _key: &[u8],
        existing: Option<&Bytes>,
        operands: &[Bytes],
    ) -> Result<Bytes, MergeError> {
        if operands.iter().any(|operand| operand == "!") {
            return Err(MergeError::new("refused"));
        }
        Ok(existing.into_iter().chain(operands).flatten().copied().collect())
    }
}

/// A value file of digits: the value at offset 7 is `7`; at offset 9 the file is damaged.
struct Digits;

impl Fetch for Digits {
    fn fetch(&self, pointer: &Pointer) -> Result<Bytes, Error> {
        match pointer.offset {
            9 => Err(Error::corrupt("digits", 9, "damaged on purpose")),
            offset => Ok(Bytes::from(offset.to_string())),
        }
    }
}

/// `=a` and `+a` are inline; `=@7` and `+@7` point to the file of digits.
fn value(text: &str) -> Value {
    let payload = match text.split_once('@') {
        Some((_, offset)) => Payload::Stored(Pointer {
            file_id: 1,
            offset: offset.parse().unwrap(),
            bytes: 1,
            digest: digest(offset.as_bytes()),
        }),
        None => Payload::Inline(Bytes::copy_from_slice(&text.as_bytes()[1..])),
    };
    match &text[..1] {
        "=" => Value::Put(payload),
        "+" => Value::Merge(payload),
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
    let cases: [(&[&str], Option<&str>, Fold, Fold); 12] = [
        (&[], None, Fold::Nothing, Fold::Nothing),
        (&["=a"], Some("a"), one(1, "=a"), one(1, "=a")),
        (&["-"], None, one(1, "-"), Fold::Nothing),
        (&["+a"], Some("a"), one(1, "+a"), one(1, "=a")),
        (&["+a", "+b"], Some("ab"), one(2, "+ab"), one(2, "=ab")),
        (&["=a", "+b"], Some("ab"), one(2, "=ab"), one(2, "=ab")),
        (&["-", "+b"], Some("b"), one(2, "=b"), one(2, "=b")),
        (&["-", "+b", "+c"], Some("bc"), one(3, "=bc"), one(3, "=bc")),
        (&["=@7"], Some("7"), one(1, "=@7"), one(1, "=@7")),
        (&["+@7"], Some("7"), one(1, "+@7"), one(1, "=@7")),
        (&["-", "+@7"], Some("7"), one(2, "=@7"), one(2, "=@7")),
        (&["=@7", "+b", "+@8"], Some("7b8"), one(3, "=7b8"), one(3, "=7b8")),
    ];
    for (entries, read, above, bottom) in cases {
        let resolved = stack(entries).resolve(b"k", &Concat, &Digits).unwrap().into_value();
        assert_eq!(resolved.as_deref(), read.map(str::as_bytes), "{entries:?}");
        let digests = stack(entries).resolve_digest(b"k", &Concat, &Digits).unwrap();
        assert_eq!(digests, read.map(|read| digest(read.as_bytes())), "{entries:?}");
        assert_eq!(fold(&mut stack(entries), Floor::Maybe), above, "{entries:?}");
        assert_eq!(fold(&mut stack(entries), Floor::Bottom), bottom, "{entries:?}");
    }
}

fn fold(stack: &mut Stack, floor: Floor) -> Fold {
    let fold = stack.fold(b"k", floor, &Concat, &Digits).unwrap();
    assert!(stack.is_empty());
    fold
}

#[test]
fn a_failing_operator_and_a_damaged_value_lose_nothing() {
    for entries in [["=a", "+!", "+b"], ["=@9", "+a", "+b"]] {
        let mut refused = stack(&entries);
        assert!(refused.resolve(b"k", &Concat, &Digits).is_err());
        match fold(&mut refused, Floor::Bottom) {
            Fold::Unfolded(entries) => {
                let sequences: Vec<_> = entries.iter().map(|entry| entry.sequence).collect();
                assert_eq!(sequences, [3, 2, 1]);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_damaged_value_that_nothing_has_to_be_joined_with_is_only_moved() {
    let mut damaged = stack(&["=@9"]);
    assert!(damaged.resolve(b"k", &Concat, &Digits).is_err());
    assert!(matches!(fold(&mut damaged, Floor::Bottom), Fold::One(_)));
}
