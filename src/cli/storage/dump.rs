//! `atoll storage dump FILE`: what one file of a store holds, structure by structure.
//!
//! One structure is one line, or one element of the JSON document. Damaged bytes are shown as such, and what follows them
//! as far as the format allows to find it; the exit code is 0 all the same, because the end of a file of a running node
//! may be in the middle of a write.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use atoll_storage::{Error as StorageError, Field, InspectError, Item, RealDisk, dump_file};
use clap::Args;
use serde_json::{Map, Value, json};

use super::refused;
use crate::cli::common::ReportArg;
use crate::cli::exit::Error;
use crate::cli::output::{Console, ReportFormat};

/// Show what one file of a store holds
#[derive(Debug, Args)]
pub(super) struct DumpArgs {
    /// CURRENT, or a .manifest, .wal, .vlog or .sst file
    file: PathBuf,
    /// Structures to show; all of them if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    #[command(flatten)]
    output: ReportArg,
}

/// `atoll storage dump`.
pub(super) fn dump(args: &DumpArgs, console: &mut Console) -> Result<(), Error> {
    let path = args.file.as_path();
    let (directory, name) = split(path)?;
    let mut shown = 0;
    let mut items = Vec::new();
    let mut printed = Ok(());
    let mut is_cut = false;
    let mut sink = |item: Item| {
        if args.limit.is_some_and(|limit| shown == limit) {
            is_cut = true;
            return ControlFlow::Break(());
        }
        shown += 1;
        match args.output.output {
            ReportFormat::Table => printed = console.data(line(&item)),
            ReportFormat::Json => items.push(json(&item)),
        }
        if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let format = dump_file(&RealDisk::new(directory), name, &mut sink)
        .map_err(|error| not_opened(path, error))?;
    printed?;
    if args.output.output == ReportFormat::Json {
        let file = path.display().to_string();
        console.json(&json!({ "file": file, "format": format.as_str(), "items": items }))?;
    }
    if is_cut {
        console.talk(format!("stopped after {shown}: there is more"));
    }
    Ok(())
}

/// The directory of a file, and its name in there.
fn split(path: &Path) -> Result<(&Path, &str), Error> {
    if path.is_dir() {
        return Err(Error::usage(
            format!("{} is a directory", path.display()),
            "fix: name one file, or check all of them with `atoll storage verify`",
        ));
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        Error::usage(
            format!("{} has no name that a file of a store can have", path.display()),
            "fix: name a file of a node's `storage` directory",
        )
    })?;
    Ok((directory.unwrap_or(Path::new(".")), name))
}

fn not_opened(path: &Path, error: InspectError) -> Error {
    match error {
        InspectError::Storage(StorageError::Disk { action: "open", source, .. })
            if source.kind() == ErrorKind::NotFound =>
        {
            Error::usage(
                format!("there is no file {}", path.display()),
                "fix: name a file of a node's `storage` directory",
            )
        }
        other => refused(path, other),
    }
}

/// A structure as a line: where it is, what it is, what it says.
fn line(item: &Item) -> String {
    let mut line = format!("{:>10}  {:<9}", item.offset, item.part);
    for (name, field) in &item.fields {
        // Writing to a string cannot fail.
        let _ = match field {
            Field::Number(number) => write!(line, " {name}={number}"),
            Field::Digest(digest) => write!(line, " {name}={digest:016x}"),
            Field::Text(text) => write!(line, " {name}=\"{text}\""),
            Field::Key(key) => write!(line, " {name}={} \"{}\"", hex(key), printable(key)),
        };
    }
    line
}

fn json(item: &Item) -> Value {
    let mut object = Map::new();
    object.insert("offset".to_owned(), item.offset.into());
    object.insert("part".to_owned(), item.part.into());
    for (name, field) in &item.fields {
        let value = match field {
            Field::Number(number) => Value::from(*number),
            Field::Digest(digest) => Value::from(format!("{digest:016x}")),
            Field::Text(text) => Value::from(text.as_str()),
            Field::Key(key) => json!({ "hex": hex(key), "text": printable(key) }),
        };
        object.insert((*name).to_owned(), value);
    }
    Value::Object(object)
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// The letters of a key as they are, everything else as dots.
fn printable(bytes: &[u8]) -> String {
    let letter = |byte: &u8| match byte {
        b' '..=b'~' if *byte != b'"' => char::from(*byte),
        _ => '.',
    };
    bytes.iter().map(letter).collect()
}
