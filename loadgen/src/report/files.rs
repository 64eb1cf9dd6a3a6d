//! Writes the files of a report, and reads `report.json` back.

use std::fs;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::schema::{Report, SCHEMA, Sweep};
use super::{hgrm, hlog, page};
use crate::error::Error;

/// Writes all files of `report` into `folder`, which is made; returns their names.
///
/// # Errors
/// [`Error::Io`] with the file.
pub(crate) fn write(report: &Report, folder: &Path) -> Result<Vec<String>, Error> {
    make(folder)?;
    let mut files = vec![("report.json".to_owned(), to_json(report)?)];
    files.push(("report.html".to_owned(), page::render(report)?.into_bytes()));
    for op in report.total.ops() {
        let log = hlog::render(report, op).map_err(Error::io("encode an interval log"))?;
        files.push((format!("{}.hlog", op.name()), log));
        let text = hgrm::render(&report.total.sum(Some(op)).latency);
        files.push((format!("{}.hgrm", op.name()), text.into_bytes()));
    }
    for (name, bytes) in &files {
        write_file(&folder.join(name), bytes)?;
    }
    Ok(files.into_iter().map(|(name, _)| name).collect())
}

/// Writes `sweep.json` and `sweep.html` into `folder`.
///
/// # Errors
/// [`Error::Io`] with the file.
pub(crate) fn write_sweep(sweep: &Sweep, folder: &Path) -> Result<(), Error> {
    make(folder)?;
    write_file(&folder.join("sweep.json"), &to_json(sweep)?)?;
    write_file(&folder.join("sweep.html"), page::render_sweep(sweep)?.as_bytes())
}

/// Reads the report at `path`: a folder of a run, or its `report.json`.
///
/// # Errors
/// [`Error::File`] if there is none, or it is not one of this schema.
pub(crate) fn load(path: &Path) -> Result<Report, Error> {
    let path = if path.is_dir() { path.join("report.json") } else { path.to_path_buf() };
    let bytes = fs::read(&path).map_err(|error| {
        Error::file(&path, format!("{error}; name the folder that a run has written with --out"))
    })?;
    let value: serde_json::Value = parse(&path, &bytes)?;
    let schema = value.get("schema").and_then(|schema| schema.as_str()).unwrap_or("none");
    if schema != SCHEMA {
        let problem = format!("its schema is `{schema}`, and this version reads `{SCHEMA}`");
        return Err(Error::file(&path, problem));
    }
    serde_json::from_value(value).map_err(|error| Error::file(&path, error))
}

fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::file(path, format!("not JSON: {error}")))
}

fn make(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::io(format!("make {}", folder.display())))
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(path, bytes).map_err(Error::io(format!("write {}", path.display())))
}

fn to_json(document: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut bytes =
        serde_json::to_vec(document).map_err(|error| Error::io("encode a report")(error.into()))?;
    bytes.push(b'\n');
    Ok(bytes)
}
