//! What a get returns: no value, one value, or several that were written concurrently.
//!
//! The context stands inside, so that a put can say `.resolves(&versions)` and nobody has to carry it along.
//!
//! Invariants
//! - `Many` has at least two values, in order of their dots; the node decides what is visible.
//! - Values are slices of the reply, not copies.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use atoll_protocol::time::WallTime;
use atoll_protocol::version::{Dot, Timestamp};
use atoll_protocol::wire::{Acknowledged, CellMeta};
use bytes::Bytes;

use crate::context::Context;

/// What is stored under a key, with the context of having seen it.
///
/// ```no_run
/// # async fn show(users: atoll_client::Keyspace) -> Result<(), atoll_client::Error> {
/// use atoll_client::Versions;
///
/// let found = users.get("u:42").await?;
/// match &found {
///     Versions::None { .. } => {}
///     Versions::One { value, .. } => println!("{:?}", value.bytes()),
///     Versions::Many { values, .. } => {
///         let merged: Vec<u8> = values.iter().flat_map(|v| v.bytes().to_vec()).collect();
///         users.put("u:42", merged).resolves(&found).await?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Versions {
    /// Nothing, or only deletions.
    None {
        /// Covers the deletions that were seen.
        context: Context,
    },
    /// One value.
    One {
        /// The value.
        value: Value,
        /// Covers it.
        context: Context,
    },
    /// Values that were written without knowledge of each other.
    #[doc(alias = "siblings")]
    #[doc(alias = "conflict")]
    Many {
        /// The values, at least two.
        values: Vec<Value>,
        /// Covers all of them.
        context: Context,
    },
}

/// One value with the facts of its write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    bytes: Bytes,
    meta: CellMeta,
}

/// A put that reached its level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    context: Context,
    siblings: u16,
    acked: u16,
    held: u16,
}

/// What a delete did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// There was no value, so nothing was written.
    Nothing {
        /// The context of the read that found nothing.
        context: Context,
    },
    /// A tombstone reached its level.
    Marked(Written),
}

impl Versions {
    /// Cuts a reply's payload into its values; `None` when the lengths do not fill it exactly.
    pub(crate) fn from_reply(
        context: Bytes,
        cells: &[CellMeta],
        mut payload: Bytes,
    ) -> Option<Self> {
        let context = Context::new(context);
        let mut values = Vec::with_capacity(cells.len());
        for meta in cells {
            let length = usize::try_from(meta.length).ok()?;
            if length > payload.len() {
                return None;
            }
            values.push(Value { bytes: payload.split_to(length), meta: *meta });
        }
        if !payload.is_empty() {
            return None;
        }
        Some(match values.len() {
            0 => Self::None { context },
            1 => Self::One { value: values.pop()?, context },
            _ => Self::Many { values, context },
        })
    }

    /// The context: a put that carries it supersedes everything seen here.
    pub fn context(&self) -> &Context {
        match self {
            Self::None { context } | Self::One { context, .. } | Self::Many { context, .. } => {
                context
            }
        }
    }

    /// All values; more than one are siblings.
    pub fn values(&self) -> &[Value] {
        match self {
            Self::None { .. } => &[],
            Self::One { value, .. } => std::slice::from_ref(value),
            Self::Many { values, .. } => values,
        }
    }

    /// The bytes of the only value; `None` when there is none or more than one.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::One { value, .. } => Some(value.bytes()),
            Self::None { .. } | Self::Many { .. } => None,
        }
    }

    /// True if there is no value.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None { .. })
    }

    /// True if there are siblings.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Many { .. })
    }
}

impl Value {
    /// The value itself.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The value itself, taken out.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The write that made it; equal dots mean the same write.
    pub fn dot(&self) -> Dot {
        self.meta.dot
    }

    /// When it was written, as its coordinator's clock said; only a hint.
    pub fn written_at(&self) -> SystemTime {
        let Timestamp(micros) = self.meta.timestamp;
        system_time(micros)
    }

    /// When it expires.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.meta.expires_at.map(WallTime::as_micros).map(system_time)
    }
}

impl Written {
    pub(crate) fn new(acknowledged: Acknowledged) -> Self {
        let Acknowledged { context, siblings, acked, held } = acknowledged;
        Self { context: Context::new(context), siblings, acked, held }
    }

    /// Covers this write: pass it to the write that follows.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Live versions of the key at the coordinator, this one and deletions included; above 1 there are siblings.
    pub fn siblings(&self) -> u16 {
        self.siblings
    }

    /// Replicas that hold the write durably.
    pub fn acked(&self) -> u16 {
        self.acked
    }

    /// Fallbacks that hold it durably for replicas that do not; 0 unless the write was sloppy.
    pub fn held(&self) -> u16 {
        self.held
    }
}

impl Deleted {
    /// Covers the deletion, or the read that found nothing.
    pub fn context(&self) -> &Context {
        match self {
            Self::Nothing { context } => context,
            Self::Marked(written) => written.context(),
        }
    }
}

fn system_time(micros: u64) -> SystemTime {
    // A time beyond what the system can represent is shown as the epoch.
    UNIX_EPOCH.checked_add(Duration::from_micros(micros)).unwrap_or(UNIX_EPOCH)
}
