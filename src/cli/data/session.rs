//! `--session FILE`: what the commands that name the file have seen, one after the other.
//!
//! 1. The file is opened, made if it is missing, and locked: commands that name the same file run one after the other.
//! 2. It holds the token of the session as one line of text. An empty file is a session that has seen nothing.
//! 3. After the request, and before anything is printed, the new token takes the file's place in one step.
//!
//! Invariants
//! - The file holds the old token or the new one, whenever the command or the machine stops.
//! - A damaged file is an error and is left as it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use atoll_client::{Client, Keyspace, Session, SessionToken};
use atoll_protocol::ids::Name;

use crate::cli::exit::Error;

#[cfg(test)]
mod tests;

/// Longest token that is read: ten thousand keys of full length, and contexts to match.
const TOKEN_BYTES_MAX: u64 = 64 * 1_024 * 1_024;

/// A locked file with a session in it.
#[derive(Debug)]
pub(super) struct SessionFile {
    path: PathBuf,
    /// Holds the lock.
    _locked: File,
    token: Option<SessionToken>,
}

/// Where a command's request goes: to a keyspace, within a session or not.
pub(super) struct Place {
    pub(super) keyspace: Keyspace,
    session: Option<(SessionFile, Session)>,
}

impl SessionFile {
    /// Opens the file at `path`, waiting for other commands that have it.
    pub(super) fn open(path: PathBuf) -> Result<Self, Error> {
        let locked = lock(&path).map_err(|source| {
            let what = format!("cannot use the session file {}: {source}", path.display());
            Error::usage(what, "name a file that you may write, in a folder that you may write to")
        })?;
        let mut text = String::new();
        let read = (&locked).take(TOKEN_BYTES_MAX + 1).read_to_string(&mut text);
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let token = match read {
            Ok(_) if text.trim().is_empty() => Ok(None),
            Ok(_) if length > TOKEN_BYTES_MAX => Err("it is too long".to_owned()),
            Ok(_) => text.trim().parse().map(Some).map_err(|error| format!("{error}")),
            Err(error) => Err(error.to_string()),
        };
        match token {
            Ok(token) => Ok(Self { path, _locked: locked, token }),
            Err(why) => {
                let what = format!("{} holds no session: {why}", path.display());
                let fix = "nothing was sent; remove the file to begin a new session, which then promises nothing about \
                           what the old one saw";
                Err(Error::usage(what, fix))
            }
        }
    }

    /// Replaces what the file holds.
    fn save(&self, token: &SessionToken) -> Result<(), Error> {
        let shown = self.path.display();
        let written = replace(&self.path, format!("{token}\n").as_bytes());
        // What was asked has been done: the session of the file only does not know.
        let action = format!("write the session file {shown}; the request itself succeeded");
        written.map_err(Error::io(action))
    }
}

impl Place {
    /// The keyspace `name`, within the session of `file` if there is one.
    pub(super) fn new(client: &Client, name: &Name, file: Option<SessionFile>) -> Self {
        let Some(mut file) = file else {
            return Self { keyspace: client.keyspace(name.as_str()), session: None };
        };
        let session = match file.token.take() {
            Some(token) => client.session_from(token),
            None => client.session(),
        };
        Self { keyspace: session.keyspace(name.as_str()), session: Some((file, session)) }
    }

    /// Keeps what the session has seen.
    pub(super) fn save(&self) -> Result<(), Error> {
        match &self.session {
            Some((file, session)) => file.save(&session.token()),
            None => Ok(()),
        }
    }
}

/// Opens and locks the file that `path` names once the lock is had: whoever had it before may have replaced the file.
fn lock(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        file.lock()?;
        let ours = file.metadata()?;
        match fs::metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) => return Ok(file),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes `content` to a file of its own, durably, and gives that the name `path`. The lock keeps others out meanwhile.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}
