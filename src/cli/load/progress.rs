//! How far a load got: a small file that a later run continues from.
//!
//! ```text
//! {"version":1,"cluster":"demo","keyspace":"default","bytes":106543,"xxh3":"5d0c…","rows":512}
//! ```
//!
//! 1. [`Progress::begin`] makes the file with `rows: 0` before the first put, or finds how far an earlier run got.
//! 2. Rows are issued in order and acknowledged in any order; [`Prefix`] knows how many from the first on are done.
//! 3. [`Progress::save`] writes that number down every [`SAVE_EVERY_ROWS`]; rows are never issued more than
//!    [`AHEAD_ROWS_MAX`] beyond the number that is written down.
//! 4. [`Progress::finish`] removes the file.
//!
//! Invariants
//! - Every row below the number in the file is durable at the load's level.
//! - Every row from the number plus [`AHEAD_ROWS_MAX`] on was never sent. A later run must look before it writes only
//!   in between, where a row may or may not have been applied.
//! - The file is replaced in one step and synced, and belongs to one content, one keyspace and one cluster.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::cli::exit::Error;

#[cfg(test)]
mod tests;

/// Version of the file.
const VERSION: u32 = 1;

/// Rows between two saves: a sync of some milliseconds beside some hundred puts.
const SAVE_EVERY_ROWS: u64 = 256;

/// Rows that may be issued beyond the saved number: four saves, so that a slow row does not stop the others at once.
pub(super) const AHEAD_ROWS_MAX: u64 = 4 * SAVE_EVERY_ROWS;

/// Bytes that are hashed at a time.
const HASH_CHUNK_BYTES: usize = 64 * 1_024;

/// Longest progress file that is read, in bytes: ours have some 200.
const FILE_BYTES_MAX: u64 = 4_096;

/// What is loaded where. Two loads with the same one are the same load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LoadIdentity {
    /// The cluster.
    pub(super) cluster: String,
    /// The keyspace.
    pub(super) keyspace: String,
    /// The file's content.
    #[serde(flatten)]
    pub(super) content: Fingerprint,
}

/// Size and hash of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    bytes: u64,
    xxh3: String,
}

/// The file as it is written.
#[derive(Debug, Serialize, Deserialize)]
struct RawProgress {
    version: u32,
    #[serde(flatten)]
    identity: LoadIdentity,
    rows: u64,
}

/// Where a load begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Nothing of it was ever sent.
    Fresh,
    /// So many rows are done, and some behind them may be.
    Resumed { rows: u64 },
}

/// The progress of one load.
#[derive(Debug)]
pub(super) struct Progress {
    path: PathBuf,
    identity: LoadIdentity,
    saved: u64,
}

impl Fingerprint {
    /// Reads the whole file.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn of_file(path: &Path) -> io::Result<Self> {
        Self::of(File::open(path)?)
    }

    fn of(mut source: impl Read) -> io::Result<Self> {
        let (mut hasher, mut bytes) = (Xxh3::new(), 0);
        let mut chunk = vec![0; HASH_CHUNK_BYTES];
        loop {
            let count = source.read(&mut chunk)?;
            if count == 0 {
                return Ok(Self { bytes, xxh3: format!("{:032x}", hasher.digest128()) });
            }
            hasher.update(chunk.get(..count).unwrap_or_default());
            bytes += u64::try_from(count).unwrap_or(u64::MAX);
        }
    }
}

impl Progress {
    /// Finds the progress of an earlier run at `path`, or begins anew.
    pub(super) fn begin(path: PathBuf, identity: LoadIdentity) -> Result<(Self, Start), Error> {
        let start = match read(&path)? {
            None => Start::Fresh,
            Some(found) => Start::Resumed { rows: agree(&path, found, &identity)? },
        };
        let saved = match start {
            Start::Fresh => 0,
            Start::Resumed { rows } => rows,
        };
        let progress = Self { path, identity, saved };
        if start == Start::Fresh {
            progress.write(0)?;
        }
        Ok((progress, start))
    }

    /// True if the row at `index` may be sent now.
    pub(super) fn may_issue(&self, index: u64) -> bool {
        index < self.saved + AHEAD_ROWS_MAX
    }

    /// Writes down that all rows below `done` are durable, if that is much more than was written down.
    pub(super) fn save_sometimes(&mut self, done: u64) -> Result<(), Error> {
        if done >= self.saved + SAVE_EVERY_ROWS { self.save(done) } else { Ok(()) }
    }

    /// Writes down that all rows below `done` are durable.
    pub(super) fn save(&mut self, done: u64) -> Result<(), Error> {
        assert!(done >= self.saved, "rows that are durable stay so");
        self.write(done)?;
        self.saved = done;
        Ok(())
    }

    /// Removes the file: all is loaded.
    pub(super) fn finish(self) -> Result<(), Error> {
        fs::remove_file(&self.path).map_err(Error::io(format!("remove {}", self.path.display())))
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn write(&self, rows: u64) -> Result<(), Error> {
        let raw = RawProgress { version: VERSION, identity: self.identity.clone(), rows };
        let failed = || Error::io(format!("write {}", self.path.display()));
        let text = serde_json::to_vec(&raw).map_err(io::Error::from).map_err(failed())?;
        replace(&self.path, &text).map_err(failed())
    }
}

/// Replaces a file in one step, synced.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn read(path: &Path) -> Result<Option<RawProgress>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(format!("read {}", path.display()))(error)),
    };
    let mut text = Vec::new();
    let read = file.take(FILE_BYTES_MAX).read_to_end(&mut text);
    read.map_err(Error::io(format!("read {}", path.display())))?;
    match serde_json::from_slice::<RawProgress>(&text) {
        Ok(raw) if raw.version == VERSION => Ok(Some(raw)),
        Ok(raw) => Err(foreign(path, &format!("it has version {}", raw.version))),
        Err(error) => Err(foreign(path, &error.to_string())),
    }
}

/// The rows that `found` says are done, if it is about this load.
fn agree(path: &Path, found: RawProgress, ours: &LoadIdentity) -> Result<u64, Error> {
    let theirs = found.identity;
    let difference = if theirs.cluster != ours.cluster {
        format!("it is about cluster `{}`, this is `{}`", theirs.cluster, ours.cluster)
    } else if theirs.keyspace != ours.keyspace {
        format!("it is about keyspace `{}`, this is `{}`", theirs.keyspace, ours.keyspace)
    } else if theirs.content != ours.content {
        "the file to load has changed since".to_owned()
    } else {
        return Ok(found.rows);
    };
    Err(foreign(path, &difference))
}

fn foreign(path: &Path, difference: &str) -> Error {
    let shown = path.display();
    Error::usage(
        format!("{shown} is not the progress of this load: {difference}; nothing was loaded"),
        format!(
            "remove {shown} to load from the first row on, or name another file with --progress"
        ),
    )
}

/// How many rows from the first on are done, when they end in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Prefix {
    done: u64,
    /// Done rows behind the first that is not; at most [`AHEAD_ROWS_MAX`].
    beyond: BTreeSet<u64>,
}

impl Prefix {
    /// The first `done` rows are done.
    pub(super) fn new(done: u64) -> Self {
        Self { done, beyond: BTreeSet::new() }
    }

    /// Notes that the row at `index` is done.
    pub(super) fn complete(&mut self, index: u64) {
        assert!(index >= self.done, "a row is done once");
        self.beyond.insert(index);
        while self.beyond.remove(&self.done) {
            self.done += 1;
        }
    }

    /// Rows from the first on that are done.
    pub(super) fn done(&self) -> u64 {
        self.done
    }
}
