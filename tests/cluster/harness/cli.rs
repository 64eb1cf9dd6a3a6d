//! One run of the binary.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::PATIENCE;

/// How the binary is run: where, and with which profile.
#[derive(Clone, Debug)]
pub(crate) struct Cli {
    directory: PathBuf,
    profile: Option<PathBuf>,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    command: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Cli {
    /// Runs in `directory`, without a profile.
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_path_buf(), profile: None }
    }

    /// The same with this profile.
    pub(crate) fn with_profile(self, profile: PathBuf) -> Self {
        Self { profile: Some(profile), ..self }
    }

    /// Runs `atoll` with `arguments` to its end.
    pub(crate) async fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Outcome {
        let mut command = self.command(arguments);
        let shown = format!("{:?}", command.as_std());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = child.kill_on_drop(true).output();
        let output = tokio::time::timeout(PATIENCE, output).await;
        let output = output.unwrap_or_else(|_| panic!("still running: {shown}")).unwrap();
        Outcome {
            command: shown,
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs `atoll` with `arguments`, which must succeed.
    pub(crate) async fn ok<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Outcome {
        self.run(arguments).await.expect_code(0)
    }

    /// The command, for whoever wants its process.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atoll"));
        // Nothing of the developer's own surroundings may leak in.
        for variable in ["ATOLL_PROFILE", "XDG_CONFIG_HOME", "RUST_LOG", "ATOLL_LOG"] {
            command.env_remove(variable);
        }
        command.env("HOME", &self.directory).current_dir(&self.directory).args(arguments);
        if let Some(profile) = &self.profile {
            command.env("ATOLL_PROFILE", profile);
        }
        command
    }
}

impl Outcome {
    /// Asserts on the exit code.
    pub(crate) fn expect_code(self, expected: i32) -> Self {
        assert_eq!(self.code, Some(expected), "exit code of {self}");
        self
    }

    /// Asserts that stderr has each of `words`.
    pub(crate) fn expect_words(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is missing on stderr of {self}");
        }
        self
    }

    /// Stdout as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// Stdout as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stdout = String::from_utf8_lossy(&self.stdout);
        write!(
            f,
            "{}\n-- code {:?}\n-- stdout\n{stdout}\n-- stderr\n{}",
            self.command, self.code, self.stderr
        )
    }
}
