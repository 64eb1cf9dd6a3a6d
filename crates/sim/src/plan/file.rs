//! Plans and failures as JSON files.
//!
//! ```text
//! { "version": 1, "commit": "9bbe408…", "plan": { … }, "violations": [ "I1/P1 no lost acked write: …" ] }
//! ```
//!
//! A file with the bare plan is read as well: that is how plans are written by hand. What is read is checked
//! ([`Plan::check`]); an unknown field is an error that names it.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Plan, PlanError};

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// A run that broke a promise, for replay and shrinking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureFile {
    /// Version of the file's format.
    pub version: u32,
    /// The commit that was tested; empty if it is not known.
    pub commit: String,
    /// The run.
    pub plan: Plan,
    /// What it violated, in words.
    pub violations: Vec<String>,
}

/// Why a plan's file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The text is not the JSON of a plan.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        source: serde_json::Error,
    },
    /// The file is of another version.
    #[error("{}: version {version} is not known here, only {VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that it names.
        version: u32,
    },
    /// The plan makes no sense.
    #[error("{}:\n{source}", path.display())]
    Plan {
        /// The file.
        path: PathBuf,
        /// Every mistake.
        source: PlanError,
    },
}

impl FailureFile {
    /// A file for `plan`, tested at `commit`.
    pub fn new(plan: Plan, commit: String, violations: Vec<String>) -> Self {
        Self { version: VERSION, commit, plan, violations }
    }

    /// Reads a failure file or a bare plan.
    ///
    /// # Errors
    /// [`FileError`] names the file, and the field where that is what is wrong.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| FileError::Io { path: path.to_owned(), source })?;
        let file = Self::parse(&text)
            .map_err(|source| FileError::Json { path: path.to_owned(), source })?;
        if file.version != VERSION {
            return Err(FileError::Version { path: path.to_owned(), version: file.version });
        }
        let checked = file.plan.check();
        checked.map_err(|source| FileError::Plan { path: path.to_owned(), source })?;
        Ok(file)
    }

    /// Writes the file, and its folder where there is none.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        let io_error = |source| FileError::Io { path: path.to_owned(), source };
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|source| FileError::Json { path: path.to_owned(), source })?;
        text.push('\n');
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io_error)?;
        }
        std::fs::write(path, text).map_err(io_error)
    }

    /// Looks which of the two the text is, then reads it as that one, so that the error knows its line.
    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        if value.get("plan").is_some() {
            serde_json::from_str(text)
        } else {
            let plan = serde_json::from_str(text)?;
            Ok(Self::new(plan, String::new(), Vec::new()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FailureFile, FileError};
    use crate::plan::{Plan, Tier};

    fn load_text(text: &str) -> Result<FailureFile, FileError> {
        let folder = std::env::temp_dir().join(format!("atoll-sim-file-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let name = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
        let path = folder.join(format!("{name:016x}.json"));
        std::fs::write(&path, text).unwrap();
        let loaded = FailureFile::load(&path);
        std::fs::remove_file(&path).unwrap();
        loaded
    }

    #[test]
    fn what_is_saved_is_loaded_and_a_bare_plan_too() {
        let plan = Plan::draw(11, Tier::Messages);
        let file = FailureFile::new(plan.clone(), "abc".into(), vec!["I1".into()]);
        let path = std::env::temp_dir().join(format!("atoll-sim-{}/x.json", std::process::id()));
        file.save(&path).unwrap();
        assert_eq!(FailureFile::load(&path).unwrap(), file);
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
        assert_eq!(load_text(&serde_json::to_string(&plan).unwrap()).unwrap().plan, plan);
    }

    #[test]
    fn mistakes_name_their_field() {
        let mut plan = Plan::draw(11, Tier::Messages);
        let text = serde_json::to_string(&plan).unwrap();
        let unknown = text.replace("\"clients\"", "\"cleints\"");
        let said = load_text(&unknown).unwrap_err().to_string();
        assert!(said.contains("unknown field `cleints`"), "{said}");
        plan.workload.clients = 0;
        let said = load_text(&serde_json::to_string(&plan).unwrap()).unwrap_err().to_string();
        assert!(said.contains("workload.clients"), "{said}");
        let file = FailureFile { version: 9, ..FailureFile::new(plan, String::new(), vec![]) };
        let said = load_text(&serde_json::to_string(&file).unwrap()).unwrap_err().to_string();
        assert!(said.contains("version 9"), "{said}");
    }
}
