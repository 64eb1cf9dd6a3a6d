//! Sessions: requests that see each other's past, wherever they go.

use std::fmt;

use atoll_protocol::ids::Name;
use bytes::Bytes;

use super::Client;
use crate::request::Keyspace;
use crate::session::{Past, SessionToken};

/// A session (promise P4): of each key, its requests see at least what earlier ones have seen or written, and its writes
/// stand above that: read-your-writes, monotonic reads, monotonic writes, writes follow reads. At any level and in any
/// datacenter, or the request fails with [`ErrorKind::SessionBehind`](crate::ErrorKind::SessionBehind) and nothing older
/// is returned. Cheap to clone; the clones are one session.
///
/// A request asks as many replicas as its level needs, and others only if those have seen less than the session: a
/// `LOCAL` level may then read in another datacenter. Requests of one session that run at the same time do not see each
/// other. A write without an acknowledgement is not part of the past.
///
/// A session knows [10 000 keys](atoll_protocol::limits::SESSION_KEYS_MAX). A request for a further one fails with
/// [`Error::SessionFull`](crate::Error::SessionFull) and is not sent; what the session knows is never dropped silently.
///
/// ```no_run
/// # async fn show(client: atoll_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use atoll_client::{Level, SessionToken};
///
/// let session = client.session();
/// session.keyspace("default").put("u:42", "Ada").await?;
/// let token = session.token().to_string();
///
/// // Perhaps in another process, at a client of another datacenter:
/// let session = client.session_from(token.parse::<SessionToken>()?);
/// let found = session.keyspace("default").get("u:42").level(Level::One).await?;
/// assert!(!found.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Session {
    client: Client,
    past: Past,
}

impl Client {
    /// Begins a session that has seen nothing.
    pub fn session(&self) -> Session {
        Session { client: self.clone(), past: Past::default() }
    }

    /// Goes on with a session of this cluster from where `token` was taken.
    pub fn session_from(&self, token: SessionToken) -> Session {
        Session { client: self.clone(), past: Past::new(token) }
    }
}

impl Session {
    /// A handle to the keyspace called `name` whose requests belong to this session.
    pub fn keyspace(&self, name: &str) -> Keyspace {
        self.client.keyspace(name).within(self.past.clone())
    }

    /// What the session has seen until now, to go on elsewhere. Both go on independently.
    pub fn token(&self) -> SessionToken {
        self.past.token()
    }

    /// Keys of which something was seen.
    pub fn keys(&self) -> usize {
        self.past.keys()
    }

    /// Forgets what was seen of a key: makes room, and promises nothing about it any more.
    pub fn forget(&self, keyspace: &str, key: impl AsRef<[u8]>) {
        if let Ok(name) = Name::new(keyspace) {
            self.past.forget(&name, &Bytes::copy_from_slice(key.as_ref()));
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("keys", &self.keys()).finish_non_exhaustive()
    }
}
