//! `atoll storage verify DIR`: everything that is wrong with a store.
//!
//! Damage is told on stderr as soon as it is found, because a large store takes minutes; the report on stdout has all of
//! it again.
//!
//! Invariants
//! - JSON member names are stable: scripts depend on them.

use std::path::{Path, PathBuf};

use atoll_storage::{Checked, Damage, Note, RealDisk, StoreReport, verify_store};
use clap::Args;
use serde::Serialize;

use super::refused;
use crate::cli::common::ReportArg;
use crate::cli::exit::Error;
use crate::cli::output::{Align, Columns, Console, ReportFormat, size};

/// Read all of a stopped node's store; exit with code 8 if anything is damaged
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// A node's data directory, or the directory `storage` in it
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    output: ReportArg,
}

/// `atoll storage verify`.
pub(super) fn verify(args: &VerifyArgs, console: &mut Console) -> Result<(), Error> {
    let store = store_in(&args.directory);
    let mut on_damage = |damage: &Damage| console.talk(format!("damaged: {damage}"));
    let report = verify_store(&RealDisk::new(&store), &mut on_damage)
        .map_err(|error| refused(&store, error))?;
    match args.output.output {
        ReportFormat::Table => console.data(lines(&store, &report).join("\n"))?,
        ReportFormat::Json => console.json(&VerifyJson::of(&store, &report))?,
    }
    match report.damages.len() {
        0 => Ok(()),
        count => Err(Error::Damaged { store, count }),
    }
}

/// The store's directory: `directory` itself, or the one that a node makes in its data directory.
fn store_in(directory: &Path) -> PathBuf {
    let inner = directory.join("storage");
    let is_inner = !directory.join("CURRENT").exists() && inner.is_dir();
    if is_inner { inner } else { directory.to_path_buf() }
}

fn lines(store: &Path, report: &StoreReport) -> Vec<String> {
    let verdict = if report.damages.is_empty() { "sound" } else { "DAMAGED" };
    let mut lines = vec![format!("store {}   {verdict}", store.display()), String::new()];
    let mut table = Columns::new(&[
        ("CHECKED", Align::Left),
        ("FILES", Align::Right),
        ("BYTES", Align::Right),
        ("ENTRIES", Align::Right),
    ]);
    for (name, checked) in kinds(report) {
        let Checked { files, bytes, entries } = checked;
        table.row([name.to_owned(), files.to_string(), size(bytes), entries.to_string()]);
    }
    lines.extend(table.lines(0));
    if !report.damages.is_empty() {
        let mut table = Columns::new(&[
            ("DAMAGED", Align::Left),
            ("OFFSET", Align::Right),
            ("WHAT", Align::Left),
        ]);
        for damage in &report.damages {
            table.row([damage.file.as_str(), &damage.offset.to_string(), &damage.what]);
        }
        lines.push(String::new());
        lines.extend(table.lines(0));
    }
    if !report.notes.is_empty() {
        let mut table = Columns::new(&[("NOTED", Align::Left), ("WHAT", Align::Left)]);
        for note in &report.notes {
            table.row([&note.file, &note.what]);
        }
        lines.push(String::new());
        lines.extend(table.lines(0));
    }
    lines
}

fn kinds(report: &StoreReport) -> [(&'static str, Checked); 4] {
    [
        ("manifest", report.manifest),
        ("tables", report.tables),
        ("value files", report.value_files),
        ("log", report.log),
    ]
}

/// A report as JSON.
#[derive(Serialize)]
struct VerifyJson<'a> {
    store: String,
    sound: bool,
    manifest: CheckedJson,
    tables: CheckedJson,
    value_files: CheckedJson,
    log: CheckedJson,
    damages: Vec<DamageJson<'a>>,
    notes: Vec<NoteJson<'a>>,
}

#[derive(Serialize)]
struct CheckedJson {
    files: u64,
    bytes: u64,
    entries: u64,
}

#[derive(Serialize)]
struct DamageJson<'a> {
    file: &'a str,
    offset: u64,
    what: &'a str,
}

#[derive(Serialize)]
struct NoteJson<'a> {
    file: &'a str,
    what: &'a str,
}

impl<'a> VerifyJson<'a> {
    fn of(store: &Path, report: &'a StoreReport) -> Self {
        let checked =
            |Checked { files, bytes, entries }: Checked| CheckedJson { files, bytes, entries };
        let damage =
            |Damage { file, offset, what }: &'a Damage| DamageJson { file, offset: *offset, what };
        let note = |Note { file, what }: &'a Note| NoteJson { file, what };
        Self {
            store: store.display().to_string(),
            sound: report.damages.is_empty(),
            manifest: checked(report.manifest),
            tables: checked(report.tables),
            value_files: checked(report.value_files),
            log: checked(report.log),
            damages: report.damages.iter().map(damage).collect(),
            notes: report.notes.iter().map(note).collect(),
        }
    }
}
