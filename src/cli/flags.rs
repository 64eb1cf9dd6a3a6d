//! Flags that are one of two values, not a boolean.

use clap::builder::{BoolishValueParser, TypedValueParser};

/// A parser for a flag: `absent` unless it is given, then `present`. For `action = ArgAction::SetTrue`.
pub(super) fn flag<T: Copy + Send + Sync + 'static>(
    absent: T,
    present: T,
) -> impl TypedValueParser<Value = T> {
    BoolishValueParser::new().map(move |is_given| if is_given { present } else { absent })
}
