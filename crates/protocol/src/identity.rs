//! Who a certificate says somebody is: the URI SAN of Atoll's certificates.
//!
//! ```text
//! atoll://CLUSTER/node/DC/RACK/NODE
//! atoll://CLUSTER/client/NAME
//! atoll://CLUSTER/admin/NAME
//! ```
//!
//! Promise P10: identity comes from the certificate, never from a message. The TLS layer extracts exactly one such
//! URI; this module only parses and prints it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{Name, NameError};

/// A certified identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// The cluster that the identity belongs to.
    pub cluster: Name,
    /// What the holder may be there.
    pub role: Role,
}

/// The role inside an [`Identity`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Exactly this node, in this datacenter and rack.
    Node {
        /// Datacenter.
        dc: Name,
        /// Rack.
        rack: Name,
        /// Node.
        node: Name,
    },
    /// An application: reads and writes data.
    Client {
        /// Its name, for logs.
        name: Name,
    },
    /// An operator: everything a client may, plus changes to the cluster.
    Admin {
        /// Their name, for logs.
        name: Name,
    },
}

/// Why a URI is not an [`Identity`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The URI has another scheme or another number of parts.
    #[error(
        "`{uri}` is not an Atoll identity: expected atoll://CLUSTER/node/DC/RACK/NODE, \
         atoll://CLUSTER/client/NAME or atoll://CLUSTER/admin/NAME"
    )]
    Shape {
        /// The URI as it was given.
        uri: String,
    },
    /// One part is not a legal name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Identity {
    /// True for an operator.
    pub fn is_admin(&self) -> bool {
        matches!(self.role, Role::Admin { .. })
    }

    /// True for a node of the cluster.
    pub fn is_node(&self) -> bool {
        matches!(self.role, Role::Node { .. })
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(uri: &str) -> Result<Self, IdentityError> {
        let shape = || IdentityError::Shape { uri: uri.chars().take(256).collect() };
        let rest = uri.strip_prefix("atoll://").ok_or_else(shape)?;
        let parts: Vec<&str> = rest.split('/').collect();
        let role = match parts.as_slice() {
            [_, "node", dc, rack, node] => {
                Role::Node { dc: Name::new(dc)?, rack: Name::new(rack)?, node: Name::new(node)? }
            }
            [_, "client", name] => Role::Client { name: Name::new(name)? },
            [_, "admin", name] => Role::Admin { name: Name::new(name)? },
            _ => return Err(shape()),
        };
        let cluster = parts.first().ok_or_else(shape)?;
        let identity = Self { cluster: Name::new(cluster)?, role };
        assert_eq!(identity.to_string(), uri, "an identity has one spelling");
        Ok(identity)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cluster = &self.cluster;
        match &self.role {
            Role::Node { dc, rack, node } => write!(f, "atoll://{cluster}/node/{dc}/{rack}/{node}"),
            Role::Client { name } => write!(f, "atoll://{cluster}/client/{name}"),
            Role::Admin { name } => write!(f, "atoll://{cluster}/admin/{name}"),
        }
    }
}

#[cfg(test)]
mod tests;
