//! `atoll put`, `get` and `delete`.
//!
//! | | stdout, table | stdout, raw | exit code |
//! |---|---|---|---|
//! | put | acknowledgements, siblings, context | the context | |
//! | get, one value | value, when, dot; context | the value's bytes | |
//! | get, siblings | one row each; context | nothing | raw: 6 |
//! | get, nothing there | nothing (JSON: no values, the context) | nothing | 3 |
//! | delete | as put | the context | nothing there: 0, and nothing is written |
//!
//! The format is `table` unless `-o` says otherwise, on a terminal or not: what a script reads does not change with where
//! it runs. With `-o raw` the context of a get goes to stderr; `-o context` prints nothing but the context.
//!
//! Invariants
//! - With `-o raw` stdout holds the bytes of exactly one value, or nothing.
//! - With `--session` the file is written before anything is printed.
//! - No more of stdin or a file is read than the largest record plus a byte.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::time::Duration;

use atoll_client::{Context, Deleted, Level, Role};
use atoll_protocol::limits::RECORD_BYTES_MAX_CEILING;
use clap::Args;

use super::common::{ConnectArgs, KeyspaceArg, key_bytes, positive_span};
use super::context::connect;
use super::exit::Error;
use super::output::{Console, Format};

mod print;
mod session;

#[cfg(test)]
mod tests;

use print::{print_deleted, print_found, print_written, warn_of_siblings};
use session::{Place, SessionFile};

/// What all three have.
#[derive(Debug, Args)]
struct KeyArgs {
    /// The key, 1 to 1024 bytes
    key: OsString,
    #[command(flatten)]
    keyspace: KeyspaceArg,
    /// ONE, TWO, THREE, LOCAL_ONE, LOCAL_QUORUM, QUORUM, EACH_QUORUM, ALL or LOCAL_QUORUM+k; else the profile's
    #[arg(long, value_name = "LEVEL")]
    level: Option<Level>,
    /// How to print
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    output: Format,
    /// Go on with the session in this file, or begin one: see at least what its commands saw and wrote, in any datacenter
    #[arg(long, value_name = "FILE")]
    session: Option<PathBuf>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Write a value
#[derive(Debug, Args)]
pub(super) struct PutArgs {
    #[command(flatten)]
    at: KeyArgs,
    /// The value; `-` or nothing reads stdin, every byte of it
    value: Option<OsString>,
    /// Read the value from a file
    #[arg(long, value_name = "FILE", conflicts_with = "value")]
    file: Option<PathBuf>,
    /// Supersede what this context covers; without one the value becomes a sibling of what is there
    #[arg(long, value_name = "CONTEXT")]
    context: Option<Context>,
    /// Time until the value expires, such as 7d; else the keyspace's
    #[arg(long, value_name = "SPAN", value_parser = positive_span)]
    ttl: Option<Duration>,
    #[command(flatten)]
    sloppy: SloppyArg,
}

/// Whether fallbacks count.
#[derive(Clone, Copy, Debug, Args)]
struct SloppyArg {
    /// Let other nodes of a replica's datacenter keep the write while the replica is away, and count them
    #[arg(long)]
    sloppy: bool,
}

/// Read a value, or all siblings
#[derive(Debug, Args)]
pub(super) struct GetArgs {
    #[command(flatten)]
    at: KeyArgs,
}

/// Delete what a read sees, or what a context covers
#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    #[command(flatten)]
    at: KeyArgs,
    /// Delete what this context covers; without one, what a read at the level sees
    #[arg(long, value_name = "CONTEXT")]
    context: Option<Context>,
    #[command(flatten)]
    sloppy: SloppyArg,
}

/// `atoll put`.
pub(super) async fn put(args: PutArgs, console: &mut Console) -> Result<(), Error> {
    let PutArgs { at, value, file, context, ttl, sloppy } = args;
    let value = take_value(value.as_deref(), file, console)?;
    let session = at.session.map(SessionFile::open).transpose()?;
    let client = connect(&at.connect, Role::Client).await?;
    let place = Place::new(&client, &at.keyspace.keyspace, session);
    let mut put = place.keyspace.put(key_bytes(at.key), value);
    if let Some(context) = &context {
        put = put.after(context);
    }
    if let Some(ttl) = ttl {
        put = put.ttl(ttl);
    }
    if let Some(level) = at.level {
        put = put.level(level);
    }
    if sloppy.sloppy {
        put = put.sloppy();
    }
    let written = put.await.map_err(Error::write)?;
    place.save()?;
    client.close().await;
    warn_of_siblings(&written, console);
    print_written(&written, at.output, console)
}

/// `atoll get`.
pub(super) async fn get(args: GetArgs, console: &mut Console) -> Result<(), Error> {
    let KeyArgs { key, keyspace, level, output, session, connect: connection } = args.at;
    let session = session.map(SessionFile::open).transpose()?;
    let client = connect(&connection, Role::Client).await?;
    let (keyspace, key) = (keyspace.keyspace, key_bytes(key));
    let place = Place::new(&client, &keyspace, session);
    let mut get = place.keyspace.get(&key);
    if let Some(level) = level {
        get = get.level(level);
    }
    let found = get.await.map_err(Error::read)?;
    place.save()?;
    client.close().await;
    print_found((&keyspace, &key), &found, output, console)
}

/// `atoll delete`.
pub(super) async fn delete(args: DeleteArgs, console: &mut Console) -> Result<(), Error> {
    let DeleteArgs { at, context, sloppy } = args;
    let session = at.session.map(SessionFile::open).transpose()?;
    let client = connect(&at.connect, Role::Client).await?;
    let place = Place::new(&client, &at.keyspace.keyspace, session);
    let mut delete = place.keyspace.delete(key_bytes(at.key));
    if let Some(context) = &context {
        delete = delete.after(context);
    }
    if let Some(level) = at.level {
        delete = delete.level(level);
    }
    if sloppy.sloppy {
        delete = delete.sloppy();
    }
    let deleted = delete.await.map_err(Error::write)?;
    place.save()?;
    client.close().await;
    if matches!(deleted, Deleted::Nothing { .. }) {
        console.talk("nothing to delete: the key has no value; nothing was written");
    }
    print_deleted(&deleted, at.output, console)
}

/// The value of a put: the argument, a file, or stdin.
fn take_value(
    argument: Option<&OsStr>,
    file: Option<PathBuf>,
    console: &mut Console,
) -> Result<Vec<u8>, Error> {
    use std::os::unix::ffi::OsStrExt;
    if let Some(path) = file {
        let shown = path.display();
        let opened = File::open(&path).map_err(|error| {
            Error::usage(format!("cannot read {shown}: {error}"), "nothing was written")
        })?;
        return read_bounded(opened, &shown.to_string());
    }
    match argument {
        Some(value) if value != "-" => Ok(value.as_bytes().to_vec()),
        _ => {
            if io::stdin().is_terminal() {
                console.talk("reading the value from the terminal; Ctrl-D ends it");
            }
            read_bounded(io::stdin().lock(), "stdin")
        }
    }
}

fn read_bounded(source: impl Read, name: &str) -> Result<Vec<u8>, Error> {
    let most = u64::try_from(RECORD_BYTES_MAX_CEILING).unwrap_or(u64::MAX);
    let mut value = Vec::new();
    source.take(most + 1).read_to_end(&mut value).map_err(Error::io(format!("read {name}")))?;
    if value.len() > RECORD_BYTES_MAX_CEILING {
        let what =
            format!("{name} holds more than {most} bytes, the most that any keyspace can take");
        return Err(Error::usage(what, "nothing was written; split the value"));
    }
    Ok(value)
}
