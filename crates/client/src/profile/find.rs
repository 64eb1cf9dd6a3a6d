//! Where the profile lies: a choice among four places, in order.
//!
//! 1. The path that the caller was given (`--profile`).
//! 2. `ATOLL_PROFILE`.
//! 3. `./.atoll/client.toml`: `atoll dev` in this directory.
//! 4. `$XDG_CONFIG_HOME/atoll/client.toml`, or `~/.config/atoll/client.toml`.
//!
//! Invariants
//! - What was asked for by name (1, 2) is taken or is an error; another file never stands in for it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::file::ProfileError;

/// The variable that names a profile.
const VARIABLE: &str = "ATOLL_PROFILE";

/// A place to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// Why it is looked at.
    pub(crate) source: &'static str,
}

/// Finds the profile: `explicit`, `ATOLL_PROFILE`, `./.atoll/client.toml`, `~/.config/atoll/client.toml`.
///
/// # Errors
/// [`ProfileError::Read`] when the file that was asked for is not there; [`ProfileError::NotFound`] lists every place
/// that was tried and says how to make a profile.
pub fn find_profile(explicit: Option<&Path>) -> Result<PathBuf, ProfileError> {
    let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    if let Some(path) = explicit.map(Path::to_path_buf).or(variable.map(PathBuf::from)) {
        return match path.metadata() {
            Ok(found) if found.is_file() => Ok(path),
            Ok(_) => {
                let source = io::Error::new(io::ErrorKind::InvalidInput, "it is not a file");
                Err(ProfileError::Read { path, source })
            }
            Err(source) => Err(ProfileError::Read { path, source }),
        };
    }
    let usual = places(|name| std::env::var_os(name));
    if let Some(place) = usual.iter().find(|place| place.path.is_file()) {
        return Ok(place.path.clone());
    }
    let unset = std::iter::once(format!("{VARIABLE} (not set)"));
    let looked_at =
        usual.iter().map(|place| format!("{} ({})", place.path.display(), place.source));
    Err(ProfileError::NotFound { tried: unset.chain(looked_at).collect() })
}

/// The usual places, with the environment as an argument.
pub(crate) fn places(environment: impl Fn(&str) -> Option<OsString>) -> Vec<Place> {
    let folder = |name| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let here = PathBuf::from("./.atoll/client.toml");
    let mut places = vec![Place { path: here, source: "this directory" }];
    let configured = folder("XDG_CONFIG_HOME").map(|path| (path, "XDG_CONFIG_HOME"));
    let home = || folder("HOME").map(|path| (path.join(".config"), "home directory"));
    if let Some((path, source)) = configured.or_else(home) {
        places.push(Place { path: path.join("atoll/client.toml"), source });
    }
    places
}
