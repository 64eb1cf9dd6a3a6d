//! `atoll load`: a file of rows into a keyspace, all of it or, after a stop, the rest of it.
//!
//! ```text
//! FILE ─▶ survey: every row well formed? ─▶ fingerprint ─▶ progress file ─▶ puts, N at once ─▶ progress file gone
//!         (read.rs, separated.rs,                          (progress.rs)    (write.rs)
//!          json_lines.rs)
//! ```
//!
//! 1. Connect, and learn the keyspace's limits.
//! 2. Read the whole file once. If any row is malformed, list the first with their line numbers and load nothing.
//! 3. Find out whether an earlier run of the same load got somewhere.
//! 4. Read the file again and put every row that is not done, without a context.
//!
//! Invariants
//! - Nothing is written unless every row of the file can be.
//! - A run that continues an earlier one writes no row twice that it can see was written: see `progress.rs`.

mod json_lines;
mod lines;
mod progress;
mod read;
mod separated;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atoll_client::{Client, Error as ClientError, Invalid, KeyspaceDefinition, Level, Role};
use atoll_protocol::ids::Name;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::common::{ConnectArgs, KeyspaceArg};
use super::context::connect;
use super::exit::Error;
use super::output::{Console, escape, span};
use progress::{Fingerprint, LoadIdentity, Progress, Start};
use read::{FileFormat, Rows, Survey, survey};
use write::{Loaded, Loader};

/// Time of a put unless the command line says otherwise: a load waits out what a person would not.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(10);

/// What the progress bar shows, without colour.
const BAR: &str = "{bar:40} {human_pos}/{human_len} rows  {per_sec}  {eta} left";

/// Load a CSV, TSV or JSON Lines file
#[derive(Debug, Args)]
pub(super) struct LoadArgs {
    /// CSV or TSV with the header key,value, or JSON Lines of {"key": "…", "value": "…" or {…}}
    file: PathBuf,
    /// What the file holds; else its extension says it: .csv, .tsv, .jsonl, .ndjson
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    #[command(flatten)]
    keyspace: KeyspaceArg,
    /// Level of each put; else the profile's
    #[arg(long, value_name = "LEVEL")]
    level: Option<Level>,
    /// Puts under way at once
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Where to note how far the load got [default: FILE.atoll-progress]
    #[arg(long, value_name = "FILE")]
    progress: Option<PathBuf>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// `atoll load`.
pub(super) async fn load(args: LoadArgs, console: &mut Console) -> Result<(), Error> {
    let LoadArgs { file, format, keyspace, level, concurrency, progress, connect: mut how } = args;
    let format = format.or_else(|| FileFormat::of_path(&file)).ok_or_else(|| {
        let what = format!("{}: the extension does not say the format", file.display());
        Error::usage(what, "say --format csv, tsv or jsonl")
    })?;
    how.deadline.get_or_insert(DEADLINE_DEFAULT);
    let client = connect(&how, Role::Client).await?;
    let (cluster, definition) = find_keyspace(&client, &keyspace.keyspace).await?;
    let reading = || Error::io(format!("read {}", file.display()));
    let rows = Rows::open(&file, format).map_err(|error| unreadable(&file, &error))?;
    let found = survey(rows, definition.record_bytes_max).map_err(reading())?;
    refuse_malformed(&file, &found)?;
    let content = Fingerprint::of_file(&file).map_err(reading())?;
    let keyspace = definition.name.to_string();
    let identity = LoadIdentity { cluster: cluster.to_string(), keyspace, content };
    let noted = progress.unwrap_or_else(|| with_suffix(&file, ".atoll-progress"));
    let (mut progress, start) = Progress::begin(noted, identity)?;
    if let Start::Resumed { rows } = start {
        let shown = progress.path().display();
        console.talk(format!("continuing after {rows} of {} rows, as {shown} says", found.rows));
    }
    let rows = Rows::open(&file, format).map_err(reading())?;
    let bar = progress_bar(found.rows)?;
    let keyspace = client.keyspace(definition.name.as_str());
    let loader = Loader { keyspace, level, concurrency: usize::from(concurrency), start };
    let loaded = loader.run(rows, &mut progress, &bar).await;
    bar.finish_and_clear();
    client.close().await;
    let loaded = loaded?;
    progress.finish()?;
    report(&loaded, (&definition, found.rows), bar.elapsed(), console);
    Ok(())
}

/// The cluster's name and the keyspace called `name`.
async fn find_keyspace(
    client: &Client,
    name: &Name,
) -> Result<(Name, Arc<KeyspaceDefinition>), Error> {
    let view = client.cluster().await.map_err(Error::read)?;
    match view.keyspaces.by_name(name) {
        Some(keyspace) => Ok((view.topology.cluster().clone(), Arc::clone(keyspace))),
        None => {
            let invalid = Invalid::UnknownKeyspace { name: name.clone() };
            Err(Error::write(ClientError::Invalid(invalid)))
        }
    }
}

fn unreadable(file: &Path, error: &std::io::Error) -> Error {
    Error::usage(format!("cannot read {}: {error}", file.display()), "nothing was loaded")
}

/// Lists what is wrong with the file, if anything is.
fn refuse_malformed(file: &Path, found: &Survey) -> Result<(), Error> {
    if found.malformed == 0 {
        return Ok(());
    }
    let listed = found.listed.iter();
    let mut fixes: Vec<String> =
        listed.map(|row| format!("line {}: {}", row.line, escape(&row.problem))).collect();
    let rest = found.malformed - u64::try_from(found.listed.len()).unwrap_or(u64::MAX);
    if rest > 0 {
        fixes.push(format!("and {rest} more"));
    }
    fixes.push("nothing was loaded".to_owned());
    let what = format!("{} has {} malformed row(s)", file.display(), found.malformed);
    Err(Error::Usage { what, fixes })
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A bar on stderr; hidden where stderr is not a terminal.
fn progress_bar(rows: u64) -> Result<ProgressBar, Error> {
    let style = ProgressStyle::with_template(BAR).map_err(std::io::Error::other);
    let style = style.map_err(Error::io("draw a progress bar"))?;
    Ok(ProgressBar::new(rows).with_style(style.progress_chars("#>-")))
}

fn report(
    loaded: &Loaded,
    (keyspace, rows): (&KeyspaceDefinition, u64),
    took: Duration,
    console: &mut Console,
) {
    let name = &keyspace.name;
    let mut line = format!("loaded {rows} rows into keyspace `{name}` in {}", span(took));
    if loaded.written < rows {
        line.push_str(&format!(", {} of them in this run", loaded.written));
    }
    console.talk(line);
    if loaded.with_siblings > 0 {
        console.talk(format!(
            "warning: {} row(s) met another value of their key, which now has siblings: the file repeats a key, or the \
             keyspace had it before{}",
            loaded.with_siblings,
            loaded.first_sibling.as_ref().map(|place| format!(" (first: {place})")).unwrap_or_default()
        ));
    }
}

#[cfg(test)]
mod tests;
