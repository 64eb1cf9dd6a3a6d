//! What `put`, `get` and `delete` print, in each format.
//!
//! Invariants
//! - As JSON, keys and values that are UTF-8 are text (`key`, `value`), all others base64 (`key_base64`,
//!   `value_base64`); nothing is ever replaced or cut.
//! - A table may cut a value; then stderr says so.

use atoll_client::{Context, Deleted, Value, Versions, Written};
use atoll_protocol::ids::Name;
use atoll_protocol::limits::{SIBLINGS_MAX, SIBLINGS_WARN};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::cli::exit::Error;
use crate::cli::output::{Align, Columns, Console, Format, NOTHING, brief, is_cut, moment};

/// Siblings are legal and easily overlooked, so they are said, and said louder when the cap comes near.
pub(super) fn warn_of_siblings(written: &Written, console: &mut Console) {
    let count = usize::from(written.siblings());
    if count <= 1 {
        return;
    }
    console.talk(format!(
        "warning: the key has {count} concurrent versions now (a deletion counts): get it, merge the values, and put \
         with the context of that get"
    ));
    if count >= SIBLINGS_WARN {
        console.talk(format!(
            "WARNING: at {SIBLINGS_MAX} versions every put without a context is refused; {count} is too many already"
        ));
    }
}

/// What a put or delete prints as JSON.
#[derive(Serialize)]
struct WrittenJson<'a> {
    /// Of a delete: whether there was anything to delete.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<bool>,
    acked: u16,
    held: u16,
    siblings: u16,
    #[serde(serialize_with = "as_text")]
    context: &'a Context,
}

/// What a get prints as JSON.
#[derive(Serialize)]
struct FoundJson<'a> {
    keyspace: &'a Name,
    #[serde(flatten)]
    key: KeyText,
    values: Vec<ValueJson>,
    #[serde(serialize_with = "as_text")]
    context: &'a Context,
}

/// One value of a get as JSON.
#[derive(Serialize)]
struct ValueJson {
    #[serde(flatten)]
    value: ValueText,
    bytes: usize,
    written_at: String,
    expires_at: Option<String>,
    dot: String,
}

/// A key in JSON: text if it is text.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum KeyText {
    Key(String),
    KeyBase64(String),
}

/// A value in JSON: text if it is text.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum ValueText {
    Value(String),
    ValueBase64(String),
}

fn as_text<S: serde::Serializer>(context: &&Context, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(context)
}

/// The answer to a put.
pub(super) fn print_written(
    written: &Written,
    output: Format,
    console: &mut Console,
) -> Result<(), Error> {
    let context = written.context();
    let (acked, held, siblings) = (written.acked(), written.held(), written.siblings());
    print(&WrittenJson { deleted: None, acked, held, siblings, context }, output, console)
}

/// The answer to a delete.
pub(super) fn print_deleted(
    deleted: &Deleted,
    output: Format,
    console: &mut Console,
) -> Result<(), Error> {
    let context = deleted.context();
    let (is_deleted, acked, held, siblings) = match deleted {
        Deleted::Marked(written) => (true, written.acked(), written.held(), written.siblings()),
        Deleted::Nothing { .. } => (false, 0, 0, 0),
    };
    let deleted = Some(is_deleted);
    print(&WrittenJson { deleted, acked, held, siblings, context }, output, console)
}

fn print(written: &WrittenJson<'_>, output: Format, console: &mut Console) -> Result<(), Error> {
    match output {
        Format::Table => {
            // Only a sloppy write has any.
            let held = Some(("HELD", written.held)).filter(|(_, held)| *held > 0);
            let numbers =
                [Some(("ACKED", written.acked)), held, Some(("SIBLINGS", written.siblings))];
            let numbers: Vec<(&str, u16)> = numbers.into_iter().flatten().collect();
            let columns = numbers.iter().map(|(name, _)| (*name, Align::Right));
            let columns: Vec<_> = columns.chain([("CONTEXT", Align::Left)]).collect();
            let mut table = Columns::new(&columns);
            let cells = numbers.iter().map(|(_, number)| number.to_string());
            table.row(cells.chain([written.context.to_base64url()]));
            console.data(table.render(0))
        }
        Format::Raw | Format::Context => console.data(written.context.to_base64url()),
        Format::Json => console.json(written),
    }
}

/// The answer to a get of `key`. That there is no value, or too many for the format, is an error.
pub(super) fn print_found(
    (keyspace, key): (&Name, &[u8]),
    found: &Versions,
    output: Format,
    console: &mut Console,
) -> Result<(), Error> {
    match output {
        Format::Json => console.json(&FoundJson {
            keyspace,
            key: key_text(key),
            values: found.values().iter().map(value_json).collect(),
            context: found.context(),
        })?,
        Format::Table if !found.is_none() => print_table(found, console)?,
        Format::Table => {}
        Format::Context => console.data(found.context().to_base64url())?,
        Format::Raw => match found {
            Versions::One { value, context } => {
                console.bytes(value.bytes())?;
                console.flush()?;
                console.talk(format!("context {context}"));
            }
            Versions::Many { values, .. } => {
                let what =
                    format!("`{}` has {} siblings, and raw is one value", brief(key), values.len());
                let fix = "get it as a table or as JSON, merge the values, and put with the context of that get";
                return Err(Error::Siblings { what, fix: fix.to_owned() });
            }
            Versions::None { .. } => {}
        },
    }
    if found.is_none() {
        let what = format!("`{}` has no value in keyspace `{keyspace}`", brief(key));
        return Err(Error::NotFound { what });
    }
    Ok(())
}

fn print_table(found: &Versions, console: &mut Console) -> Result<(), Error> {
    let mut table = Columns::new(&[
        ("VALUE", Align::Left),
        ("BYTES", Align::Right),
        ("WRITTEN", Align::Left),
        ("EXPIRES", Align::Left),
        ("DOT", Align::Left),
    ]);
    for value in found.values() {
        table.row([
            brief(value.bytes()),
            value.bytes().len().to_string(),
            moment(value.written_at()),
            value.expires_at().map_or_else(|| NOTHING.to_owned(), moment),
            value.dot().to_string(),
        ]);
    }
    if found.is_conflict() {
        let count = found.values().len();
        console.data(format!("{count} siblings: written without knowledge of each other"))?;
    }
    console.data(table.render(0))?;
    console.data(format!("context {}", found.context()))?;
    if found.values().iter().any(|value| is_cut(value.bytes())) {
        console.talk("not every value is shown as it is; -o json has them whole, -o raw a single one as its bytes");
    }
    if found.is_conflict() {
        console.talk("to resolve: atoll put KEY MERGED --context \"$(atoll get KEY -o context)\"");
    }
    Ok(())
}

fn key_text(key: &[u8]) -> KeyText {
    match std::str::from_utf8(key) {
        Ok(text) => KeyText::Key(text.to_owned()),
        Err(_) => KeyText::KeyBase64(STANDARD.encode(key)),
    }
}

fn value_json(value: &Value) -> ValueJson {
    let text = match std::str::from_utf8(value.bytes()) {
        Ok(text) => ValueText::Value(text.to_owned()),
        Err(_) => ValueText::ValueBase64(STANDARD.encode(value.bytes())),
    };
    ValueJson {
        value: text,
        bytes: value.bytes().len(),
        written_at: moment(value.written_at()),
        expires_at: value.expires_at().map(moment),
        dot: value.dot().to_string(),
    }
}
