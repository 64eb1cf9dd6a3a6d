//! From the command line to a connected client.
//!
//! 1. Find the profile: `--profile`, `ATOLL_PROFILE`, `./.atoll/client.toml`, the user's configuration folder (SDK).
//! 2. Put what the command line says on top of it.
//! 3. Connect as the client, or as the admin where a command changes the cluster.

use atoll_client::{Client, ProfileFile, Role, find_profile};

use super::common::ConnectArgs;
use super::exit::Error;

/// Connects to the cluster that `args` and the profile name.
///
/// # Errors
/// No usable profile, certificates that do not fit, or nobody who answers.
pub(super) async fn connect(args: &ConnectArgs, role: Role) -> Result<Client, Error> {
    let path = find_profile(args.profile.as_deref())?;
    let file = ProfileFile::load(&path)?;
    let mut builder = Client::from_profile(&file, role)?;
    if let Some(dc) = &args.dc {
        builder = builder.dc(dc.to_string());
    }
    if let Some(deadline) = args.deadline {
        builder = builder.deadline(deadline);
    }
    builder.connect().await.map_err(Error::read)
}
