//! Names and numbers that identify things, each its own type.
//!
//! Names come from people (topology files, certificates); indices are positions in one topology and travel on the
//! wire only beside its epoch. Incarnations are minted by chance and never reused.
//!
//! Invariants
//! - A `Name` is 1..=[`NAME_BYTES_MAX`] bytes of `[A-Za-z0-9._-]` and starts with a letter or digit, so that it can
//!   stand in a URI path, a file name and a table column without escaping.
//! - A `NodeIndex` or `DcIndex` is meaningless without the epoch of the topology that it was read from.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::NAME_BYTES_MAX;

/// A validated name of a cluster, datacenter, rack, node, client or keyspace. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

/// Why a text is not a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a name: use 1 to {NAME_BYTES_MAX} letters, digits, `.`, `_` or `-`, \
     beginning with a letter or digit"
)]
pub struct NameError {
    /// The text as it was given.
    pub text: String,
}

impl Name {
    /// Checks `text` and takes it as a name.
    ///
    /// # Errors
    /// [`NameError`] when it is empty, too long, or has a character outside the set.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let starts_well = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if starts_well && text.len() <= NAME_BYTES_MAX && text.bytes().all(legal) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(NameError { text: text.chars().take(2 * NAME_BYTES_MAX).collect() })
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Position of a node in the node list of one topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeIndex(pub u16);

/// Position of a datacenter in the datacenter list of one topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DcIndex(pub u8);

/// Version of the topology; grows by one with every change.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Random 64-bit actor id of one replica's data directory; minted anew after every unclean stop.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Id of a keyspace, minted by the node that created it; part of every token and every stored key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyspaceId(pub u64);

/// Id of one operation at its coordinator; unique within the coordinator's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperationId(pub u64);

#[cfg(test)]
mod tests;
