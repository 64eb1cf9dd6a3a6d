//! Time as data: monotonic instants, wall-clock instants and remaining budgets.
//!
//! Sits at the bottom of every layer. The protocol never reads a clock: both kinds of time are arguments that come
//! from `Env` (the real one, or the simulator's virtual one).
//!
//! Invariants
//! - `MonoTime` never decreases within a process and means nothing outside of it.
//! - `WallTime` may jump either way; it only feeds hybrid-logical timestamps and expiry.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds since an arbitrary start of this process; never decreases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MonoTime(u64);

impl MonoTime {
    /// The first instant.
    pub const ZERO: Self = Self(0);

    /// An instant `nanos` nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This instant plus `span`, saturating at the end of time.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// How long after `earlier` this instant is; zero when it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Microseconds since the Unix epoch as this machine's clock tells them; may jump either way.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct WallTime(u64);

impl WallTime {
    /// An instant `micros` microseconds after the Unix epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// This instant plus `span`, saturating.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }
}
