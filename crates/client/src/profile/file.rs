//! The profile file `client.toml`: how to reach a cluster, and as whom.
//!
//! Written by `atoll dev`, read by the CLI and by applications. Text to TOML to [`ProfileFile`]: unknown keys and wrong
//! types are TOML's errors with their line; everything else is checked here, all problems at once.
//!
//! Invariants
//! - [`ProfileFile::parse`] of [`ProfileFile::to_toml`] gives the same value.
//! - Paths are relative to the file until [`ProfileFile::load`] has read it; then they can be opened from anywhere.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use atoll_protocol::ids::Name;
use atoll_protocol::quorum::Level;
use atoll_quic::CredentialPaths;
use serde::{Deserialize, Serialize};

/// Which of a profile's certificates to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads and writes data.
    Client,
    /// May also change the cluster.
    Admin,
}

/// How to reach a cluster, and as whom.
///
/// ```
/// use atoll_client::{Level, ProfileFile};
///
/// let file = ProfileFile::parse(r#"
///     cluster = "demo"
///     seeds = ["127.0.0.1:7411", "127.0.0.1:7421"]
///     dc = "eu"
///     ca = "certs/ca.crt"
///     certificate = "certs/client.crt"
///     key = "certs/client.key"
///     level = "QUORUM"
///     deadline = "250ms"
/// "#)?;
/// assert_eq!(file.level, Some(Level::Quorum));
/// assert_eq!(ProfileFile::parse(&file.to_toml())?, file);
/// # Ok::<(), atoll_client::ProfileError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileFile {
    /// Name of the cluster.
    pub cluster: Name,
    /// Some of its nodes as `host:port`; two in different racks are enough.
    pub seeds: Vec<String>,
    /// The nearest datacenter; `None` takes the one of the seed that answers fastest.
    pub dc: Option<Name>,
    /// PEM file with the trusted roots.
    pub ca: PathBuf,
    /// PEM file with the client certificate.
    pub certificate: PathBuf,
    /// PEM file with its key.
    pub key: PathBuf,
    /// The admin certificate, on machines of operators.
    pub admin: Option<AdminFiles>,
    /// Level of reads and writes; `None` takes `LOCAL_QUORUM`.
    pub level: Option<Level>,
    /// Time that a request may take; `None` takes 1 s.
    pub deadline: Option<Duration>,
}

/// The files of an admin certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminFiles {
    /// PEM file with the certificate.
    pub certificate: PathBuf,
    /// PEM file with its key.
    pub key: PathBuf,
}

/// One thing that is wrong with a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileProblem {
    /// The key, or the line.
    pub key: String,
    /// What stands there.
    pub found: String,
    /// What to write instead.
    pub fix: String,
}

/// Why there is no usable profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// No file at any of the usual places.
    #[error(
        "no profile found; tried {}. `atoll dev` makes a cluster and its profile; for another cluster write one \
         (cluster, seeds, ca, certificate, key) and name it with ATOLL_PROFILE",
        tried.join(", ")
    )]
    NotFound {
        /// Where it could have been, with the reason to look there.
        tried: Vec<String>,
    },
    /// The file that was asked for cannot be read.
    #[error("cannot read the profile {}: {source}; `atoll dev` makes one", path.display())]
    Read {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file has mistakes.
    #[error("the profile{} is not usable: {}", at(path.as_deref()), list(problems))]
    Content {
        /// Where it is; `None` for a text that is no file.
        path: Option<PathBuf>,
        /// Everything that is wrong.
        problems: Vec<ProfileProblem>,
    },
    /// It has no admin certificate.
    #[error(
        "the profile has no `admin_certificate` and `admin_key`, and this needs an admin: issue one with \
         `atoll cert` and add both"
    )]
    NoAdmin,
}

/// The file as it is written.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    cluster: String,
    seeds: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dc: Option<String>,
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    admin_certificate: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    admin_key: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    level: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline: Option<String>,
}

impl ProfileFile {
    /// Reads the file at `path` and makes its paths independent of the working directory's changes.
    ///
    /// # Errors
    /// [`ProfileError`] with the path, the keys and what to write instead.
    pub fn load(path: &Path) -> Result<Self, ProfileError> {
        let unreadable = |source| ProfileError::Read { path: path.to_owned(), source };
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let absolute = std::path::absolute(path).map_err(unreadable)?;
        let mut file = check(&text)
            .map_err(|problems| ProfileError::Content { path: Some(path.to_owned()), problems })?;
        file.rebase(absolute.parent().unwrap_or(Path::new("/")));
        Ok(file)
    }

    /// Reads TOML; paths stay as they are written.
    ///
    /// # Errors
    /// [`ProfileError::Content`] with every problem.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        check(text).map_err(|problems| ProfileError::Content { path: None, problems })
    }

    /// Writes TOML that [`Self::parse`] reads back.
    ///
    /// # Panics
    /// Never: the shape is fixed. A path that is not UTF-8 is written as well as it can be.
    pub fn to_toml(&self) -> String {
        let utf8 = |path: &Path| PathBuf::from(path.to_string_lossy().into_owned());
        let raw = RawProfile {
            cluster: self.cluster.to_string(),
            seeds: self.seeds.clone(),
            dc: self.dc.as_ref().map(Name::to_string),
            ca: utf8(&self.ca),
            certificate: utf8(&self.certificate),
            key: utf8(&self.key),
            admin_certificate: self.admin.as_ref().map(|admin| utf8(&admin.certificate)),
            admin_key: self.admin.as_ref().map(|admin| utf8(&admin.key)),
            level: self.level.map(|level| level.to_string()),
            deadline: self
                .deadline
                .map(|deadline| humantime::format_duration(deadline).to_string()),
        };
        toml::to_string(&raw).expect("strings and lists of strings are always TOML")
    }

    /// The files of `role`.
    ///
    /// # Errors
    /// [`ProfileError::NoAdmin`] when an admin is asked for and the profile has none.
    pub fn credentials(&self, role: Role) -> Result<CredentialPaths, ProfileError> {
        let (certificate, key) = match role {
            Role::Client => (&self.certificate, &self.key),
            Role::Admin => {
                let admin = self.admin.as_ref().ok_or(ProfileError::NoAdmin)?;
                (&admin.certificate, &admin.key)
            }
        };
        let (ca, certificate, key) = (self.ca.clone(), certificate.clone(), key.clone());
        Ok(CredentialPaths { ca, certificate, key })
    }

    fn rebase(&mut self, folder: &Path) {
        let admin =
            self.admin.iter_mut().flat_map(|admin| [&mut admin.certificate, &mut admin.key]);
        for path in [&mut self.ca, &mut self.certificate, &mut self.key].into_iter().chain(admin) {
            *path = folder.join(&*path);
        }
    }
}

/// Reads and checks a profile; the error has all problems.
fn check(text: &str) -> Result<ProfileFile, Vec<ProfileProblem>> {
    let raw: RawProfile = toml::from_str(text).map_err(|error| vec![from_toml(text, &error)])?;
    let mut problems = Vec::new();
    let cluster = name("cluster", &raw.cluster, &mut problems);
    let dc = raw.dc.as_deref().and_then(|dc| name("dc", dc, &mut problems));
    if raw.seeds.is_empty() {
        let fix = "name at least one node, such as seeds = [\"127.0.0.1:7411\"]";
        problems.push(ProfileProblem::new("seeds", "no address", fix));
    }
    for seed in &raw.seeds {
        if !is_host_and_port(seed) {
            let fix = "write `host:port`, such as `10.0.0.1:7411` or `[::1]:7411`";
            problems.push(ProfileProblem::new("seeds", &format!("`{seed}`"), fix));
        }
    }
    let level = raw.level.as_deref().and_then(|text| match text.parse::<Level>() {
        Ok(level) => Some(level),
        Err(error) => {
            let fix = "write LOCAL_QUORUM, or leave it out";
            problems.push(ProfileProblem::new("level", &error.to_string(), fix));
            None
        }
    });
    let deadline = raw.deadline.as_deref().and_then(|text| deadline(text, &mut problems));
    let admin = match (raw.admin_certificate, raw.admin_key) {
        (Some(certificate), Some(key)) => Some(AdminFiles { certificate, key }),
        (None, None) => None,
        (Some(_), None) => {
            problems.push(ProfileProblem::new("admin_key", "missing", ADMIN_FIX));
            None
        }
        (None, Some(_)) => {
            problems.push(ProfileProblem::new("admin_certificate", "missing", ADMIN_FIX));
            None
        }
    };
    let RawProfile { seeds, ca, certificate, key, .. } = raw;
    match cluster {
        Some(cluster) if problems.is_empty() => {
            Ok(ProfileFile { cluster, seeds, dc, ca, certificate, key, admin, level, deadline })
        }
        _ => Err(problems),
    }
}

const ADMIN_FIX: &str = "write both admin_certificate and admin_key, or neither";

fn name(key: &str, text: &str, problems: &mut Vec<ProfileProblem>) -> Option<Name> {
    let fix = "write the name that stands in the topology";
    Name::new(text)
        .map_err(|error| problems.push(ProfileProblem::new(key, &error.to_string(), fix)))
        .ok()
}

fn deadline(text: &str, problems: &mut Vec<ProfileProblem>) -> Option<Duration> {
    match humantime::parse_duration(text) {
        Ok(deadline) if !deadline.is_zero() => Some(deadline),
        _ => {
            let fix = "write a time above zero with its unit, such as `1s` or `250ms`";
            problems.push(ProfileProblem::new("deadline", &format!("`{text}`"), fix));
            None
        }
    }
}

fn from_toml(text: &str, error: &toml::de::Error) -> ProfileProblem {
    let before = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let line = error.span().map_or(1, |span| before(span.start) + 1);
    let fix = "the keys are cluster, seeds, dc, ca, certificate, key, admin_certificate, admin_key, level, deadline";
    ProfileProblem::new(&format!("line {line}"), error.message(), fix)
}

/// True for what can be resolved: something, a colon, and a port.
pub(crate) fn is_host_and_port(text: &str) -> bool {
    let parts = text.rsplit_once(':');
    parts.is_some_and(|(host, port)| {
        !host.is_empty() && port.parse().is_ok_and(|port: u16| port > 0)
    })
}

impl ProfileProblem {
    fn new(key: &str, found: &str, fix: &str) -> Self {
        Self { key: key.to_owned(), found: found.to_owned(), fix: fix.to_owned() }
    }
}

impl fmt::Display for ProfileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, found, fix } = self;
        write!(f, "{key}: {found} ({fix})")
    }
}

fn at(path: Option<&Path>) -> String {
    path.map(|path| format!(" {}", path.display())).unwrap_or_default()
}

fn list(problems: &[ProfileProblem]) -> String {
    let lines: Vec<String> = problems.iter().map(ProfileProblem::to_string).collect();
    lines.join("; ")
}
