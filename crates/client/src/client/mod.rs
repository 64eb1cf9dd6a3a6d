//! The client: the handle that an application keeps.
//!
//! `builder.rs` makes one, `admin.rs` has the operators' verbs. Everything else happens below.

use std::fmt;
use std::sync::Arc;

use atoll_protocol::ids::Name;

use crate::dispatch::{Counters, Dispatcher};
use crate::profile::{Profile, ProfileError, ProfileFile, Role};
use crate::request::Keyspace;

mod admin;
mod builder;
mod session;

pub use builder::ClientBuilder;
pub use session::Session;

/// A client of one cluster. Cheap to clone; the last handle closes its connections.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use atoll_client::{Client, ProfileFile, Role, find_profile};
///
/// let file = ProfileFile::load(&find_profile(None)?)?;
/// let client = Client::from_profile(&file, Role::Client)?.connect().await?;
/// let users = client.keyspace("default");
/// let written = users.put("u:42", "Ada").await?;
/// users.put("u:42", "Ada L.").after(written.context()).await?;
/// client.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    dispatcher: Arc<Dispatcher>,
    profile: Arc<Profile>,
}

impl Client {
    /// Begins to configure a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// A builder with everything that `file` says, and the certificate of `role`.
    ///
    /// # Errors
    /// [`ProfileError::NoAdmin`] if the admin is asked for and the file has none.
    pub fn from_profile(file: &ProfileFile, role: Role) -> Result<ClientBuilder, ProfileError> {
        ClientBuilder::new().from_profile(file, role)
    }

    /// A handle to the keyspace called `name`; whether there is one turns out with the first request.
    pub fn keyspace(&self, name: &str) -> Keyspace {
        Keyspace::new(Arc::clone(&self.dispatcher), name, Arc::clone(&self.profile))
    }

    /// The datacenter that `LOCAL` means: the configured one, or the one of the nearest seed.
    pub fn dc(&self) -> &Name {
        self.dispatcher.own_dc()
    }

    /// What all handles of this client have done since it was made. Costs a few loads, and never goes back.
    ///
    /// ```no_run
    /// # fn show(client: &atoll_client::Client) {
    /// let counted = client.counters();
    /// println!("{} of {} requests were sent again", counted.retries, counted.requests);
    /// # }
    /// ```
    pub fn counters(&self) -> Counters {
        self.dispatcher.counters()
    }

    /// Closes all connections and waits until the nodes have been told. Requests that are under way fail as if the
    /// connection had broken; later ones fail with [`Error::Closed`](crate::Error::Closed). For all handles alike.
    pub async fn close(&self) {
        self.dispatcher.close().await;
    }
}

#[cfg(test)]
impl Client {
    pub(crate) fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("cluster", self.dispatcher.snapshot().topology().cluster())
            .field("dc", self.dc())
            .finish_non_exhaustive()
    }
}
